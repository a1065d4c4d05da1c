"""Standard output and standard error as the commands use them: strict for facts, forgiving for a run.

Facts that could not be written must not look like success. But a run must go on, and undo what it injected,
whatever becomes of the terminal that shows it, and its exit code must be the verdict's even if nobody could
be told the verdict: a forgiving stream that failed once falls silent.
"""

from __future__ import annotations

import errno
import os
import select
import shutil
import sys
from collections.abc import Mapping
from typing import TextIO

import click

from chaosdrill import redact

#: Texts are made to fit this many columns where nobody says how wide the place is.
COLUMNS = 80
#: Long lines are hard to read; a wider terminal gets no longer ones, apart from tables.
WIDEST = 100


class Stream:
    """One output stream, by its text file; None is a stream that was closed before we were started."""

    def __init__(
        self, file: TextIO | None, environ: Mapping[str, str] = os.environ, *, forgiving: bool = True
    ) -> None:
        self.forgiving = forgiving
        self.dead = False
        self._file = file
        self._descriptor = _descriptor(file)
        self.encoding = (getattr(file, "encoding", None) or "utf-8").lower()
        self.terminal = self._descriptor is not None and os.isatty(self._descriptor)
        self.kind = environ.get("TERM", "")
        # https://no-color.org: set and not empty means no colour.
        self.colour = self.terminal and not environ.get("NO_COLOR") and self.kind not in ("", "dumb")

    @property
    def descriptor(self) -> int | None:
        """The file descriptor below, None when there is none."""
        return self._descriptor

    @property
    def unicode(self) -> bool:
        """Whether more than ASCII can be shown; the Linux console has hardly any other glyphs."""
        return self.encoding.replace("-", "") in ("utf8", "utf16", "utf32") and self.kind != "linux"

    @property
    def columns(self) -> int:
        """How wide texts may be: the terminal's width within reason, and 80 where there is no terminal."""
        wide = shutil.get_terminal_size((COLUMNS, 24)).columns if self.terminal else COLUMNS
        return max(20, min(wide, WIDEST))

    def line(self, text: str = "") -> None:
        """Write one line, as `write` does."""
        self.write(text + "\n")

    def write(self, text: str) -> None:
        """Write `text` now, secrets masked, past every buffer; after the first failure nothing any more.

        Raises OSError for that failure, unless the stream is forgiving.
        """
        if self.dead:
            return
        try:
            self._write(redact.known.text(text))
        except (OSError, ValueError) as error:
            self._fall_silent()
            if not self.forgiving:
                number = error.errno if isinstance(error, OSError) and error.errno else errno.EBADF
                raise OSError(number, os.strerror(number), "standard output") from error

    def _write(self, text: str) -> None:
        if self._file is None:
            raise ValueError("this stream was never open")
        self._file.flush()
        if self._descriptor is None:
            self._file.write(text)
        else:
            _write_all(self._descriptor, text.encode(self.encoding, errors="replace"))

    def paint(self, text: str, **style: bool | str) -> str:
        """Return `text` in `style` (click.style's words) where colours are shown, else as it is."""
        return click.style(text, **style) if self.colour else text  # type: ignore[arg-type]

    def _fall_silent(self) -> None:
        self.dead = True
        if self._descriptor is None:
            return
        try:
            # What other code still holds in its buffer must not fail when Python flushes it at the end.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._descriptor)
            os.close(nowhere)
        except OSError:
            return


def stdout(*, forgiving: bool = False) -> Stream:
    """Return this process's standard output: for facts, or `forgiving` for what a run shows of itself."""
    return Stream(sys.stdout, forgiving=forgiving)


def stderr() -> Stream:
    """Return this process's standard error; when it can't be written there is nobody left to tell."""
    return Stream(sys.stderr)


def _descriptor(file: TextIO | None) -> int | None:
    try:
        return file.fileno() if file is not None else None
    except (OSError, ValueError):
        return None


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            # Somebody who shares this pipe has made it non-blocking, as CI runners do.
            select.select([], [descriptor], [])
