"""From samples to numbers: what a window of readings says, and how much it may say.

Pure functions and one rolling window, shared by the guard, the live view, the verdict and the report, so that
they never disagree about a percentile. Knows nothing of files, threads that sample, criteria or time.
"""

from __future__ import annotations

import math
import threading
from array import array
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice, pairwise
from operator import le
from typing import NamedTuple

from chaosdrill.model.signal import FAILURES, GAUGE_SERIES, REQUEST_SERIES, SERIES, Sample, Series

#: More than this many expected intervals without a reading is a gap: one may be late, one may be lost.
GAP_INTERVALS = 3

#: How sure a conclusion from too few samples has to be: that luck alone would show it less often than this.
DOUBT = 0.01

#: Floor for a limit of exactly 0 % or 100 %: none bad among 59 means fewer than 5 %, with 95 % confidence.
_FLOOR_OF_ALL = 59

_PERCENTILES = {"p50_latency": 50, "p95_latency": 95, "p99_latency": 99}


class Measurement(NamedTuple):
    """A number and how many readings it rests on; `value` is None when there was nothing to measure."""

    value: float | None
    n: int


class Readings:
    """The readings of one signal in order of time, in columns (17 to 21 bytes each).

    `t` epoch seconds; `value` NaN where a sample had None; `ok` 0 or 1; `detail` an index into `details`.
    """

    __slots__ = ("detail", "details", "ok", "t", "value")

    def __init__(self, details: list[str] | None = None) -> None:
        self.t = array("d")
        self.value = array("d")
        self.ok = array("b")
        self.detail = array("I")
        self.details: list[str] = [] if details is None else details

    def __len__(self) -> int:
        return len(self.t)

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Readings:
        """Return `samples` of one signal as columns, in order of time."""
        found = cls()
        for sample in samples:
            if sample.detail not in found.details:
                found.details.append(sample.detail)
            found.t.append(sample.t)
            found.value.append(math.nan if sample.value is None else sample.value)
            found.ok.append(sample.ok)
            found.detail.append(found.details.index(sample.detail))
        found.sort()
        return found

    def between(self, start: float, end: float) -> Readings:
        """Return the readings with start <= t < end."""
        low, high = bisect_left(self.t, start), bisect_left(self.t, end)
        part = Readings(self.details)
        part.t, part.value = self.t[low:high], self.value[low:high]
        part.ok, part.detail = self.ok[low:high], self.detail[low:high]
        return part

    def sort(self) -> None:
        """Bring the columns into order of time; requests are recorded in the order of their answers."""
        t = self.t
        if all(map(le, t, islice(t, 1, None))):
            return
        order = sorted(range(len(t)), key=t.__getitem__)
        self.t = array("d", map(t.__getitem__, order))
        self.value = array("d", map(self.value.__getitem__, order))
        self.ok = array("b", map(self.ok.__getitem__, order))
        self.detail = array("I", map(self.detail.__getitem__, order))

    def count(self, matches: Callable[[str], bool]) -> int:
        """Return how many readings have a detail that `matches`."""
        codes = [code for code, detail in enumerate(self.details) if matches(detail)]
        return sum(self.detail.count(code) for code in codes)


def unavailable(detail: str) -> bool:
    """Return whether a request with this outcome found no service: no answer, or an HTTP 5xx."""
    return detail in FAILURES or (len(detail) == 3 and detail.startswith("5"))


def availability(window: Readings) -> Measurement:
    """Return the share of requests that were answered, and not with a 5xx."""
    n = len(window)
    return Measurement((n - window.count(unavailable)) / n if n else None, n)


def error_rate(window: Readings) -> Measurement:
    """Return the share of requests whose outcome was not the expected one."""
    n = len(window)
    return Measurement(window.ok.count(0) / n if n else None, n)


def timeouts(window: Readings) -> Measurement:
    """Return how many requests had no answer in time."""
    n = len(window)
    return Measurement(float(window.count("timeout".__eq__)) if n else None, n)


def latencies(window: Readings) -> list[float]:
    """Return the latencies in seconds, ascending.

    Every answer counts, errors too, and a time-out with the time waited. A refused or reset connection has
    no latency: it shows in availability and error rate, not here.
    """
    return sorted(value for value in window.value if not math.isnan(value))


