"""One criterion against the samples: held, deviated or inconclusive, with the numbers behind it.

Rules, the same for every criterion:

- `over: phase` (and nothing) is one window per stretch of the named phases, `over: 10 s` every such window,
  sliding by a tenth; of a gauge the worst reading in the window counts.
- One sufficiently filled window on the wrong side is a deviation, whatever else is missing.
- A window with too few samples, or with a hole in it, never proves that a criterion held. It proves a
  deviation only when luck would show so many bad samples less than once in a hundred times.
- `within` must be reached by the deadline and kept to the end of the named phases. A request series is read
  there in windows just long enough for the samples that it needs, each counted at its beginning.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from chaosdrill import statistics
from chaosdrill.model.run import CriterionResult, Phase, State
from chaosdrill.model.signal import REQUEST_SERIES
from chaosdrill.record.samples import Samples
from chaosdrill.statistics import Readings
from chaosdrill.units import format_duration
from chaosdrill.verdict import wording
from chaosdrill.verdict.windows import Span, anchor, is_full, stretches, t_plus, windows

if TYPE_CHECKING:
    from chaosdrill.model.experiment import Criterion, SourceSpec

#: Requests may be missing for this many seconds: what it takes a signal to start and to stop.
_SHORTEST_HOLE = 1.0


class Look(NamedTuple):
    """What one window (or one reading) says; `at` is a gauge's worst moment, `hole` how long it was blind."""

    span: Span
    state: Literal["good", "bad", "short"]
    value: float | None = None
    n: int = 0
    at: float | None = None
    hole: float = 0.0


@dataclass(frozen=True, slots=True)
class Observation:
    """All that a criterion may look at."""

    phases: Sequence[Phase]
    samples: Samples
    sources: Mapping[str, SourceSpec]


def result(criterion: Criterion, seen: Observation) -> CriterionResult:
    """Return how `criterion` came out. What an old record can't tell is inconclusive, and never an error."""
    try:
        judge = _Judge(criterion, seen)
    except (KeyError, ValueError):
        return wording.unknown(criterion)
    return judge.deadline(criterion.within) if criterion.within is not None else judge.every_window()


