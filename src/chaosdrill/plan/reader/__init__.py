"""Files that people write, read with places; must not know what the files are about.

`read` gives a Document, or InvalidFile with the one problem that stops a parser. What is wrong beyond syntax
is collected in the Document, so that its reader can report everything at once.
"""

from __future__ import annotations

import stat
from pathlib import Path

from chaosdrill.errors import InvalidFile, Problem, UsageError
from chaosdrill.plan.reader.document import Document, Node, shown

__all__ = ["Document", "Node", "read", "shown"]

#: A thousand activities take about a third of it.
MOST_BYTES = 1024 * 1024

_SUFFIXES = (".yaml", ".yml", ".json")


def read(path: str | Path) -> Document:
    """Return the one document in the YAML or JSON file at `path`.

    Raises UsageError for a file that can't be had, and InvalidFile for one that can't be read: more than
    1 MiB, not UTF-8, bad syntax, several documents, nesting over 50, recursive or exploding aliases.
    """
    path = Path(path)
    content = _content(path)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        column = len(before) - (before.rfind("\n") + 1) + 1
        message = f"not UTF-8: the byte 0x{content[error.start]:02x} stands here"
        problem = Problem(before.count("\n") + 1, column, message, "save the file as UTF-8")
        raise InvalidFile(str(path), [problem]) from error
    if path.suffix == ".json":
        from chaosdrill.plan.reader.json_text import parse_json

        root, problems = parse_json(text, str(path))
    else:
        from chaosdrill.plan.reader.yaml_text import parse_yaml

        root, problems = parse_yaml(text, str(path))
    return Document(path, content, root, problems)


def _content(path: Path) -> bytes:
    if "\0" in str(path):
        raise UsageError(f"no file can be called {shown(path)}", next_step="give the path of an experiment")
    if path.suffix not in _SUFFIXES:
        hint = f"Chaos Toolkit reads {', '.join(_SUFFIXES)}"
        raise UsageError(f"{path} does not end in .yaml, .yml or .json", next_step=hint)
    try:
        # A pipe or a device would block, or never end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError(f"{path} is not a regular file", next_step="give the path of an experiment")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"can't read {path}: {reason}", next_step=_next_step(error, path)) from error
    if len(content) > MOST_BYTES:
        size = "larger than 1 MiB, which no experiment needs"
        raise InvalidFile(str(path), [Problem(0, 0, size, "generated data belongs in files of its own")])
    return content


def _next_step(error: OSError, path: Path) -> str:
    if isinstance(error, PermissionError):
        return f"make it readable: chmod u+r {path}"
    if "://" in str(path) or str(path).startswith(("http:/", "https:/")):
        return "download it first: what runs must be what was reviewed"
    return "give the path of an experiment"
