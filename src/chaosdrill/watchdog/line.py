"""The runner's end of the line to its watchdog. Standard library only: it is started before anything else.

On the line: 'A' and JSON arms (with descriptors beside it), 'B' and seconds is a beat, 'R' a rest, 'D' the
end, each with a line feed. Back comes 'a' when armed, and 'f' when the run was taken from this process.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from chaosdrill.clock import SystemClock
from chaosdrill.errors import Refused, RunFenced

#: How long the watchdog may take to load what undoes, in seconds.
ARMED_WITHIN = 10.0
#: Silence after a beat that counts as a hang, in seconds of the monotonic clock.
SILENCE = 5.0
#: Beats nearer to each other than this are not sent.
_BEAT_EVERY = 0.5


class Line:
    """One watchdog: `arm`, `armed`, `beat` while the run goes on, `rest` while it is recorded, `done`.

    Silence counts as a hang only from the first beat to `rest`: before, people may take their time to say
    that they are ready; afterwards everything is undone already. That this process is gone is seen at any
    time between `arm` and `done`.
    """

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._heard = b""
        self._sent = 0.0

    @property
    def pid(self) -> int:
        """The watchdog's process id; 0 when it could not be started."""
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        """Whether somebody is there to take over."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the watchdog in a session of its own; `armed` says so when that can't be done."""
        ours, theirs = socket.socketpair()
        script = Path(__file__).with_name("__main__.py")
        told = {"runner": os.getpid(), "path": _search_path(), "line": theirs.fileno()}
        try:
            # Bare: neither site-packages nor variables of Python's change what it is made of.
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(script), json.dumps(told)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                cwd="/",
            )
            self._socket = ours
        except OSError:
            ours.close()
        finally:
            theirs.close()

    def arm(self, orders: Mapping[str, Any], descriptors: Sequence[int]) -> None:
        """Hand over what the watchdog needs to finish the run without us; it loads while we go on.

        `orders`: folder, engine, faults, request (see pipeline). `descriptors` are kept open until the run is
        done: the lock of its target.
        """
        if self._socket is None:
            return
        message = b"A" + json.dumps({**orders, "cwd": _here()}, default=str).encode() + b"\n"
        with suppress(OSError):
            sent = socket.send_fds(self._socket, [message], list(descriptors))
            self._socket.sendall(message[sent:])

    def armed(self) -> None:
        """Wait until the watchdog is ready to undo, at most 10 s. Raises Refused when it is not."""
        deadline = self._clock.mono() + ARMED_WITHIN
        while b"a" not in self._heard:
            left = deadline - self._clock.mono()
            if not self.alive or left <= 0 or not self._listen(min(left, 0.2)):
                raise Refused(
                    "not injecting: the watchdog does not answer, so nobody would undo if this process died",
                    next_step="try again; see watchdog.log in the run folder",
                )

    def beat(self, patience: float = SILENCE) -> None:
        """Say that this process lives and decides; `patience` in seconds, until the next beat must be there.

        Raises RunFenced when the run was taken from this process meanwhile.
        """
        self._listen(0.0)
        if b"f" in self._heard:
            raise RunFenced(
                "this process gave no sign of life, so the watchdog has undone the run and recorded it",
                next_step="see: chaosdrill status, chaosdrill show last",
            )
        now = self._clock.mono()
        if patience != SILENCE or now - self._sent >= _BEAT_EVERY:
            self._sent = now
            self._tell(b"B%g\n" % patience)

    def rest(self) -> None:
        """Say that everything is undone, so that no beat is to be waited for any more. Raises RunFenced."""
        self.beat()
        self._tell(b"R\n")

    def done(self) -> None:
        """Say that the run is over and recorded, so that the watchdog ends. Right when called twice."""
        line, self._socket = self._socket, None
        if line is None or self._process is None:
            return
        with suppress(OSError):
            line.setblocking(True)
            line.settimeout(1.0)
            line.sendall(b"D\n")
        line.close()
        # It has nothing more to do; whoever ends at once would leave it to be waited for by nobody.
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)

    def _tell(self, message: bytes) -> None:
        if self._socket is not None:
            # A watchdog that is slow has enough to read already; one that is gone is seen by `alive`.
            with suppress(OSError):
                self._socket.send(message, socket.MSG_DONTWAIT)

    def _listen(self, seconds: float) -> bool:
        """Take in what the watchdog says; return False when it has hung up."""
        if self._socket is None:
            return False
        if seconds:
            select.select([self._socket], [], [], seconds)
        try:
            said = self._socket.recv(64, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._heard += said
        return bool(said)


def _search_path() -> list[str]:
    """Return where modules are found now, for a process that lives elsewhere; never the working directory."""
    package = str(Path(__file__).parents[2])
    return list(dict.fromkeys([package, *(str(Path(place).absolute()) for place in sys.path if place)]))


def _here() -> str:
    try:
        return str(Path.cwd())
    except OSError:
        return "/"


_spare: Line | None = None


def start_spare() -> None:
    """Start a watchdog while other things are loaded; the first `started` hands it out."""
    global _spare  # noqa: PLW0603 - a process has one command line, and at most one head start
    _spare = Line()
    _spare.start()


def end_spare() -> None:
    """End the watchdog of `start_spare` if nobody took it."""
    if _spare is not None:
        _spare.done()


def started() -> Line:
    """Return a watchdog that has been started: the spare one, or a new one."""
    global _spare
    line, _spare = _spare, None
    if line is None:
        line = Line()
        line.start()
    return line
