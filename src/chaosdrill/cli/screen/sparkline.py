"""A minute of one signal in one line of text, scaled so that its limit is in the picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.text import Text

from chaosdrill.execute.sampling import HISTORY, Reading
from chaosdrill.model.signal import SERIES, Series

if TYPE_CHECKING:
    # Typed only: a plain Chaos Toolkit file never waits for pydantic before it is played.
    from chaosdrill.model.experiment import Bound


BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.-:=+*#"
GAP = " "


def sparkline(reading: Reading, bound: Bound | None, cells: int, unicode: bool = True) -> Text:
    """Return the last minute in `cells` characters, the newest at the right.

    Where a cell stands for several seconds it shows the worst of them, so that no spike is lost; a cell
    without a reading is a gap. Cells on the wrong side of `bound` are red: the words beside the line say so
    too.
    """
    series = SERIES[reading.signal.rsplit(".", 1)[-1]]
    points = _squeezed(reading.history, cells, series)
    low, high = _scale([p for p in points if p is not None], bound, series)
    shapes = BLOCKS if unicode else ASCII
    line = Text()
    for point in points:
        if point is None:
            line.append(GAP)
            continue
        wrong = bound is not None and not bound.allows(point)
        level = 0 if high <= low else math.floor((point - low) / (high - low) * (len(shapes) - 1) + 0.5)
        line.append(shapes[max(0, min(level, len(shapes) - 1))], style="red" if wrong else "cyan")
    return line


def _squeezed(history: tuple[float | None, ...], cells: int, series: Series) -> list[float | None]:
    per_cell = math.ceil(HISTORY / cells)
    cells = min(cells, HISTORY // per_cell)
    padded: list[float | None] = [*(None for _ in range(HISTORY - len(history))), *history]
    points: list[float | None] = []
    # Counted from the end: the newest cell is always a full one.
    for end in range(HISTORY, HISTORY - per_cell * cells, -per_cell):
        seen = [v for v in padded[end - per_cell : end] if v is not None]
        points.append((min(seen) if series.better == "higher" else max(seen)) if seen else None)
    return points[::-1]


def _scale(seen: list[float], bound: Bound | None, series: Series) -> tuple[float, float]:
    limits = [bound.threshold] if bound is not None else []
    if series.unit == "share" and series.better == "higher":
        # 99.9 % against 100 % must not look the same: it begins as far below the limit as 100 % is above.
        return min([2 * limit - 1 for limit in limits] + seen, default=0.0), 1.0
    return 0.0, max([*limits, *seen], default=0.0)
