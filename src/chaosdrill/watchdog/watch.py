"""What the watchdog does all day: it waits for its runner to end, to hang, or to say that all is well.

A runner is gone when its process has ended (pidfd) or its end of the line was closed without a word; it hangs
when no beat has come for as long as the last one allowed. Knows nothing of how a run is recorded.
"""

from __future__ import annotations

import json
import os
import select
import socket
from contextlib import suppress

from chaosdrill.clock import SystemClock
from chaosdrill.watchdog.takeover import Orders, take_over

#: A watchdog that comes this much too late was stopped itself, perhaps together with its runner.
_AWAY = 1.0


class Watch:
    """One watchdog, from its start to its end."""

    def __init__(self, runner: int, line: int) -> None:
        self._clock = SystemClock()
        self._runner = runner
        self._socket = socket.socket(fileno=line)
        # Here and not as a flag of each call, because socket.recv_fds leaves its flags out.
        self._socket.setblocking(False)
        self._poll = select.poll()
        self._poll.register(line, select.POLLIN)
        self._pidfd = -1
        with suppress(OSError):
            self._pidfd = os.pidfd_open(runner)
            self._poll.register(self._pidfd, select.POLLIN)
        self._heard = b""
        self._descriptors: list[int] = []
        self._orders: Orders | None = None
        self._over = False
        self._patience = 0.0
        self._silent_from: float | None = None

    def serve(self) -> int:
        """Watch until the run is over; take over when the runner can't finish it. Return the exit status."""
        while True:
            late = self._wait()
            hung_up = not self._listen()
            if self._over:
                return 0
            if hung_up:
                return self._lost(f"process {self._runner} ended before its run was recorded")
            if late and self._silent_from is not None and self._clock.mono() >= self._silent_from:
                silence = self._clock.mono() - self._silent_from + self._patience
                with suppress(OSError):
                    # Said first: whoever wakes up must find it before doing anything else.
                    self._socket.send(b"f")
                return self._lost(f"process {self._runner} gave no sign of life for {silence:.1f} s")

    def _wait(self) -> bool:
        """Wait until there is something to hear; return True when silence has lasted too long instead."""
        if self._silent_from is None:
            self._poll.poll()
            return False
        left = self._silent_from - self._clock.mono()
        if self._poll.poll(max(0.0, left) * 1000.0):
            return False
        if self._clock.mono() > self._silent_from + _AWAY:
            self._silent_from = self._clock.mono() + self._patience
            return False
        return True

    def _listen(self) -> bool:
        """Take in all that the runner has said; return False when it has ended."""
        ended = self._pidfd >= 0 and bool(select.select([self._pidfd], [], [], 0)[0])
        while True:
            try:
                said, fds, _, _ = socket.recv_fds(self._socket, 1 << 16, 8)
            except BlockingIOError:
                return not ended
            except OSError:
                return False
            self._descriptors += fds
            if not said:
                return False
            *lines, self._heard = (self._heard + said).split(b"\n")
            for line in lines:
                self._follow(line[:1], line[1:])

    def _follow(self, word: bytes, rest: bytes) -> None:
        if word == b"A":
            self._orders = Orders.of(json.loads(rest), self._descriptors, self._clock)
            with suppress(OSError):
                self._socket.send(b"a")
        elif word == b"B":
            self._patience = float(rest)
            self._silent_from = self._clock.mono() + self._patience
        elif word == b"R":
            self._silent_from = None
        elif word == b"D":
            self._over = True

    def _lost(self, why: str) -> int:
        if self._orders is None:
            return 0  # Nothing was ever going to be injected.
        return take_over(self._orders, why, self._clock)
