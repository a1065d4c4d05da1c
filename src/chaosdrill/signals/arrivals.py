"""An open loop: attempts at a fixed rate, whatever becomes of them.

It exists so that a stalled system cannot slow its own measurement down: every attempt is due at a moment of
its own, its latency runs from that moment, and nothing due is dropped without a sample. How an attempt is
made (HTTP, TCP) is the caller's; this module knows only that it takes a thread for a while.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

from chaosdrill.model.signal import Sample
from chaosdrill.ports import Clock

#: Idle workers beyond this many end, so that a stall leaves no crowd behind.
SPARE_WORKERS = 12

#: At most this many attempts are in flight; later ones wait for a worker, and their latency counts from when
#: they were due all the same. 256 threads hold 200 attempts per second through a stall of 1.3 s.
MOST_WORKERS = 256

#: An attempt that does not end by itself this long after its time-out is given up on.
_GRACE = 0.1

#: How many dispatch errors are kept for benchmarks.
_KEPT = 10_000


class Result(NamedTuple):
    """What became of one attempt: as expected or not, and the `detail` of its sample."""

    ok: bool
    detail: str


class Line(Protocol):
    """One way to the target, used by one worker at a time."""

    def attempt(self, deadline: float) -> Result:
        """Make one attempt and end it by `deadline` (monotonic seconds). Never raises."""

    def cancel(self) -> None:
        """Make a running `attempt` end soon, without waiting for it; called from another thread."""

    def close(self) -> None:
        """Give back what the line holds."""


class Pace(NamedTuple):
    """How often (per second), for how long (seconds from when it is due), and how many at once."""

    rate: float
    timeout: float
    most: int = MOST_WORKERS


class OpenLoop:
    """Attempts on the schedule `start + i / rate`, made by as many workers as it takes.

    Free workers each hold one of the next arrivals and sleep until it is due, so no attempt waits for a
    hand-over between threads; when the last free one goes to work, another is started.
    """

    def __init__(self, signal: str, pace: Pace, clock: Clock, new_line: Callable[[], Line]) -> None:
        self.signal = signal
        self.pace = pace
        #: Arrivals that were due while this process itself did not run: a gap, not time-outs.
        self.unobserved = 0
        self._clock = clock
        self._new_line = new_line
        self._errors: deque[float] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._stop_at = math.inf
        self._next = 0
        self._free = 0
        self._most = pace.most
        self._behind = False
        self._flying: dict[int, Line] = {}
        self._workers: set[threading.Thread] = set()
        self._emit: Callable[[Sample], Any] = _nowhere
        self._keeper = threading.Thread(target=self._keep, name=f"{signal}-keeper", daemon=True)
        self._mono = self._epoch = 0.0

    def start(self, sink: Callable[[Sample], Any]) -> None:
        """Begin now; `sink` is called from many threads and must not block."""
        self._emit = sink
        self._mono, self._epoch = self._clock.mono(), self._clock.now()
        self._keeper.start()
        for _ in range(min(SPARE_WORKERS, self._most, 2 + int(self.pace.rate / 5))):
            self._grow()

    def stop(self) -> None:
        """Make what was due by now, wait for its answers (at most the time-out), then end."""
        with self._lock:
            if not self._stopping.is_set():
                self._stop_at = self._clock.mono()
                self._stopping.set()
        if self._keeper.is_alive():
            self._keeper.join()

    def dispatch_errors(self) -> list[float]:
        """Return how late, in seconds, each of the last 10,000 attempts began."""
        return list(self._errors)

    @property
    def workers(self) -> int:
        """How many threads make attempts now."""
        return len(self._workers)

    def _due(self, arrival: int) -> float:
        return self._mono + arrival / self.pace.rate

    def _grow(self) -> None:
        """Start one worker; where the system refuses, make do with those there are."""
        worker = threading.Thread(target=self._work, name=f"{self.signal}-worker", daemon=True)
        with self._lock:
            self._free += 1
            self._workers.add(worker)
        try:
            worker.start()
        except RuntimeError:
            with self._lock:
                self._free -= 1
                self._workers.discard(worker)
                self._most = len(self._workers)

    def _work(self) -> None:
        line = self._new_line()
        try:
            arrival = self._claim(free=True)
            while arrival is not None and self._wait_for(arrival):
                if self._take_off(arrival, line):
                    self._grow()
                self._make(arrival, line)
                arrival = self._claim(free=False)
        finally:
            line.close()
            with self._lock:
                self._workers.discard(threading.current_thread())

    def _claim(self, *, free: bool) -> int | None:
        """Return the next arrival to wait for; None when this worker is one too many, or all is over."""
        with self._lock:
            self._free -= free
            if self._free >= SPARE_WORKERS:
                return None
            missed = self._missed()
            arrival = self._next if self._due(self._next) <= self._stop_at else None
            if arrival is not None:
                self._behind = self._behind and self._due(arrival) <= self._clock.mono()
                self._free += 1
                self._next += 1
        self._time_out(missed)
        return arrival

    def _wait_for(self, arrival: int) -> bool:
        """Sleep until `arrival` is due; return False when the end comes first."""
        while (left := self._due(arrival) - self._clock.mono()) > 0:
            if self._clock.wait(self._stopping, left) and self._due(arrival) > self._stop_at:
                with self._lock:
                    self._free -= 1
                return False
        return True

    def _take_off(self, arrival: int, line: Line) -> bool:
        """Note that `arrival` is being made; return whether another worker should come, nobody being free."""
        with self._lock:
            self._flying[arrival] = line
            self._free -= 1
            if self._free > 0:
                return False
            if len(self._workers) < self._most and not self._stopping.is_set():
                return True
            self._behind = True
            return False

    def _make(self, arrival: int, line: Line) -> None:
        due, timeout = self._due(arrival), self.pace.timeout
        late = self._clock.mono() - due
        if late > timeout:
            if self._land(arrival):
                self._time_out([arrival] if self._behind else [])
                self.unobserved += not self._behind
            return
        self._errors.append(late)
        result = line.attempt(due + timeout)
        waited = self._clock.mono() - due
        if not self._land(arrival):
            return
        if waited > timeout:
            result = Result(False, "timeout")
        answered = result.detail not in ("refused", "reset", "error")
        self._sample(arrival, waited if answered else None, result)

    def _land(self, arrival: int) -> bool:
        """Return whether `arrival` was still open; whoever closes it hands over its sample."""
        with self._lock:
            return self._flying.pop(arrival, None) is not None

    def _missed(self) -> list[int]:
        """Take the arrivals whose time-out passed before any worker came; the lock is held.

        While every worker is busy that is the target's doing, and they count as time-outs. Otherwise this
        process was not running, and they are not observed.
        """
        now, missed = self._clock.mono(), []
        while (due := self._due(self._next)) + self.pace.timeout < now and due <= self._stop_at:
            if self._behind:
                missed.append(self._next)
            else:
                self.unobserved += 1
            self._next += 1
        return missed

    def _time_out(self, arrivals: Iterable[int]) -> None:
        for arrival in arrivals:
            self._sample(arrival, self._clock.mono() - self._due(arrival), Result(False, "timeout"))

    def _sample(self, arrival: int, value: float | None, result: Result) -> None:
        moment = self._epoch + arrival / self.pace.rate
        self._emit(Sample(moment, self.signal, value, result.ok, result.detail))

    def _keep(self) -> None:
        """Settle what no worker settles in time: attempts that hang, and arrivals that nobody is free for."""
        pulse = threading.Event()
        while self._running():
            before = self._clock.mono() - self.pace.timeout - _GRACE
            with self._lock:
                missed = self._missed()
                hanging = [arrival for arrival in self._flying if self._due(arrival) < before]
                for arrival in hanging:
                    # Under the lock, so that the worker can't be at its next attempt by now.
                    self._flying.pop(arrival).cancel()
            self._time_out([*missed, *hanging])
            if self._clock.wait(self._stopping, _GRACE):
                self._clock.wait(pulse, _GRACE / 10)

    def _running(self) -> bool:
        """Return False once stopped and done, or stopped and out of patience with a worker that hangs."""
        with self._lock:
            if not self._stopping.is_set():
                return True
            return bool(self._workers) and self._clock.mono() < self._stop_at + self.pace.timeout + 3 * _GRACE


def _nowhere(_sample: Sample) -> None:
    return None
