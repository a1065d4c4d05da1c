"""Many readings in few buckets, so that a chart stays small and no spike is lost.

A bucket keeps its lowest and its highest value beside its percentiles: whatever the number of readings, the
one that stands out is still there. Knows nothing of pictures.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import NamedTuple

from chaosdrill.statistics import Readings, latencies, percentile

#: As many as a wide screen can tell apart.
MOST = 1000
#: With fewer, a bucket's p95 is hardly more than its slowest request.
ENOUGH = 20
#: Lengths that a reader can count in, in seconds.
LENGTHS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0)


class Bucket(NamedTuple):
    """What was read between `start` and `end` (offsets in seconds); values are None when none was read."""

    start: float
    end: float
    n: int
    failed: int
    low: float | None
    middle: float | None
    p95: float | None
    high: float | None


def length(span: float, readings: int, *, most: int = MOST, enough: int = ENOUGH) -> float:
    """Return the shortest length, in seconds, that makes at most `most` buckets of `enough` readings each."""
    for seconds in LENGTHS:
        count = span / seconds
        if count <= most and (readings >= enough * count or count <= ENOUGH):
            return seconds
    return span / most


def buckets(readings: Readings, zero: float, start: float, end: float, seconds: float) -> list[Bucket]:
    """Return the buckets from `start` to `end` (offsets from `zero`) that hold a reading.

    Their edges are whole multiples of `seconds` from zero, so that none mixes before and after a fault's
    start.
    """
    first, last = math.floor(start / seconds), math.ceil(end / seconds)
    found = []
    high = bisect_left(readings.t, zero + first * seconds)
    for number in range(first, max(last, first + 1)):
        low, high = high, bisect_left(readings.t, zero + (number + 1) * seconds, high)
        if low == high:
            continue
        part = Readings(readings.details)
        part.value, part.ok = readings.value[low:high], readings.ok[low:high]
        found.append(
            _bucket(part, high - low, max(number * seconds, start), min((number + 1) * seconds, end))
        )
    return found


def _bucket(part: Readings, n: int, start: float, end: float) -> Bucket:
    values = latencies(part)
    failed = part.ok.count(0)
    if not values:
        return Bucket(start, end, n, failed, None, None, None, None)
    middle, p95 = percentile(values, 50), percentile(values, 95)
    return Bucket(start, end, n, failed, values[0], middle, p95, values[-1])
