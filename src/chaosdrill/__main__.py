"""Where `chaosdrill` and `python -m chaosdrill` begin."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def main() -> None:
    """Run the command line and exit with its answer.

    `run` starts its engine and its watchdog first of all: they load while we do.
    """
    arguments = sys.argv[1:]
    if arguments[:1] != ["run"]:
        _leave(_answer(arguments))
    from chaosdrill.ctk import process

    process.start_spare()
    # The watchdog after it, because that is ready sooner; from the main thread, which ends last.
    from chaosdrill.watchdog import line

    line.start_spare()
    try:
        code = _answer(arguments)
    finally:
        process.end_spare()
        line.end_spare()
    _leave(code)


def _answer(arguments: list[str]) -> int:
    try:
        from chaosdrill.cli.main import run

        return run(arguments)
    except KeyboardInterrupt:
        # Before the command line could say it better: while it was loading.
        sys.stderr.write("chaosdrill: interrupted\n")
        return 4


def _leave(code: int) -> None:
    """End at once: everything is written and closed, and taking the interpreter apart costs 50 ms."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
