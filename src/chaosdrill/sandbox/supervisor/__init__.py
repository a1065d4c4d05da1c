"""The process that starts the sandbox's parts, keeps them alive, scales them and ends faults on time."""
