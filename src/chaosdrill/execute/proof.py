"""The guard proves itself before the fault: by made-up breaches that it must see, and by silence.

They take the way of real readings (windows, watch, guard, decision), in windows and on a clock of their own,
so that no record and no real window ever holds them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from chaosdrill.clock import ManualClock
from chaosdrill.execute.guard import BLIND_GRACE, Breach, blind_after
from chaosdrill.execute.watch import Watch
from chaosdrill.execute.windows import Windows, window_of
from chaosdrill.model.signal import GAUGE_SERIES, Sample
from chaosdrill.ports import CheckAnswer, StopCheck

if TYPE_CHECKING:
    # Typed only: a plain Chaos Toolkit file never waits for pydantic before it is played.
    from chaosdrill.model.experiment import StopCondition

#: What time the shadow clock is moved on by to be on the safe side of a limit, in seconds.
_EDGE = 0.001


class Unproved(Exception):
    """A made-up reading that the guard judged wrongly: which condition, and what happened, in words."""


def prove(
    conditions: Sequence[StopCondition], checks: Sequence[StopCheck], intervals: Mapping[str, float]
) -> None:
    """Let every condition see a breach, health, and silence. Raises Unproved for the first that fails."""
    asked = iter(checks)
    for condition in conditions:
        if condition.signal:
            _Trial(condition, {condition.source: intervals[condition.source]}).signal()
        else:
            _Trial(condition, {}).check(next(asked))


class _Trial:
    """One condition under a watch of its own."""

    def __init__(self, condition: StopCondition, intervals: Mapping[str, float]) -> None:
        self._condition = condition
        self._intervals = intervals
        self._fresh()

    def _fresh(self) -> None:
        self._clock = ManualClock()
        self._windows = Windows(self._intervals)
        self._windows.start(self._clock.now())
        self._seen: list[Breach] = []
        # Without checks to ask: their answers are handed in.
        self._watch = Watch([self._condition], self._windows, (), self._clock, self._seen.append)

    def signal(self) -> None:
        """Prove a condition on a signal."""
        good, bad = self._recipe(bad=False), self._recipe(bad=True)
        interval = self._intervals[self._condition.source]
        self._judge(lambda: self._feed(good), lambda: self._feed(bad), window_of(interval))
        self._fresh()
        self._feed(good)
        self._silence(blind_after(interval), self._unreadable)

    def check(self, check: StopCheck) -> None:
        """Prove a condition on a check."""
        made_up = check.rehearse()
        self._judge(lambda: self._answer(made_up.good), lambda: self._answer(made_up.bad), 0.0)
        self._fresh()
        self._answer(made_up.good)
        limit = self._condition.promise + BLIND_GRACE
        self._silence(limit, lambda: self._answer(*made_up.blind))

    def _judge(self, good: Callable[[], object], bad: Callable[[], object], window: float) -> None:
        """Show health, then a breach for as long as it takes; a `window` is over before the next begins."""
        long_enough = max(self._condition.for_, window) + _EDGE
        for _ in range(2):
            good()
            self._clock.advance(long_enough)
        if self._seen:
            raise Unproved(f"{self._condition.sentence()}: it took a good reading for a bad one")
        bad()
        if self._condition.for_ and self._seen:
            raise Unproved(f"{self._condition.sentence()}: it did not wait for its time")
        self._clock.advance(long_enough)
        bad()
        if not self._seen:
            raise Unproved(f"{self._condition.sentence()}: it did not see a made-up breach")

    def _silence(self, limit: float, mute: Callable[[], object]) -> None:
        """Let time pass in which only `mute` is heard, which tells nothing."""
        self._clock.advance(limit / 2 + _EDGE)
        mute()
        if self._seen:
            raise Unproved(f"{self._condition.sentence()}: it took silence for a breach too early")
        self._clock.advance(limit / 2 + _EDGE)
        self._watch.tick()
        if not self._seen:
            raise Unproved(f"{self._condition.sentence()}: it did not see that nothing came")

    def _answer(self, *answers: CheckAnswer) -> None:
        for answer in answers:
            self._watch.answered(self._watch.points[0], answer)

    def _unreadable(self) -> None:
        if self._condition.series.name in GAUGE_SERIES:
            self._windows.take(Sample(self._clock.now(), self._condition.signal, None, False, "error"))

    def _feed(self, recipe: _Recipe) -> None:
        *together, last = recipe(self._clock.now())
        for sample in together:
            self._windows.add(sample)
        self._windows.take(last)

    def _recipe(self, *, bad: bool) -> _Recipe:
        """Return samples that put the signal on the bad side, or on the good one.

        Raises Unproved when none of those tried does, as for a limit that nothing can break.
        """
        for recipe in _recipes(self._condition):
            windows, now = Windows(self._intervals), self._clock.now()
            for sample in recipe(now):
                windows.take(sample)
            value, _ = windows.value(self._condition.signal, now)
            if value is not None and self._condition.allows(value) is bad:
                return recipe
        side = "bad" if bad else "good"
        raise Unproved(f"{self._condition.sentence()}: no made-up reading is on its {side} side")


_Recipe = Callable[[float], Sequence[Sample]]


def _recipes(condition: StopCondition) -> Iterator[_Recipe]:
    """Return ways to make up samples for a signal, of which some are on each side of its limit."""
    limit, name, source = condition.threshold, condition.series.name, condition.source
    for value in (0.0, 2 * limit + 1, limit / 2, limit):
        if name in GAUGE_SERIES:
            yield partial(_gauge, condition.signal, value)
        elif condition.series.unit == "seconds":
            yield partial(_slow, source, value)
        elif name == "timeouts":
            yield partial(_requests, source, 1 + math.ceil(value), math.ceil(value))
    if condition.series.unit == "share" and name not in GAUGE_SERIES:
        for count, share in ((1, 0.0), (1, 1.0), (100, limit), (10_000, limit)):
            yield partial(
                _requests, source, count, round(count * (1 - share if name == "availability" else share))
            )


def _gauge(signal: str, value: float, now: float) -> list[Sample]:
    return [Sample(now, signal, value, True)]


def _slow(source: str, seconds: float, now: float) -> list[Sample]:
    return [Sample(now - seconds, source, seconds, True, "200")]


def _requests(source: str, count: int, failed: int, now: float) -> list[Sample]:
    bad = [Sample(now, source, None, False, "timeout")] * failed
    return bad + [Sample(now, source, 0.0, True, "200")] * (count - failed)