class _Judge:
    """One criterion, its readings and where they are missing."""

    def __init__(self, criterion: Criterion, seen: Observation) -> None:
        self.criterion = criterion
        self.seen = seen
        self.series = criterion.series
        self.threshold = criterion.threshold
        self.gauge = self.series.name not in REQUEST_SERIES
        self.needed = statistics.needed(self.series, self.threshold)
        readings = seen.samples.of(criterion.signal if self.gauge else criterion.source)
        self.readings = _answered(readings) if self.gauge else readings
        self.interval = _interval(seen.sources.get(criterion.source), self.readings)
        longest = statistics.GAP_INTERVALS * self.interval
        self.longest_hole = longest if self.gauge else max(longest, _SHORTEST_HOLE)
        self.spans = stretches(seen.phases, criterion.phase, seen.samples.last)

    def every_window(self) -> CriterionResult:
        """Judge one window per stretch, or every window of the length asked for."""
        over = self.criterion.over
        looks = []
        for span in self.spans:
            holes = self._holes(span)
            for window in windows(span, over) if isinstance(over, float) else [span]:
                look = self._look(window, holes)
                if look.state == "good" and isinstance(over, float) and not is_full(window, over):
                    look = look._replace(state="short")
                looks.append(look)
        states = {look.state for look in looks}
        if "bad" in states:
            return self._result("deviated", looks, "")
        if states == {"good"}:
            return self._result("held", looks, "")
        return self._result("inconclusive", looks, self._why_short(looks))

    def deadline(self, within: float) -> CriterionResult:
        """Judge whether the bound was reached `within` so many seconds, and kept."""
        start = anchor(self.seen.phases, self.criterion.after)
        end = max((span.end for span in self.spans), default=0.0)
        after = self.criterion.after.replace("-", " ")
        if start is None or end <= start:
            return self._result("inconclusive", [], f"nothing was observed after {after}")
        points, due = self._points(Span(start, end)), start + within
        last_other = max((i for i, p in enumerate(points) if p.state != "good"), default=-1)
        kept = points[last_other + 1 :]
        took = f"{format_duration(round(kept[0].span.start - start, 2))} after {after}" if kept else ""
        if kept and kept[0].span.start <= due:
            return self._result("held", kept, f"there {took}, and to the end")
        early = [p for p in points if p.span.start < due]
        late = [p for p in points if p.span.start >= due]
        came_late = bool(early and late) and early[-1].state == "bad" and late[0].state == "good"
        if came_late or any(p.state == "bad" for p in late):
            bad = [p for p in points if p.state == "bad"]
            return self._result("deviated", bad, f"there to stay {took}" if kept else "not there at the end")
        if any(p.state == "short" for p in points) or not points:
            return self._result("inconclusive", points, self._why_short(points))
        watched = f"watched for {format_duration(round(end - start, 1))} of {format_duration(within)}"
        return self._result("inconclusive", points, f"not there yet when the observation ended, {watched}")

    def _points(self, span: Span) -> list[Look]:
        """Return what is seen in `span`, in order of time: readings, or short windows of requests."""
        holes = self._holes(span)
        if not self.gauge:
            length = max(_SHORTEST_HOLE, self.needed * self.interval)
            looks = [self._look(window, holes) for window in windows(span, length)]
            full = is_full(looks[0].span, length)
            return looks if full else [look._replace(state="short") for look in looks]
        part = self.readings.between(span.start, span.end)
        points = [
            Look(Span(t, t), "good" if self.criterion.allows(value) else "bad", value, 1, t)
            for t, value in zip(part.t, part.value, strict=True)
        ]
        points += [Look(hole, "short", hole=hole.seconds, at=hole.start) for hole in holes]
        # A hole begins with the last reading before it, and comes after it.
        return sorted(points, key=lambda p: (p.span.start, p.state == "short"))

    def _look(self, window: Span, holes: Sequence[Span]) -> Look:
        """Return what the readings in `window` say."""
        part = self.readings.between(window.start, window.end)
        hole = max((h.overlap(window) for h in holes), default=0.0)
        hole = hole if hole > self.longest_hole else 0.0
        if self.gauge:
            value, at = min(zip(part.value, part.t, strict=True), key=self._by_margin, default=(None, None))
            n = len(part)
        else:
            value, n = statistics.measure(self.series.name, part)
            at = None
        if value is None:
            return Look(window, "short", hole=hole)
        if not self.criterion.allows(value):
            proven = n >= self.needed or self._clear(part, n)
            return Look(window, "bad" if proven else "short", value, n, at, hole)
        filled = n >= self.needed and not hole
        return Look(window, "good" if filled else "short", value, n, at, hole)

    def _clear(self, part: Readings, n: int) -> bool:
        """Return whether even these too few samples can't be bad by luck."""
        share = statistics.allowed_share(self.series, self.threshold)
        bad_side = ("below", "at_most") if self.series.better == "higher" else ("above", "at_least")
        if share is None or self.criterion.comparison in (*bad_side, "equals"):
            return False
        if self.series.name == "availability":
            bad = part.count(statistics.unavailable)
        elif self.series.name == "error_rate":
            bad = part.ok.count(0)
        else:
            bad = sum(not self.criterion.allows(latency) for latency in statistics.latencies(part))
        return statistics.at_least_by_luck(bad, n, share) < statistics.DOUBT

    def _worst_moment(self, look: Look) -> float | None:
        """Return when the worst reading was: of requests the slowest, or the first one that went wrong."""
        if self.gauge:
            return look.at
        part = self.readings.between(*look.span)
        if self.series.unit == "seconds":
            slow = ((v, -t) for v, t in zip(part.value, part.t, strict=True) if not math.isnan(v))
            return -max(slow)[1]
        return next((t for t, ok in zip(part.t, part.ok, strict=True) if not ok), None)

    def _margin(self, value: float) -> float:
        """Return how far `value` is on the right side, in its own unit; negative on the wrong one."""
        if self.criterion.comparison == "equals":
            return -abs(value - self.threshold)
        sign = 1 if self.criterion.comparison in ("above", "at_least") else -1
        return sign * (value - self.threshold)

    def _by_margin(self, reading: tuple[float, float]) -> float:
        return self._margin(reading[0])

    def _holes(self, span: Span) -> list[Span]:
        part = self.readings.between(span.start, span.end)
        return [Span(*hole) for hole in statistics.gaps(part.t, span.start, span.end, self.longest_hole)]

    def _why_short(self, looks: Sequence[Look]) -> str:
        """Return the reason why these windows prove nothing, with what was missing."""
        short = [look for look in looks if look.state == "short"]
        if not short:
            return f"nothing was observed of the {' and the '.join(self.criterion.phase)}"
        if not len(self.readings):
            return f"no sample of {self.criterion.signal}"
        fewest = min(short, key=lambda look: look.n)
        if fewest.n < self.needed and not (self.gauge and fewest.hole):
            many = f" in {len(short):,} of {len(looks):,} windows, at worst" if len(looks) > 1 else ""
            missing = self.needed - fewest.n
            what = "answers" if self.series.unit == "seconds" else "samples"
            return f"too few {what}{many} {fewest.n:,} of {self.needed:,}, {missing:,} missing"
        blind = max(short, key=lambda look: look.hole)
        if blind.hole:
            return f"no sample for {format_duration(round(blind.hole, 1))}"
        length = format_duration(round(max(look.span.seconds for look in short), 1))
        return f"only {length} of it were observed"

    def _result(self, state: State, looks: Sequence[Look], reason: str) -> CriterionResult:
        bad = [look for look in looks if look.state == "bad"]
        told = [look for look in (bad if state == "deviated" else looks) if look.value is not None]
        worst = min(told, key=lambda look: self._margin(look.value or 0.0), default=None)
        margin = None if worst is None or worst.value is None else self._margin(worst.value)
        worst_at = None if worst is None else self._worst_moment(worst)
        single = self.criterion.within is not None
        found = CriterionResult(
            sentence=self.criterion.sentence(),
            signal=self.criterion.signal,
            unit=self.series.unit,
            state=state,
            threshold=self.threshold,
            worst=None if worst is None else worst.value,
            worst_at=worst_at,
            margin=margin,
            samples=sum(len(self.readings.between(*span)) for span in self.spans),
            needed=self.needed,
            windows=1 if single else len(looks),
            windows_bad=int(state == "deviated") if single else len(bad),
            windows_short=int(state == "inconclusive")
            if single
            else sum(look.state == "short" for look in looks),
        )
        at = None if worst_at is None else t_plus(self.seen.phases, worst_at)
        return replace(found, text=wording.criterion(found, at, reason))


def _answered(readings: Readings) -> Readings:
    """Return `readings` without those that failed: a gauge that can't be read leaves a hole."""
    known = [not math.isnan(value) for value in readings.value]
    if all(known):
        return readings
    found = Readings(readings.details)
    found.t = array("d", (t for t, good in zip(readings.t, known, strict=True) if good))
    found.value = array("d", (v for v, good in zip(readings.value, known, strict=True) if good))
    found.ok = array("b", (o for o, good in zip(readings.ok, known, strict=True) if good))
    found.detail = array("I", (d for d, good in zip(readings.detail, known, strict=True) if good))
    return found


def _interval(source: SourceSpec | None, readings: Readings) -> float:
    """Return how far apart the readings should be, in seconds; by their median where no record says."""
    if source is None:
        return statistics.usual_interval(readings.t) or 1.0
    requests = source.http or source.tcp
    return 1 / requests.rate if requests else source.every
