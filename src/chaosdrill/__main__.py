"""Where `chaosdrill` and `python -m chaosdrill` begin."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its answer.

    `run` starts its engine first of all: Chaos Toolkit takes longer to load than everything of ours.
    """
    arguments = sys.argv[1:]
    if arguments[:1] != ["run"]:
        _answer(arguments)
    from chaosdrill.ctk import process

    process.start_spare()
    try:
        _answer(arguments)
    finally:
        process.end_spare()


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
