"""From the readings of one source to the charts of it: what is drawn, and where the limits lie.

It draws what was read and decides nothing: limits come from the experiment, judged values from the verdict.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from chaosdrill.model.run import CriterionResult
from chaosdrill.model.signal import GAUGE_SERIES, format_value
from chaosdrill.report.charts.buckets import MOST, Bucket, buckets, length
from chaosdrill.report.charts.shapes import Bars, Chart, Curve, Frame, Level, Mark, Range, when_text
from chaosdrill.statistics import Readings
from chaosdrill.units import format_duration, format_share

if TYPE_CHECKING:
    from chaosdrill.model.experiment import Bound, ChaosdrillBlock, Criterion

Gaps = tuple[tuple[float, float], ...]

#: From this ratio of the highest value to the median on, a linear axis would hide everything but the spike.
_LOG_FROM = 20.0
#: The slowest request is named where it took this many times what the slowest of any other step took.
_PEAK_FROM = 3.0
_LATENCIES = ("p50_latency", "p95_latency", "p99_latency", "max_latency")
_SHARES = ("availability", "error_rate")


class Judged:
    """The limits on one source: what the experiment asks, and what the verdict saw."""

    def __init__(
        self, source: str, block: ChaosdrillBlock | None, results: Sequence[CriterionResult], frame: Frame
    ) -> None:
        self._frame = frame
        self._results = {result.sentence: result for result in results}
        self._criteria = [c for c in block.criteria if c.source == source] if block else []
        self._stops = [s for s in block.abort_when if s.source == source] if block else []

    def levels(self, names: Iterable[str]) -> tuple[Level, ...]:
        """Return a limit, and where one window was judged what it showed, for each criterion on `names`."""
        wanted = set(names)
        found: list[Level] = []
        for criterion in self._criteria:
            if criterion.series.name not in wanted:
                continue
            start, end = self._stretch(criterion)
            if end <= start:
                continue
            show = format_value(criterion.threshold, criterion.series.unit)
            word = criterion.comparison.replace("_", " ")
            label = f"{criterion.series.title} {word} {show}"
            if criterion.within is not None:
                label += f" within {format_duration(criterion.within)}"
            found.append(Level(label, "limit", _drawn(criterion, criterion.threshold), start, end))
            level = self._seen(criterion, start, end)
            # 99.9 % available and 0.1 % failed are one line in the chart of what failed.
            if level and not any(_same_line(level, other) for other in found):
                found.append(level)
        return tuple(found)

    def asks_about(self, name: str) -> bool:
        """Return whether a criterion or a stop condition is about the series `name`."""
        return any(bound.series.name == name for bound in (*self._criteria, *self._stops))

    def marks(self, names: Iterable[str]) -> tuple[Mark, ...]:
        """Return the worst of many judged windows for each criterion on `names`."""
        wanted = set(names)
        found = []
        for criterion in self._criteria:
            result = self._results.get(criterion.sentence())
            if result is None or criterion.series.name not in wanted or not isinstance(criterion.over, float):
                continue
            if result.worst is not None and result.worst_at is not None:
                value = format_value(result.worst, criterion.series.unit)
                label = f"worst {format_duration(criterion.over)}: {criterion.series.title} {value}"
                offset = result.worst_at - self._frame.zero
                found.append(Mark(label, offset, _drawn(criterion, result.worst), quiet=True))
        return tuple(found)

    def stops(self, names: Iterable[str]) -> tuple[Level, ...]:
        """Return the stop conditions on `names`."""
        wanted, frame = set(names), self._frame
        return tuple(
            Level(
                f"stop at {format_value(s.threshold, s.series.unit)}",
                "stop",
                _drawn(s, s.threshold),
                0,
                frame.end,
            )
            for s in self._stops
            if s.series.name in wanted
        )

    def _stretch(self, criterion: Criterion) -> tuple[float, float]:
        if criterion.within is not None:
            faults = self._frame.faults
            if not faults:
                return 0.0, 0.0
            after_start = criterion.after == "fault-start"
            start = min(s for _, s, _ in faults) if after_start else max(e for _, _, e in faults)
            return start, self._frame.end
        named = [(start, end) for name, start, end in self._frame.phases if name in criterion.phase]
        return (min(s for s, _ in named), max(e for _, e in named)) if named else (0.0, 0.0)

    def _seen(self, criterion: Criterion, start: float, end: float) -> Level | None:
        """Return what one window over the whole stretch showed; None where other windows were judged."""
        result = self._results.get(criterion.sentence())
        if result is None or result.worst is None or result.windows != 1:
            return None
        if criterion.within is not None or isinstance(criterion.over, float):
            return None
        label = f"{criterion.series.title} {format_value(result.worst, criterion.series.unit)}"
        return Level(label, "seen", _drawn(criterion, result.worst), start, end)


def _same_line(one: Level, other: Level) -> bool:
    return (one.look, one.start, one.end) == (other.look, other.start, other.end) and math.isclose(
        one.value, other.value, abs_tol=1e-9
    )


def _drawn(bound: Bound, value: float) -> float:
    """Return where `value` lies in its chart: an availability is drawn as the share that failed."""
    return 1 - value if bound.series.name == "availability" else value


class _View(NamedTuple):
    """A request source, ready to be drawn; `step` is the length of a bucket in words."""

    source: str
    found: list[Bucket]
    step: str
    frame: Frame
    judged: Judged
    gaps: Gaps


def request_charts(
    source: str, readings: Readings, frame: Frame, judged: Judged, gaps: Gaps
) -> tuple[Chart, ...]:
    """Return latency, rate and failures of a request source over the whole frame."""
    seconds = length(frame.end - frame.start, len(readings))
    found = buckets(readings, frame.zero, frame.start, frame.end, seconds)
    view = _View(source, found, format_duration(seconds), frame, judged, gaps)
    charts = [_latency(view), _rate(view)]
    if judged.levels(_SHARES) or any(bucket.failed for bucket in found):
        charts.append(_failures(view))
    return tuple(charts)


def gauge_chart(signal: str, readings: Readings, frame: Frame, judged: Judged, gaps: Gaps) -> Chart:
    """Return the readings of a gauge as steps; of more than MOST, the lowest and highest of each bucket."""
    source, _, name = signal.rpartition(".")
    series = GAUGE_SERIES.get(name)
    unit, title = (series.unit, series.title) if series else ("count", name)
    points = _points(readings, frame)
    values = [value for _, value in points]
    levels = judged.levels((name,))
    top = max([*values, *(level.value for level in levels), 0.0])
    tops = {"share": max(top * 1.25, 0.05), "breaker": 2.0}
    seen = "never readable"
    if values:
        low, high = format_value(min(values), unit), format_value(max(values), unit)
        seen = f"{low} throughout" if low == high else f"between {low} and {high}"
    return Chart(
        id=f"{source}-{name}",
        title=title,
        about=f"{signal}: {len(readings):,} readings, {seen}.",
        unit=unit,
        frame=frame,
        bottom=0.0,
        top=tops.get(unit, math.ceil(top + 0.5)),
        height=110,
        shapes=(Curve(title, "gauge", _stretches(points, gaps)),),
        levels=levels,
        gaps=gaps,
    )


def _latency(view: _View) -> Chart:
    found, judged = [b for b in view.found if b.high is not None], view.judged
    runs = _runs(found)
    levels = judged.levels(_LATENCIES) + judged.stops(_LATENCIES)
    highest = max(found, key=lambda b: b.high or 0.0, default=None)
    slowest = (highest.high or 0.0) if highest else 0.0
    top = max([slowest, *(level.value for level in levels)])
    low = min((b.low for b in found if b.low), default=0.001)
    middles = sorted(b.middle for b in found if b.middle)
    log = bool(middles) and top > _LOG_FROM * middles[len(middles) // 2]
    about = f"Latency of {view.source} in steps of {view.step}{', on a logarithmic scale' if log else ''}. "
    if highest is None:
        about += "No request was answered."
    else:
        about += f"The slowest took {format_duration(slowest)}, {when_text(view.frame, highest.start)}."
    return Chart(
        id=f"{view.source}-latency",
        title="Latency",
        about=about,
        unit="seconds",
        frame=view.frame,
        bottom=round_down(low) if log else 0.0,
        top=round_up(top or 0.001) if log else (top or 0.001) * 1.15,
        log=log,
        height=210,
        shapes=(
            Range("fastest to slowest", _ranges(runs)),
            Curve("p95", "high", _curves(runs, "p95")),
            Curve("median", "middle", _curves(runs, "middle")),
        ),
        levels=levels,
        marks=judged.marks(_LATENCIES) + _peak(found),
        gaps=view.gaps,
    )


def _peak(found: list[Bucket]) -> tuple[Mark, ...]:
    """Return the slowest request as a mark, where it stands alone: one among thousands is a thin line."""
    ranked = sorted(found, key=lambda b: b.high or 0.0)[-2:]
    if len(ranked) < 2 or (ranked[1].high or 0.0) < _PEAK_FROM * (ranked[0].high or 0.0):
        return ()
    peak = ranked[1]
    middle, slowest = (peak.start + peak.end) / 2, peak.high or 0.0
    return (Mark(f"slowest {format_duration(slowest)}", middle, slowest),)


def _rate(view: _View) -> Chart:
    found = view.found
    failed, ok = [], []
    for b in found:
        per = 1 / max(b.end - b.start, 1e-9)
        ok.append((b.start, b.end, b.failed * per, b.n * per))
        if b.failed:
            failed.append((b.start, b.end, 0.0, b.failed * per))
    bad, total = sum(b.failed for b in found), sum(b.n for b in found)
    return Chart(
        id=f"{view.source}-rate",
        title="Requests per second",
        about=f"Requests of {view.source} in steps of {view.step}: {total:,} sent, {bad:,} of them failed.",
        unit="rate",
        frame=view.frame,
        bottom=0.0,
        top=max((bar[3] for bar in ok), default=1.0) * 1.2,
        height=130,
        shapes=(Bars("as expected", "ok", tuple(ok)), Bars("failed", "failed", tuple(failed))),
        gaps=view.gaps,
    )


def _failures(view: _View) -> Chart:
    found, judged = view.found, view.judged
    bars = tuple((b.start, b.end, 0.0, b.failed / b.n) for b in found if b.failed)
    worst = max((bar[3] for bar in bars), default=0.0)
    levels = judged.levels(_SHARES)
    top = max([worst, *(level.value for level in levels)], default=0.0)
    # A stop condition far above everything seen would press the rest flat.
    levels += tuple(stop for stop in judged.stops(_SHARES) if stop.value <= 2 * top)
    top = max([top, *(level.value for level in levels)])
    return Chart(
        id=f"{view.source}-failures",
        title="Failed requests, as a share",
        about=f"Failed share of {view.source} in steps of {view.step}; worst {format_share(worst)}.",
        unit="share",
        frame=view.frame,
        bottom=0.0,
        top=min(1.0, top * 1.35) or 0.01,
        height=130,
        shapes=(Bars("failed", "failed", bars),),
        levels=levels,
        gaps=view.gaps,
    )


def round_down(value: float) -> float:
    """Return the next of 1, 2 and 5 times a power of ten at or below `value` (above 0)."""
    power = 10.0 ** math.floor(math.log10(value))
    return max(step * power for step in (1, 2, 5) if step * power <= value * 1.000001)


def round_up(value: float) -> float:
    """Return the next of 1, 2 and 5 times a power of ten above `value` (above 0)."""
    power = 10.0 ** math.floor(math.log10(value))
    return min(step * power for step in (1, 2, 5, 10, 20) if step * power > value * 1.05)


def _runs(found: list[Bucket]) -> list[list[Bucket]]:
    """Return the buckets in runs without a hole."""
    runs: list[list[Bucket]] = []
    for bucket in found:
        if not runs or bucket.start - runs[-1][-1].end > 1e-6:
            runs.append([])
        runs[-1].append(bucket)
    return runs


def _ranges(runs: list[list[Bucket]]) -> tuple[tuple[tuple[float, float, float], ...], ...]:
    return tuple(tuple((t, b.low or 0.0, b.high or 0.0) for b, t in _centred(run)) for run in runs)


def _curves(runs: list[list[Bucket]], value: str) -> tuple[tuple[tuple[float, float], ...], ...]:
    return tuple(tuple((t, getattr(b, value)) for b, t in _centred(run)) for run in runs)


def _centred(run: list[Bucket]) -> list[tuple[Bucket, float]]:
    """Return each bucket with its middle; the first and last reach the edges of their run."""
    inner = [(b, (b.start + b.end) / 2) for b in run]
    return [(run[0], run[0].start), *inner, (run[-1], run[-1].end)]


def _points(readings: Readings, frame: Frame) -> list[tuple[float, float]]:
    """Return (offset, value) of the readable readings, thinned so that every extreme stays."""
    pairs = [
        (t - frame.zero, v) for t, v in zip(readings.t, readings.value, strict=True) if not math.isnan(v)
    ]
    if len(pairs) <= MOST:
        return pairs
    size = math.ceil(len(pairs) / (MOST // 4))
    kept: list[tuple[float, float]] = []
    for first in range(0, len(pairs), size):
        part = pairs[first : first + size]
        value = itemgetter(1)
        kept += sorted({part[0], min(part, key=value), max(part, key=value), part[-1]})
    return kept


def _stretches(points: list[tuple[float, float]], gaps: Gaps) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Return the points, cut apart at the gaps."""
    runs: list[list[tuple[float, float]]] = []
    for point in points:
        if not runs or any(runs[-1][-1][0] <= start and end <= point[0] for start, end in gaps):
            runs.append([])
        runs[-1].append(point)
    return tuple(map(tuple, runs))
