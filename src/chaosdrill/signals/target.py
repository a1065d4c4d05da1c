"""Gauges of one service of the target system: how many are ready, restarts, CPU, the breaker.

The target's own client does the reading; this module keeps the schedule, and turns a reading that failed into
samples that say so, because a blind signal must be seen to be blind.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any, Protocol

from chaosdrill.errors import ChaosdrillError, TargetUnreachable
from chaosdrill.model.signal import GAUGE_SERIES, Sample
from chaosdrill.ports import Clock

#: How long `stop` waits for a reading that is under way.
_PATIENCE = 2.0


class SeriesReader(Protocol):
    """What can read a target system; the sandbox's client is one."""

    def series(self, service: str) -> Mapping[str, float | None]:
        """Return the readings of `service` by series ('ready': 3.0); None for one that can't be told.

        Raises ChaosdrillError or OSError when the system does not answer.
        """


class TargetSignal:
    """The signal of a `target` source: samples `name.ready`, `name.cpu` and so on, one each per reading."""

    def __init__(self, name: str, service: str, every: float, clock: Clock, reader: SeriesReader) -> None:
        self.signal = name
        self._service = service
        self._every = max(0.01, every)
        self._clock = clock
        self._reader = reader
        self._seen: set[str] = set()
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def check(self) -> None:
        """Read once; raise TargetUnreachable unless there is something to read."""
        try:
            found = self._read()
        except (ChaosdrillError, OSError, ValueError, HTTPException) as error:
            raise self._unreachable(str(error)) from error
        if all(value is None for value in found.values()):
            raise self._unreachable("it has no reading")

    def start(self, sink: Callable[[Sample], Any]) -> None:
        """Begin now; `sink` is called from one thread."""
        name = f"{self.signal}-reader"
        self._thread = threading.Thread(target=self._keep_reading, args=(sink,), name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let a reading that is under way finish, for up to 2 s, then end."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_PATIENCE)
        self._ended.set()

    def _keep_reading(self, sink: Callable[[Sample], Any]) -> None:
        start, tick = self._clock.mono(), 0
        while not self._clock.wait(self._stopping, start + tick * self._every - self._clock.mono()):
            for sample in self._samples():
                if not self._ended.is_set():
                    sink(sample)
            # A reading that took long leaves a gap; the ones that it held up are not made up for.
            tick = max(tick + 1, int((self._clock.mono() - start) / self._every) + 1)

    def _samples(self) -> list[Sample]:
        moment = self._clock.now()
        try:
            found = self._read()
        except (ChaosdrillError, OSError, ValueError, HTTPException):
            found = dict.fromkeys(self._seen or GAUGE_SERIES)
        return [
            Sample(
                moment,
                f"{self.signal}.{series}",
                value,
                value is not None,
                "" if value is not None else "error",
            )
            for series, value in found.items()
        ]

    def _read(self) -> dict[str, float | None]:
        read = self._reader.series(self._service)
        found = {name: None if value is None else float(value) for name, value in read.items()}
        known = {name: value for name, value in found.items() if name in GAUGE_SERIES}
        self._seen.update(known)
        # A series that has vanished is a reading that failed, not a series that never was.
        return {**dict.fromkeys(self._seen), **known}

    def _unreachable(self, cause: str) -> TargetUnreachable:
        return TargetUnreachable(
            f"signal {self.signal}: service {self._service} cannot be read: {cause}",
            next_step="see that the target system is up (chaosdrill status), or correct the service's name",
        )
