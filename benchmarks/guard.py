"""From a breach to the first undo, beside Chaos Toolkit's safeguards addon in the same run."""

from __future__ import annotations

import random
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.safeguards import Round, ours, sandbox, theirs

#: Seconds in which a breach is to be noticed, and how many rounds each is measured in.
PERIODS = ((1.0, 10), (5.0, 6))
#: What the undo may take on top of the period, in seconds.
ALLOWANCE = 0.05
#: At most this share of the addon's median.
SHARE = 0.2


def measure() -> list[dict[str, Any]]:
    """Return rows per period: median and worst beside the addon's, of our undo and of the rollback."""
    dice = random.Random(4)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="cd-") as folder, sandbox(Path(folder)) as environment:
        for period, rounds in PERIODS:
            mine: list[Round] = []
            other: list[Round] = []
            for _ in range(rounds):
                # In turn, so that a drifting machine drifts for both; at any point of the period.
                after = 0.3 + dice.random() * period
                mine.append(ours(Path(folder), environment, period, after))
                other.append(theirs(Path(folder), environment, period, after))
            rows += _rows(period, mine, other)
    return rows


def _rows(period: float, mine: Sequence[Round], other: Sequence[Round]) -> list[dict[str, Any]]:
    undo = [one.undo if one.undo is not None else float("inf") for one in mine]
    rollback = [one.rollback for one in mine]
    peer = [one.rollback for one in other]
    found = []
    for name, seconds in (("first undo", undo), ("rollback at the target", rollback)):
        median, their_median = statistics.median(seconds), statistics.median(peer)
        ratio = median / their_median
        row = {"name": f"breach to {name}, period {period:g} s, median of {len(seconds)}", "unit": "s"}
        row |= {"value": round(median, 4), "peer": round(their_median, 3), "ratio": round(ratio, 3)}
        found.append(row | {"goal": f"<= {SHARE:g}x", "met": ratio <= SHARE})
        worst = max(seconds)
        row = {"name": f"breach to {name}, period {period:g} s, worst", "unit": "s"}
        row |= {"value": round(worst, 4), "peer": round(max(peer), 3), "ratio": round(worst / max(peer), 3)}
        found.append(row | {"goal": period + ALLOWANCE, "met": worst <= period + ALLOWANCE})
    return found
