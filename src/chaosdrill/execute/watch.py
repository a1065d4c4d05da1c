"""The guard at work: every sample and every answer is held against the stop conditions the moment it comes.

Samples are judged in the thread that took them, checks in threads of their own; only the first breach is
reported, and reporting must not block. Whatever only time can tell, silence above all, is for `tick`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from chaosdrill.execute.guard import Breach, CheckPoint, Guard
from chaosdrill.execute.windows import Windows
from chaosdrill.ports import CheckAnswer, Clock, StopCheck

if TYPE_CHECKING:
    # Typed only: a plain Chaos Toolkit file never waits for pydantic before it is played.
    from chaosdrill.model.experiment import StopCondition

#: A check is asked so often within the time that it promises; half of that time is for one answer.
ASKS = 4


class Watch:
    """All stop conditions of one run; `checks` belong to those conditions that are no signals, in order."""

    def __init__(
        self,
        conditions: Sequence[StopCondition],
        windows: Windows,
        checks: Sequence[StopCheck],
        clock: Clock,
        report: Callable[[Breach], None],
    ) -> None:
        now = clock.now()
        self._windows = windows
        self._checks = checks
        self._clock = clock
        self._report = report
        self._guard = Guard(conditions, windows)
        self.points = [CheckPoint(condition, now) for condition in conditions if not condition.signal]
        self.running = False
        self._ready = now
        self._ended = threading.Event()
        self._reported = threading.Lock()
        windows.listen(self.sampled)

    def start(self, settling: float) -> None:
        """Begin to ask, and count silence from now.

        For the first `settling` seconds signals are not judged: a window with a single sample in it says
        nothing. Nothing is injected in that time.
        """
        now = self._clock.now()
        self.running = True
        self._ready = now + settling
        self._windows.start(now)
        self.points = [CheckPoint(point.condition, now) for point in self.points]
        for point, check in zip(self.points, self._checks, strict=True):
            thread = threading.Thread(
                target=self._keep_asking, args=(point, check), name="guard-check", daemon=True
            )
            thread.start()

    def stop(self) -> None:
        """Ask no more and report no more; waits for nobody, because undoing comes next.

        Right when called twice, and when never started.
        """
        self.running = False
        self._ended.set()

    @property
    def sees(self) -> bool:
        """Whether every check has told something; what has never been seen protects nobody."""
        return all(point.told for point in self.points)

    def sampled(self, source: str) -> None:
        """Hold the newest sample of `source` against the conditions on it."""
        now = self._clock.now()
        if now >= self._ready and not self._ended.is_set():
            self._tell(self._guard.breach(now, source))

    def answered(self, point: CheckPoint, answer: CheckAnswer) -> None:
        """Hold the answer of a check against its condition."""
        self._tell(point.hear(answer, self._clock.now()))

    def tick(self) -> None:
        """Look at everything once more: what no sample and no answer can tell is that none came."""
        now = self._clock.now()
        breach = self._guard.breach(now) if now >= self._ready else None
        breach = breach or self._guard.blind(self._windows.last_seen, self._windows.intervals, now)
        for point in self.points:
            breach = breach or point.blind(now)
        self._tell(breach)

    def _tell(self, breach: Breach | None) -> None:
        # Taken and never given back: the first breach is the one that counts.
        if breach is not None and not self._ended.is_set() and self._reported.acquire(blocking=False):
            self._report(breach)

    def _keep_asking(self, point: CheckPoint, check: StopCheck) -> None:
        condition = point.condition
        period, start, turn = condition.promise / ASKS, self._clock.mono(), 0
        while not self._clock.wait(self._ended, start + turn * period - self._clock.mono()):
            self.answered(point, check.ask(condition.patience))
            # What an answer that took long has held up is not made up for.
            turn = max(turn + 1, int((self._clock.mono() - start) / period) + 1)
        check.close()
