"""The monitor that aborts: stop conditions over signals and checks, failing closed.

A guard that sees nothing aborts too: a condition on a signal that has fallen silent protects nobody. Pure
decisions on readings and moments; who feeds it, and what an abort does, is not known here.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from chaosdrill.ports import CheckAnswer

if TYPE_CHECKING:
    # Typed only: a plain Chaos Toolkit file never waits for pydantic before it is played.
    from chaosdrill.model.experiment import StopCondition


#: A source is blind when nothing has come from it for this many of its own intervals, and at least so long.
BLIND_INTERVALS = 3.0
BLIND_SECONDS = 5.0
#: A check is blind when it could tell nothing for so long beyond what it promises.
BLIND_GRACE = 0.5

_COMPARE = {
    "above": operator.gt,
    "below": operator.lt,
    "at_least": operator.ge,
    "at_most": operator.le,
    "equals": operator.eq,
}


class Window(Protocol):
    """The last moments of every signal."""

    def value(self, signal: str, now: float) -> tuple[float | None, int]:
        """Return what `signal` ('pay.availability') says now, and the number of samples behind it."""

    def newest(self, signal: str) -> float | None:
        """Return when its newest sample became known, in epoch seconds; None before the first."""


class Breach(NamedTuple):
    """Why to abort: `rule` in words, what was seen, and `at` which reading (epoch seconds)."""

    rule: str
    seen: str
    at: float


class _Rule:
    """One condition on a signal, with its limit worked out once: it is compared with every sample."""

    def __init__(self, condition: StopCondition) -> None:
        self.condition = condition
        self.source = condition.source
        self.since: float | None = None
        self._bad = _COMPARE[condition.comparison]
        self._limit = condition.threshold

    def breach(self, window: Window, now: float) -> Breach | None:
        condition = self.condition
        value, _ = window.value(condition.signal, now)
        if value is None:
            return None  # Silence resets nothing: whether it goes on too long is for `blind` to say.
        if not self._bad(value, self._limit):
            self.since = None
            return None
        if self.since is None:
            self.since = now
        if now - self.since < condition.for_:
            return None
        seen = window.newest(condition.signal)
        return Breach(condition.sentence(), condition.format(value), now if seen is None else min(now, seen))


class Guard:
    """Conditions on signals, each of which must stay true for its whole `for`; safe from any thread."""

    def __init__(self, conditions: Sequence[StopCondition], window: Window) -> None:
        self._rules = [_Rule(condition) for condition in conditions if condition.signal]
        self._window = window
        self._lock = threading.Lock()

    def breach(self, now: float, source: str = "") -> Breach | None:
        """Return the first condition that has been true for its whole `for`, or None; `now` epoch seconds.

        With a `source`, only conditions on it are looked at.
        """
        with self._lock:
            for rule in self._rules:
                if not source or rule.source == source:
                    breach = rule.breach(self._window, now)
                    if breach is not None:
                        return breach
        return None

    def blind(
        self, last_seen: Mapping[str, float], intervals: Mapping[str, float], now: float
    ) -> Breach | None:
        """Return a breach when a source that a condition needs has been silent for too long."""
        for rule in self._rules:
            silence = now - last_seen[rule.source]
            if silence > blind_after(intervals[rule.source]):
                said = f"{rule.source} fell silent, so {rule.condition.sentence()} can't be watched"
                return Breach(said, f"nothing for {silence:.1f} s", now)
        return None


def blind_after(interval: float) -> float:
    """Return how long a source that samples every `interval` seconds may be silent, in seconds."""
    return max(BLIND_SECONDS, BLIND_INTERVALS * interval)


class CheckPoint:
    """One check, and since when it has been bad or could tell nothing; safe from any thread."""

    def __init__(self, condition: StopCondition, now: float) -> None:
        self.condition = condition
        self.asked = self.untold = 0
        self._lock = threading.Lock()
        self._since: float | None = None
        self._told = now
        self._said = "no answer yet"

    def hear(self, answer: CheckAnswer, now: float) -> Breach | None:
        """Take in an answer that came at `now`; return a breach when it was bad for its whole `for`."""
        with self._lock:
            self.asked += 1
            self._said = answer.seen
            if answer.bad is None:
                self.untold += 1
                return None
            self._told = now
            if not answer.bad:
                self._since = None
                return None
            if self._since is None:
                self._since = now
            if now - self._since < self.condition.for_:
                return None
            return Breach(self.condition.sentence(), answer.seen, now)

    @property
    def told(self) -> bool:
        """Whether it has ever told anything, good or bad."""
        return self.asked > self.untold

    def blind(self, now: float) -> Breach | None:
        """Return a breach when the check could tell nothing for longer than it promises."""
        with self._lock:
            silence = now - self._told
            if silence <= self.condition.promise + BLIND_GRACE:
                return None
            rule = f"the check tells nothing, so {self.condition.sentence()} can't be watched"
            return Breach(rule, f"nothing for {silence:.1f} s: {self._said}", now)
