"""What can be measured: samples, the series derived from them, and the unit that each is judged in.

A *source* is what samples (`pay`); a *signal* is one series of it (`pay.p95_latency`). This is the only list
of series, so that the reader, the guard, the verdict and the report never disagree about a name or a unit.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from chaosdrill.units import (
    UnitError,
    format_duration,
    format_share,
    parse_count,
    parse_duration,
    parse_share,
)

Unit = Literal["share", "seconds", "count", "breaker"]


class Sample(NamedTuple):
    """One reading: what the charts draw and the criteria judge.

    `t` epoch seconds (for a request: when it was *meant* to be sent); `signal` the column it belongs to: the
    bare source for a request (`pay`), `source.series` for a gauge (`instances.ready`); `value` latency in
    seconds for a request (for a time-out the time waited, so that a stall can't hide), the reading for a
    gauge, None when there was no answer; `ok` whether the answer was the expected one; `detail` the status
    code, or one of FAILURES, or ''.
    """

    t: float
    signal: str
    value: float | None
    ok: bool
    detail: str = ""


class Series(NamedTuple):
    """One derived series: its unit, and how few samples a window may hold before it says nothing.

    `floor` is fixed here where it comes from statistics; 0 means that it follows from the threshold (a share
    of 99.9 % can't be told apart with fewer than 1 / (1 - 0.999) = 1,000 samples).
    """

    name: str
    unit: Unit
    floor: int
    better: Literal["higher", "lower", "neither"]
    title: str


# A percentile q needs n >= ln(0.05) / ln(q) for the largest of n samples to lie above it with 95 %
# confidence: 59 for p95, 299 for p99 (the rule behind Wilks' tolerance bound, n = 59 for 95/95).
REQUEST_SERIES: dict[str, Series] = {
    s.name: s
    for s in (
        Series("availability", "share", 0, "higher", "availability"),
        Series("error_rate", "share", 0, "lower", "error rate"),
        Series("p50_latency", "seconds", 6, "lower", "median latency"),
        Series("p95_latency", "seconds", 59, "lower", "p95 latency"),
        Series("p99_latency", "seconds", 299, "lower", "p99 latency"),
        Series("max_latency", "seconds", 1, "lower", "slowest request"),
        Series("timeouts", "count", 1, "lower", "time-outs"),
    )
}
GAUGE_SERIES: dict[str, Series] = {
    s.name: s
    for s in (
        Series("ready", "count", 1, "higher", "ready instances"),
        Series("restarts", "count", 1, "neither", "restarts"),
        Series("cpu", "share", 1, "neither", "CPU"),
        Series("breaker", "breaker", 1, "lower", "circuit breaker"),
        Series("instances", "count", 1, "neither", "instances"),
    )
}
SERIES = REQUEST_SERIES | GAUGE_SERIES

#: What stands in `Sample.detail` when there was no answer at all.
FAILURES = ("timeout", "refused", "reset", "error")

#: How a circuit breaker's state is stored in a sample.
BREAKER_STATES = {"closed": 0.0, "half-open": 1.0, "open": 2.0}


def parse_threshold(text: object, unit: Unit) -> float:
    """Return `text` as a threshold in `unit` (share 0..1, seconds, a count, or a breaker state).

    Raises UnitError naming the unit that belongs there.
    """
    if unit == "share":
        return parse_share(text)
    if unit == "seconds":
        return parse_duration(text)
    if unit == "breaker":
        if isinstance(text, (int, float)):
            return float(text)
        state = str(text).strip().lower()
        if state not in BREAKER_STATES:
            raise UnitError(f"{text!r} is no state of a circuit breaker; use closed, half-open or open")
        return BREAKER_STATES[state]
    return parse_count(text)


def parse_statuses(text: str) -> frozenset[int]:
    """Return the HTTP status codes that `text` names: '200', '200-399', '200,404'. Raises UnitError."""
    codes: set[int] = set()
    for part in text.split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        last = last if dash else first
        if not (first.isascii() and last.isascii() and first.isdecimal() and last.isdecimal()):
            raise UnitError(f"{text!r} is no list of status codes; write 200, 200-399 or 200,404")
        low, high = int(first), int(last)
        if not 100 <= low <= high <= 599:
            raise UnitError(f"{part.strip()!r} is no range of status codes; they run from 100 to 599")
        codes.update(range(low, high + 1))
    return frozenset(codes)


def format_value(value: float, unit: Unit) -> str:
    """Return a reading the way people write it: '99.9 %', '412 ms', '3', 'open'."""
    if unit == "share":
        return format_share(value)
    if unit == "seconds":
        return format_duration(value)
    if unit == "breaker":
        return next((name for name, v in BREAKER_STATES.items() if v == value), f"{value:g}")
    return f"{value:g}"
