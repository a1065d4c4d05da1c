"""The monitor that aborts: stop conditions over what the signals say, evaluated at once, and failing closed.

A guard that sees nothing aborts too: a condition on a signal that has fallen silent protects nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from chaosdrill.model.signal import format_value

if TYPE_CHECKING:
    # Typed only: a plain Chaos Toolkit file never waits for pydantic before it is played.
    from chaosdrill.model.experiment import StopCondition


#: A source is blind when nothing has come from it for this many of its own intervals, and at least so long.
BLIND_INTERVALS = 3.0
BLIND_SECONDS = 5.0
#: A condition looks at the last second, or at three readings where they come slower than that.
WINDOW_SECONDS = 1.0
WINDOW_INTERVALS = 3.0


class Window(Protocol):
    """The last moments of every signal."""

    def value(self, signal: str, now: float) -> tuple[float | None, int]:
        """Return what `signal` ('pay.availability') says now, and the number of samples behind it."""


@dataclass(frozen=True, slots=True)
class Breach:
    """Why to abort: `rule` in words, and what was seen."""

    rule: str
    seen: str


class Guard:
    """Stop conditions, each of which must stay true for the whole of its `for`."""

    def __init__(self, conditions: Sequence[StopCondition], window: Window) -> None:
        self._conditions = conditions
        self._window = window
        self._true_since: dict[int, float] = {}

    def breach(self, now: float) -> Breach | None:
        """Return the first condition that has been true for its whole `for`, or None; `now` epoch seconds."""
        for number, condition in enumerate(self._conditions):
            value, _ = self._window.value(condition.signal, now)
            if value is None:
                continue  # Silence resets nothing: whether it goes on too long is for `blind` to say.
            if not condition.allows(value):
                self._true_since.pop(number, None)
                continue
            since = self._true_since.setdefault(number, now)
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
            if silence > max(BLIND_SECONDS, BLIND_INTERVALS * intervals[source]):
                rule = f"{source} fell silent, so {condition.sentence()} can't be watched"
                return Breach(rule, f"nothing for {silence:.1f} s")
        return None