def percentile(ascending: Sequence[float], percent: int) -> float:
    """Return the nearest-rank percentile: the smallest value that at least `percent` % do not exceed.

    It is always a value that was measured (Hyndman & Fan, 1996, definition 1). Raises IndexError when empty.
    """
    return ascending[-(-len(ascending) * percent // 100) - 1]


def measure(series: str, window: Readings) -> Measurement:
    """Return what a window of requests says of `series` ('p95_latency'). Raises KeyError for another name."""
    if series in _PERCENTILES or series == "max_latency":
        found = latencies(window)
        n = len(found)
        return Measurement(percentile(found, _PERCENTILES.get(series, 100)) if n else None, n)
    counted = {"availability": availability, "error_rate": error_rate, "timeouts": timeouts}
    return counted[series](window)


def needed(series: Series, threshold: float) -> int:
    """Return how few samples a window may hold before it says nothing about `threshold`.

    A share must be fine enough to show one failure: 1 / (1 - 0.999) = 1,000 samples for 99.9 %, and
    1 / 0.005 = 200 for 0.5 %. Everything else has its floor in chaosdrill.model.signal.
    """
    if series.floor:
        return series.floor
    step = min(threshold, 1 - threshold)
    # The rounding keeps 1 / (1 - 0.9), which is 10.000000000000002, from asking for an eleventh sample.
    return math.ceil(round(1 / step, 6)) if step > 0 else _FLOOR_OF_ALL


def at_least_by_luck(bad: int, n: int, share: float) -> float:
    """Return how likely `bad` or more of `n` samples are bad when each is with probability `share`.

    The upper tail of the binomial distribution, summed term by term: exact for the small windows it is for.
    """
    if bad <= 0 or (share >= 1 and bad <= n):
        return 1.0
    if share <= 0 or bad > n:
        return 0.0
    term = (1 - share) ** n
    below = 0.0
    for k in range(bad):
        below += term
        term *= (n - k) / (k + 1) * share / (1 - share)
    return max(0.0, 1 - below)


def allowed_share(series: Series, threshold: float) -> float | None:
    """Return the share of bad samples that a limit on `series` allows; None when it allows by count."""
    if series.name in _PERCENTILES:
        return 1 - _PERCENTILES[series.name] / 100
    if series.name == "availability":
        return 1 - threshold
    return threshold if series.name == "error_rate" else None


def gaps(t: Sequence[float], start: float, end: float, longest: float) -> list[tuple[float, float]]:
    """Return the holes in ascending moments `t` that are longer than `longest` seconds, edges included."""
    moments = [start, *(moment for moment in t if start <= moment < end), end]
    pairs = pairwise(moments)
    return [(before, after) for before, after in pairs if after - before > longest]


def usual_interval(t: Sequence[float]) -> float | None:
    """Return the median distance between ascending moments in seconds; None with fewer than two."""
    steps = sorted(after - before for before, after in pairwise(t))
    return steps[len(steps) // 2] if steps else None


class _Requests:
    """The requests of one source that became known in the last seconds, with running counts."""

    def __init__(self) -> None:
        self.rows: deque[tuple[float, float | None, bool, str]] = deque()
        self.latencies: list[float] = []
        self.wrong = self.unavailable = self.timeouts = 0

    def add(self, sample: Sample) -> float:
        # A request is known when it has been answered (or given up), not when it was sent: a window by
        # intended send time would hold only the fast ones, and none at all while everything hangs.
        known = sample.t + (sample.value or 0.0)
        self.rows.append((known, sample.value, sample.ok, sample.detail))
        self._count(sample.ok, sample.detail, 1)
        if sample.value is not None:
            insort(self.latencies, sample.value)
        return known

    def forget(self, before: float) -> None:
        while self.rows and self.rows[0][0] <= before:
            _, latency, ok, detail = self.rows.popleft()
            self._count(ok, detail, -1)
            if latency is not None:
                del self.latencies[bisect_left(self.latencies, latency)]

    def _count(self, ok: bool, detail: str, step: int) -> None:
        self.wrong += 0 if ok else step
        self.unavailable += step if unavailable(detail) else 0
        self.timeouts += step if detail == "timeout" else 0

    def measure(self, series: str) -> Measurement:
        n = len(self.rows)
        if series in _PERCENTILES or series == "max_latency":
            n = len(self.latencies)
            percent = _PERCENTILES.get(series, 100)
            return Measurement(percentile(self.latencies, percent) if n else None, n)
        if not n:
            return Measurement(None, 0)
        share = {"availability": (n - self.unavailable) / n, "error_rate": self.wrong / n}
        return Measurement(share.get(series, float(self.timeouts)), n)


class _Gauge:
    """The readings of one gauge in the last seconds; the newest is what counts."""

    def __init__(self) -> None:
        self.rows: deque[tuple[float, float | None]] = deque()

    def add(self, sample: Sample) -> float:
        self.rows.append((sample.t, sample.value))
        return sample.t

    def forget(self, before: float) -> None:
        while self.rows and self.rows[0][0] <= before:
            self.rows.popleft()

    def measure(self, _series: str) -> Measurement:
        good = sum(1 for _, value in self.rows if value is not None)
        return Measurement(self.rows[-1][1] if self.rows else None, good)


class Rolling:
    """What every signal says over its last `seconds`; fed from any thread, read from any other.

    Feeding costs a few microseconds and reading none worth counting: nothing is sorted when asked. Memory is
    what the window holds.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._lock = threading.Lock()
        self._columns: dict[str, _Requests | _Gauge] = {}
        self._known: dict[str, float] = {}

    def add(self, sample: Sample) -> None:
        """Take in one sample."""
        with self._lock:
            column = self._columns.get(sample.signal)
            if column is None:
                gauge = sample.signal.rpartition(".")[2] in GAUGE_SERIES
                column = self._columns[sample.signal] = _Gauge() if gauge else _Requests()
            known = column.add(sample)
            self._known[sample.signal] = max(known, self._known.get(sample.signal, known))
            column.forget(self._known[sample.signal] - self.seconds)

    def value(self, signal: str, now: float) -> Measurement:
        """Return what `signal` ('pay.p95_latency') says of the seconds before `now` (epoch seconds).

        For a gauge that is its newest reading, None when it failed. Raises KeyError for an unknown series.
        """
        with self._lock:
            column = self._columns.get(_column(signal))
            if column is None:
                return Measurement(None, 0)
            column.forget(now - self.seconds)
            return column.measure(signal.rpartition(".")[2])

    def newest(self, signal: str) -> float | None:
        """Return when the newest sample of `signal` became known, in epoch seconds; None before the first."""
        with self._lock:
            return self._known.get(_column(signal))


def _column(signal: str) -> str:
    """Return the column of the samples that `signal` is derived from."""
    source, _, series = signal.rpartition(".")
    SERIES[series]
    return source if series in REQUEST_SERIES else signal
