"""Whether the system is in its steady state at the end of the baseline: one that is not is left alone.

Knows criteria and what was measured; the verdict, which looks at every window of a whole run, has its own
rules and is not anticipated here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chaosdrill.model.signal import format_value
from chaosdrill.statistics import Rolling, needed

if TYPE_CHECKING:
    # Typed only: a plain Chaos Toolkit file never waits for pydantic before it is played.
    from chaosdrill.model.experiment import Criterion

_GOOD_SIDE = {"higher": ("above", "at_least"), "lower": ("below", "at_most")}


def already_broken(criteria: Sequence[Criterion], baseline: Rolling, now: float) -> list[str]:
    """Return the criteria that the baseline breaks, in words with the numbers; empty when there are none.

    Only where there were enough samples to say so. What is to be reached in time (`within`) and what only a
    fault brings about (an open breaker, a busy CPU) is no part of the steady state.
    """
    broken = []
    for criterion in criteria:
        if not _is_steady(criterion):
            continue
        value, count = baseline.value(criterion.signal, now)
        if value is None or count < needed(criterion.series, criterion.threshold):
            continue
        if not criterion.allows(value):
            shown = format_value(value, criterion.series.unit)
            broken.append(f"{criterion.sentence()}, but it is {shown} ({count:,} samples)")
    return broken


def _is_steady(criterion: Criterion) -> bool:
    if criterion.within is not None:
        return False
    better = criterion.series.better
    if better == "neither":
        return set(criterion.phase) != {"fault"}
    if criterion.comparison == "equals":
        # An open breaker is what a fault brings about; a closed one is health.
        return better == "higher" or criterion.threshold == 0
    return criterion.comparison in _GOOD_SIDE[better]
