"""One figure for each source: its charts, its key numbers, and the same once more as a table.

Puts together what charts and numbers give, and names the stretches in which nothing was seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from chaosdrill.model.run import CriterionResult, Evidence
from chaosdrill.model.signal import SERIES, Series, Unit, format_value
from chaosdrill.record.samples import Samples
from chaosdrill.report.blocks import Cell, Column, Figure, Table
from chaosdrill.report.charts.buckets import buckets, length
from chaosdrill.report.charts.series import Judged, gauge_chart, request_charts
from chaosdrill.report.charts.shapes import Frame, offset_text
from chaosdrill.report.numbers import Numbers, RequestNumbers, is_gauge
from chaosdrill.statistics import GAP_INTERVALS, Readings, gaps, usual_interval
from chaosdrill.units import format_duration

if TYPE_CHECKING:
    from chaosdrill.model.experiment import ChaosdrillBlock, SourceSpec

#: A shorter hole can't be seen in a chart, and one late request is no gap.
SHORTEST_GAP = 1.0
#: Rows of the table beside a chart.
_ROWS = 60
NOT_OBSERVED = Cell("not observed")

Gap = tuple[float, float]


def frame(evidence: Evidence, samples: Samples, zero: float) -> Frame:
    """Return the stretch that the charts share: all phases, or all samples where there are no phases."""
    firsts = [readings.t[0] for readings in samples.signals.values() if len(readings)]
    starts = [phase.start for phase in evidence.phases] or firsts or [zero]
    last = samples.last or zero
    ends = [phase.end if phase.end is not None else last for phase in evidence.phases] or [last]
    start, end = min(starts) - zero, max(max(ends) - zero, min(starts) - zero + 0.1)
    return Frame(
        zero=zero,
        zero_name="fault start" if evidence.faults else "start",
        start=start,
        end=end,
        phases=tuple(
            (p.name, p.start - zero, (p.end if p.end is not None else last) - zero) for p in evidence.phases
        ),
        faults=tuple(
            (
                fault.kind.replace("_", " "),
                fault.started - zero,
                fault.ended - zero if fault.ended is not None else end,
            )
            for fault in evidence.faults
            if fault.started is not None
        ),
    )


class Seen(NamedTuple):
    """What the figures are made from; `gaps` by column."""

    block: ChaosdrillBlock | None
    samples: Samples
    results: Sequence[CriterionResult]
    numbers: Numbers
    frame: Frame
    gaps: Mapping[str, tuple[Gap, ...]]


def figures(seen: Seen) -> tuple[Figure, ...]:
    """Return a figure for each source that has samples: requests first, gauges of one source together."""
    columns = seen.samples.signals
    requests = [name for name in columns if not is_gauge(name)]
    gauges = dict.fromkeys(name.rpartition(".")[0] for name in columns if is_gauge(name))
    made = [_request_figure(source, seen) for source in requests]
    return (*made, *(_gauge_figure(source, seen) for source in gauges))


def holes(name: str, readings: Readings, block: ChaosdrillBlock | None, shared: Frame) -> tuple[Gap, ...]:
    """Return the stretches without a readable sample of the column `name`, in offsets, edges included."""
    t: Sequence[float] = readings.t
    if is_gauge(name):
        t = [moment for moment, value in zip(t, readings.value, strict=True) if not math.isnan(value)]
    spec = block.signals.get(name.partition(".")[0]) if block else None
    interval = _interval(spec) if spec else usual_interval(t)
    longest = max(GAP_INTERVALS * (interval or 0.0), SHORTEST_GAP)
    zero = shared.zero
    return tuple((a - zero, b - zero) for a, b in gaps(t, zero + shared.start, zero + shared.end, longest))


def source_in_words(spec: SourceSpec | None) -> str:
    """Return what a source reads, and how often."""
    if spec is None:
        return ""
    if spec.http:
        return f"{spec.http.method} {spec.http.url} at {spec.http.rate:g} requests per second"
    if spec.tcp:
        return f"connections to {spec.tcp.address} at {spec.tcp.rate:g} per second"
    return f"{spec.target}, read every {format_duration(spec.every)}"


def _interval(spec: SourceSpec) -> float:
    if spec.http:
        return 1 / spec.http.rate
    return 1 / spec.tcp.rate if spec.tcp else spec.every


def _request_figure(source: str, seen: Seen) -> Figure:
    readings = seen.samples.of(source)
    judged = Judged(source, seen.block, seen.results, seen.frame)
    return Figure(
        title=source,
        lead=source_in_words(seen.block.signals.get(source) if seen.block else None),
        charts=request_charts(source, readings, seen.frame, judged, seen.gaps[source]),
        numbers=_request_table(source, seen.numbers),
        table=_slices(source, readings, seen.frame),
    )


def _gauge_figure(source: str, seen: Seen) -> Figure:
    names = [n for n in seen.samples.signals if is_gauge(n) and n.rpartition(".")[0] == source]
    judged = Judged(source, seen.block, seen.results, seen.frame)
    flat = [n for n in names if _is_flat(n, seen, judged)]
    lead = source_in_words(seen.block.signals.get(source) if seen.block else None)
    if flat:
        told = (
            f"{_series(n).title} {format_value(seen.samples.of(n).value[0], _series(n).unit)}" for n in flat
        )
        lead += f"{'. ' if lead else ''}Unchanged throughout: {', '.join(told)}."
    drawn = [n for n in names if n not in flat]
    charts = (gauge_chart(n, seen.samples.of(n), seen.frame, judged, seen.gaps[n]) for n in drawn)
    return Figure(
        title=source,
        lead=lead,
        charts=tuple(charts),
        numbers=_gauge_table(source, seen.numbers),
        table=_changes(source, names, seen.samples, seen.frame),
    )


def _is_flat(name: str, seen: Seen, judged: Judged) -> bool:
    """Return whether a gauge never moved, was never lost, and nobody asked about it: no chart is needed."""
    values = set(seen.samples.of(name).value)
    return len(values) == 1 and not seen.gaps[name] and not judged.asks_about(_series(name).name)


def _series(name: str) -> Series:
    return SERIES[name.rpartition(".")[2]]


# ---- before, during, after


def _request_table(source: str, found: Numbers) -> Table:
    columns = [n for n in found.requests if n.source == source]

    def row(title: str, *cells: Cell) -> tuple[Cell, ...]:
        return (Cell(title), *cells)

    def each(name: str, unit: Unit) -> list[Cell]:
        return [_cell(getattr(n, name), unit) for n in columns]

    rows = [
        row("requests", *(Cell(f"{n.n:,}") for n in columns)),
        row("availability", *each("availability", "share")),
        row("error rate", *each("error_rate", "share")),
        row("time-outs", *(Cell(f"{n.timeouts:,}") if n.n else NOT_OBSERVED for n in columns)),
        *(row(title, *(_percentile(n, name) for n in columns)) for title, name in _PERCENTILES),
        row("slowest", *each("slowest", "seconds")),
    ]
    return Table(
        f"{source} before, during and after", _phase_columns([n.phase for n in columns]), tuple(rows)
    )


_PERCENTILES = (("median latency", "p50"), ("p95 latency", "p95"), ("p99 latency", "p99"))


def _percentile(row: RequestNumbers, name: str) -> Cell:
    if row.answered and not row.enough(name):
        return Cell(f"too few (n = {row.answered})")
    return _cell(getattr(row, name), "seconds")


def _cell(value: float | None, unit: Unit) -> Cell:
    return NOT_OBSERVED if value is None else Cell(format_value(value, unit))


def _phase_columns(phases: Sequence[str]) -> tuple[Column, ...]:
    words = {"baseline": "before (baseline)", "fault": "during (fault)", "recovery": "after (recovery)"}
    return (Column(""), *(Column(words.get(phase, phase), numeric=True) for phase in phases))


def _gauge_table(source: str, found: Numbers) -> Table:
    mine = [n for n in found.gauges if n.signal.rpartition(".")[0] == source]
    phases = list(dict.fromkeys(n.phase for n in mine))
    rows = []
    for signal in dict.fromkeys(n.signal for n in mine):
        series = _series(signal)
        cells = []
        for row in (n for n in mine if n.signal == signal):
            if row.low is None or row.high is None:
                cells.append(NOT_OBSERVED)
                continue
            low, high = format_value(row.low, series.unit), format_value(row.high, series.unit)
            cells.append(Cell(low if low == high else f"{low} to {high}"))
        rows.append((Cell(series.title), *cells))
    return Table(f"{source} before, during and after", _phase_columns(phases), tuple(rows))


# ---- the chart once more, as a table


def _slices(source: str, readings: Readings, shared: Frame) -> Table:
    seconds = length(shared.end - shared.start, len(readings), most=_ROWS)
    rows = []
    for b in buckets(readings, shared.zero, shared.start, shared.end, seconds):
        latencies = [_cell(value, "seconds") for value in (b.middle, b.p95, b.high)]
        rows.append((Cell(offset_text(b.start)), Cell(f"{b.n:,}"), Cell(f"{b.failed:,}"), *latencies))
    titles = ("requests", "failed", "median", "p95", "slowest")
    columns = (Column(f"from {shared.zero_name}"), *(Column(title, numeric=True) for title in titles))
    return Table(f"{source} in steps of {format_duration(seconds)}", columns, tuple(rows))


def _changes(source: str, names: Sequence[str], samples: Samples, shared: Frame) -> Table:
    readings = max((samples.of(name) for name in names), key=len)
    seconds = length(shared.end - shared.start, len(readings), most=_ROWS, enough=1)
    steps: dict[float, dict[str, Cell]] = {}
    for name in names:
        unit = _series(name).unit
        for b in buckets(samples.of(name), shared.zero, shared.start, shared.end, seconds):
            low, high = _cell(b.low, unit), _cell(b.high, unit)
            cell = low if low == high else Cell(f"{low.text} to {high.text}")
            steps.setdefault(b.start, {})[name] = cell
    rows = [
        (Cell(offset_text(start)), *(cells.get(name, NOT_OBSERVED) for name in names))
        for start, cells in sorted(steps.items())
    ]
    titles = (_series(name).title for name in names)
    columns = (Column(f"from {shared.zero_name}"), *(Column(title, numeric=True) for title in titles))
    return Table(f"{source} in steps of {format_duration(seconds)}", columns, tuple(rows))
