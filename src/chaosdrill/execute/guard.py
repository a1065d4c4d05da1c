"""The monitor that aborts: stop conditions over what the signals say, evaluated at once, and failing closed.

A guard that sees nothing aborts too: a condition on a signal that has fallen silent protects nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from chaosdrill.model.experiment import StopCondition
from chaosdrill.model.signal import format_value

#: A source is blind when nothing has come from it for this many of its own intervals, and at least so long.
BLIND_INTERVALS = 3.0
BLIND_SECONDS = 5.0
#: A condition without `for` still looks at more than one answer.
SHORTEST_WINDOW = 1.0


class Window(Protocol):
    """The last few seconds of one source."""

    def value(self, series: str, now: float) -> tuple[float | None, int]:
        """Return the series' value over the window and the number of samples behind it."""


@dataclass(frozen=True, slots=True)
class Breach:
    """Why to abort: `rule` in words, and what was seen."""

    rule: str
    seen: str


class Guard:
    """Stop conditions with one window each, of the length of their `for`."""

    def __init__(self, conditions: Sequence[StopCondition], windows: Mapping[str, Window]) -> None:
        self._conditions = conditions
        self._windows = windows
        self._bad_since: dict[int, float] = {}

    def breach(self, now: float) -> Breach | None:
        """Return the first condition that has been true for its whole `for`, or None; `now` epoch seconds."""
        for number, condition in enumerate(self._conditions):
            window = self._windows[condition.source]
            value, count = window.value(condition.series.name, now)
            if count == 0 or value is None:
                # Silence itself is judged by `blind`, which knows how often the source should speak.
                self._bad_since.pop(number, None)
                continue
            if not condition.allows(value):
                self._bad_since.pop(number, None)
                continue
            since = self._bad_since.setdefault(number, now)
            if now - since >= condition.for_:
                return Breach(condition.sentence(), format_value(value, condition.series.unit))
        return None

    def blind(
        self, last_seen: Mapping[str, float], intervals: Mapping[str, float], now: float
    ) -> Breach | None:
        """Return a breach when a source that a condition needs has been silent for too long."""
        for condition in self._conditions:
            source = condition.source
            silence = now - last_seen[source]
            allowed = max(BLIND_SECONDS, BLIND_INTERVALS * intervals[source])
            if silence > allowed:
                rule = f"{source} fell silent, so {condition.sentence()} can't be watched"
                return Breach(rule, f"nothing for {silence:.1f} s")
        return None
