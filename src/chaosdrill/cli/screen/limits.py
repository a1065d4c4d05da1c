"""Live values against their limits, in words: what the plain lines and the live view say of a signal.

A live value looks at the last seconds only, so being on the wrong side now is a warning and no verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from chaosdrill.execute.sampling import Reading
from chaosdrill.model.signal import SERIES, format_value

if TYPE_CHECKING:
    # Typed only: a plain Chaos Toolkit file never waits for pydantic before it is played.
    from chaosdrill.model.experiment import Bound, ChaosdrillBlock, Criterion, StopCondition


#: On which side of its limit a value is when it is on the wrong one.
_WRONG = {"above": "under", "at_least": "under", "below": "over", "at_most": "over", "equals": "off"}


class Limits(NamedTuple):
    """The criteria and stop conditions of one run, by signal."""

    criteria: tuple[Criterion, ...] = ()
    stops: tuple[StopCondition, ...] = ()
    phase: str = ""

    @classmethod
    def of(cls, block: ChaosdrillBlock | None) -> Limits:
        """Return the limits that a block sets; none without a block."""
        return cls(block.criteria, block.abort_when) if block else cls()

    def during(self, phase: str) -> Limits:
        """Return the same limits, as they count in this phase of the run."""
        return self._replace(phase=phase)

    def state(self, reading: Reading) -> str:
        """Return 'ok', 'under', 'over', 'off' (not equal), 'abort' (a stop condition's side) or 'no data'.

        A criterion that counts from the end of the fault has no wrong side before it.
        """
        value = reading.value
        if value is None or reading.count == 0:
            return "no data"
        if any(s.allows(value) for s in self.stops if s.signal == reading.signal):
            return "abort"
        bound = self.bound(reading)
        if bound is None or bound.allows(value) or _still_to_come(bound, self.phase):
            return "ok"
        return _WRONG[bound.comparison]

    def bound(self, reading: Reading) -> Criterion | None:
        """Return the criterion to show beside a reading: the first that it is on the wrong side of."""
        mine = [c for c in self.criteria if c.signal == reading.signal]
        counting = [c for c in mine if not _still_to_come(c, self.phase)]
        wrong = [c for c in counting if reading.value is not None and not c.allows(reading.value)]
        return next(iter(wrong or counting or mine), None)

    def breached(self, readings: Sequence[Reading]) -> list[tuple[StopCondition, Reading | None]]:
        """Return every stop condition with the reading that is on its side now, None when none is."""
        seen = {r.signal: r for r in readings if r.value is not None and r.count}
        found = []
        for stop in self.stops:
            reading = seen.get(stop.signal)
            bad = reading is not None and reading.value is not None and stop.allows(reading.value)
            found.append((stop, reading if bad else None))
        return found


def _still_to_come(bound: Criterion, phase: str) -> bool:
    if bound.within is not None and bound.after == "fault-end":
        return phase in ("baseline", "fault")
    return phase == "baseline"


def limit_words(bound: Bound | None) -> str:
    """Return a limit in words: 'above 99.9 %'; '' without one."""
    if bound is None:
        return ""
    return f"{bound.comparison.replace('_', ' ')} {format_value(bound.threshold, bound.series.unit)}"


def live_value(reading: Reading) -> str:
    """Return a reading in a few characters: '99.87 %', '412 ms', '3', '-' for none."""
    unit = SERIES[reading.signal.rsplit(".", 1)[-1]].unit
    if reading.value is None or reading.count == 0:
        return "-"
    if unit == "share":
        return f"{reading.value * 100:.2f}".rstrip("0").rstrip(".") + " %"
    return format_value(reading.value, unit)
