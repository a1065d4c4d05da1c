"""Where `chaosdrill` and `python -m chaosdrill` begin."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its answer.

    `run` starts its engine and its watchdog first of all: they load while we do, and Chaos Toolkit takes longest.
    """
    arguments = sys.argv[1:]
    if arguments[:1] != ["run"]:
        _answer(arguments)
    from chaosdrill.ctk import process

    process.start_spare()
    # The watchdog after it, because that is ready sooner; from the main thread, which ends last.
    from chaosdrill.watchdog import line

    line.start_spare()
    try:
        _answer(arguments)
    finally:
        process.end_spare()
        line.end_spare()


def _answer(arguments: list[str]) -> None:
    try:
        from chaosdrill.cli.main import run

        sys.exit(run(arguments))
    except KeyboardInterrupt:
        # Before the command line could say it better: while it was loading.
        sys.stderr.write("chaosdrill: interrupted\n")
        sys.exit(4)


if __name__ == "__main__":
    main()
