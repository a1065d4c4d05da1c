"""The engine's log: what Chaos Toolkit logs and what activities print, in one file, secrets masked.

Everything that writes to descriptors 1 and 2 of the engine's process is read from a pipe and masked line by
line, because a secret turns up in what a client library prints as well as in a log message.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

from chaosdrill.redact import Redactor

#: A line that is longer is written in parts of this many bytes.
LONGEST_LINE = 1 << 20
#: How long the end waits, in seconds, for what is on its way; a process left behind may keep the pipe open.
PATIENCE = 1.0


class EngineLog:
    """Takes over this process's standard output and standard error until it is closed."""

    def __init__(self, path: Path, redactor: Redactor) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._redactor = redactor
        self._reading, writing = os.pipe()
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os.close(writing)
        self._reader = threading.Thread(target=self._copy, name="log", daemon=True)
        self._reader.start()

    def close(self) -> None:
        """Write what is left; whatever is printed afterwards is lost."""
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        self._reader.join(PATIENCE)

    def _copy(self) -> None:
        rest = b""
        while data := os.read(self._reading, 1 << 16):
            whole, newline, rest = (rest + data).rpartition(b"\n")
            self._write(whole + newline)
            if len(rest) > LONGEST_LINE:
                self._write(rest)
                rest = b""
        self._write(rest)

    def _write(self, data: bytes) -> None:
        text = self._redactor.text(data.decode("utf-8", errors="surrogateescape"))
        left = text.encode("utf-8", errors="surrogateescape")
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError:
            # A disk that is full costs the log, and must not hold up an activity that prints.
            return
