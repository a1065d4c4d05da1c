"""One way to break one kind of thing per file, each with its undo."""
