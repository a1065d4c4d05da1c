"""A terminal for tests: a command behind a real pseudo-terminal, and what a person would see."""

from __future__ import annotations

import codecs
import errno
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path

_BEGUN = re.compile(r"\x1b(?:\[[?0-9;]*)?$")
_CONTROL = re.compile(r"\x1b\[(\?)?([0-9;]*)([A-Za-z])|\x1b[=>()][0-9A-Za-z]?")
#: Far longer than anything takes; only a hang is ever cut off by it.
PATIENCE = 60.0


class Screen:
    """As much of a terminal as our output uses: wrapping, scrolling, moving up, erasing, a hidden cursor."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.lines: list[list[str]] = [[]]
        self.row = self.column = 0
        self.cursor_hidden = False
        self.unknown: list[str] = []
        self._begun = ""

    def feed(self, text: str) -> None:
        """Take in what a program has written."""
        text, self._begun = self._begun + text, ""
        if begun := _BEGUN.search(text):
            self._begun, text = begun.group(), text[: begun.start()]
        at = 0
        while at < len(text):
            found = _CONTROL.match(text, at)
            if found:
                self._control(found)
                at = found.end()
            else:
                self._put(text[at])
                at += 1

    @property
    def all(self) -> list[str]:
        """Every line ever shown that was not erased, the scrolled ones too."""
        return ["".join(line).rstrip() for line in self.lines]

    @property
    def visible(self) -> list[str]:
        """The lines on the screen now."""
        return self.all[self._top :]

    @property
    def _top(self) -> int:
        return max(0, len(self.lines) - self.rows)

    def _put(self, char: str) -> None:
        if char == "\r":
            self.column = 0
        elif char == "\n":
            self._down()
        elif char >= " ":
            if self.column == self.columns:
                self.column = 0
                self._down()
            line = self.lines[self.row]
            line.extend(" " * (self.column + 1 - len(line)))
            line[self.column] = char
            self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append([])

    def _control(self, found: re.Match[str]) -> None:
        private, numbers, letter = found.groups()
        if letter == "m" or letter is None:
            return
        if private and numbers == "25":
            self.cursor_hidden = letter == "l"
        elif letter == "A":
            self.row = max(self._top, self.row - int(numbers or 1))
        elif letter == "K" and numbers == "2":
            self.lines[self.row] = []
        else:
            self.unknown.append(found.group())


class Terminal:
    """A command on a pseudo-terminal of its own, as its controlling terminal."""

    def __init__(
        self,
        command: list[str],
        environment: Mapping[str, str],
        place: Path,
        size: tuple[int, int] = (80, 24),
        asked: Mapping[str, str] | None = None,
    ) -> None:
        self.screen = Screen(*size)
        self.raw = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        # What decides about the looks must not depend on who runs the tests.
        looks = ("NO_COLOR", "COLUMNS", "LINES", "TERM")
        kept = {name: value for name, value in environment.items() if name not in looks}
        self.process = subprocess.Popen(
            # Ctrl-C reaches a program through its controlling terminal only.
            ["setsid", "--ctty", "--wait", *command],
            env={**kept, "TERM": "xterm-256color", **(asked or {})},
            cwd=place,
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._master >= 0:
            os.close(self._master)
        if self.process.poll() is None:
            # A hang-up first: a run undoes what it injected, and a test that failed leaves nothing behind.
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()

    def type(self, keys: str) -> None:
        """Press keys; Ctrl-C is '\\x03'."""
        os.write(self._master, keys.encode())

    def until(self, seen: Callable[[Screen], bool]) -> None:
        """Read until the screen is as wanted. Raises AssertionError, with the screen, when it never is."""
        deadline = time.monotonic() + PATIENCE
        while not seen(self.screen):
            if not self._read(deadline):
                if seen(self.screen):
                    return
                raise AssertionError("never seen on this screen:\n" + "\n".join(self.screen.visible))

    def until_text(self, text: str) -> None:
        """Read until `text` stands in a line of the screen."""
        self.until(lambda screen: any(text in line for line in screen.visible))

    def hang_up(self) -> None:
        """Close the terminal, as somebody who closes a window does."""
        os.close(self._master)
        self._master = -1

    def end(self) -> int:
        """Read to the end; return the exit code."""
        deadline = time.monotonic() + 3 * PATIENCE
        while self._read(deadline):
            pass
        return self.process.wait(PATIENCE)

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows what is typed."""
        return bool(termios.tcgetattr(self._master)[3] & termios.ECHO)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError as error:
            # How Linux says that nobody has the other end open any more.
            if error.errno != errno.EIO:
                raise
            data = b""
        text = self._decoder.decode(data)
        self.raw += text
        self.screen.feed(text)
        return bool(data)
