"""Statistics against their naive definitions, and the rolling window against the plain one."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaosdrill import statistics
from chaosdrill.model.signal import SERIES, Sample
from chaosdrill.statistics import Readings, Rolling

# No time limits: these run on busy machines.
calmly = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

DETAILS = ["200", "204", "404", "500", "503", "timeout", "refused", "reset", "error", ""]


@st.composite
def requests(draw: st.DrawFn, most: int = 60) -> list[Sample]:
    details = draw(st.lists(st.sampled_from(DETAILS), max_size=most))
    made = []
    for i, detail in enumerate(details):
        known = detail not in ("refused", "reset", "error")
        latency = draw(st.floats(0, 10)) if known else None
        made.append(Sample(1000.0 + i / 10, "pay", latency, draw(st.booleans()), detail))
    return made


def naive(series: str, made: list[Sample]) -> float | None:
    latencies = sorted(s.value for s in made if s.value is not None)
    percent = {"p50_latency": 50, "p95_latency": 95, "p99_latency": 99, "max_latency": 100}.get(series)
    if percent is not None:
        enough = (v for v in latencies if 100 * sum(w <= v for w in latencies) >= percent * len(latencies))
        return next(enough, None)
    if not made:
        return None
    if series == "availability":
        served = [s for s in made if s.detail.isdecimal() or s.detail == ""]
        return sum(not s.detail.startswith("5") for s in served) / len(made)
    if series == "error_rate":
        return sum(not s.ok for s in made) / len(made)
    return float(sum(s.detail == "timeout" for s in made))


@calmly
@given(
    requests(), st.sampled_from(sorted(set(SERIES) - {"ready", "restarts", "cpu", "breaker", "instances"}))
)
def test_every_series_agrees_with_its_naive_definition(made: list[Sample], series: str) -> None:
    value, n = statistics.measure(series, Readings.of(made))
    assert value == naive(series, made)
    assert n == (sum(s.value is not None for s in made) if "latency" in series else len(made))


@calmly
@given(requests(), st.sampled_from(["availability", "error_rate", "p95_latency", "max_latency", "timeouts"]))
def test_a_rolling_window_that_forgot_nothing_agrees_with_a_plain_one(
    made: list[Sample], series: str
) -> None:
    rolling = Rolling(1e6)
    for sample in made:
        rolling.add(sample)
    assert rolling.value(f"pay.{series}", 1100.0) == statistics.measure(series, Readings.of(made))


@calmly
@given(requests(), st.floats(0.5, 5))
def test_a_rolling_window_holds_what_became_known_in_its_seconds(made: list[Sample], seconds: float) -> None:
    rolling = Rolling(seconds)
    by_answer = sorted(made, key=lambda s: s.t + (s.value or 0))
    for sample in by_answer:
        rolling.add(sample)
    now = by_answer[-1].t + (by_answer[-1].value or 0) if by_answer else 1000.0
    recent = [s for s in made if s.t + (s.value or 0) > now - seconds]
    for series in ("availability", "error_rate", "p50_latency", "timeouts"):
        assert rolling.value(f"pay.{series}", now) == statistics.measure(series, Readings.of(recent))


def test_a_stall_shows_in_a_window_shorter_than_the_time_out() -> None:
    rolling = Rolling(1.0)
    for i in range(40):
        rolling.add(Sample(1000 + i / 20, "pay", 2.0, False, "timeout"))
    assert rolling.value("pay.availability", 1003.9) == (0.0, 20)


def test_an_empty_window_says_nothing_and_an_unknown_series_is_an_error() -> None:
    rolling = Rolling(1.0)
    assert rolling.value("pay.p95_latency", 5.0) == (None, 0)
    rolling.add(Sample(1.0, "pay", 0.1, True, "200"))
    assert rolling.value("pay.p95_latency", 5.0) == (None, 0)
    assert rolling.newest("pay.p95_latency") == pytest.approx(1.1)
    assert rolling.newest("other.p95_latency") is None
    with pytest.raises(KeyError):
        rolling.value("pay.p96_latency", 5.0)


def test_a_gauge_rolls_its_newest_reading_and_a_failed_one_is_none() -> None:
    rolling = Rolling(10.0)
    rolling.add(Sample(1.0, "pay.ready", 3.0, True))
    rolling.add(Sample(2.0, "pay.ready", 2.0, True))
    assert rolling.value("pay.ready", 2.5) == (2.0, 2)
    rolling.add(Sample(3.0, "pay.ready", None, False, "error"))
    assert rolling.value("pay.ready", 3.5) == (None, 2)


def test_nearest_rank_is_exact_where_floating_point_is_not() -> None:
    # 0.95 * 140 is 133.0 on paper; a rank taken from the product in binary may be one too high.
    for n in range(1, 2000):
        assert statistics.percentile(range(1, n + 1), 95) == math.ceil(95 * n / 100 - 1e-9)


def test_a_threshold_asks_for_enough_samples_to_show_one_failure() -> None:
    def asked(series: str, threshold: float) -> int:
        return statistics.needed(SERIES[series], threshold)

    assert asked("availability", 0.999) == 1000
    assert asked("availability", 0.9) == 10
    assert asked("error_rate", 0.005) == 200
    assert asked("error_rate", 0.0) == 59
    assert asked("availability", 1.0) == 59
    assert asked("p95_latency", 0.5) == 59
    assert asked("ready", 3) == 1


@calmly
@given(st.integers(0, 60), st.integers(1, 60), st.floats(0, 1) | st.sampled_from([0.0, 1.0, 0.05]))
def test_the_luck_of_bad_samples_is_the_binomial_tail(bad: int, n: int, share: float) -> None:
    exact = sum(math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(bad, n + 1))
    assert statistics.at_least_by_luck(bad, n, share) == pytest.approx(exact, abs=1e-9)


def test_gaps_stay_gaps_at_the_edges_too() -> None:
    t = [10.0, 11.0, 12.0, 20.0, 21.0]
    assert statistics.gaps(t, 5.0, 30.0, 3.0) == [(5.0, 10.0), (12.0, 20.0), (21.0, 30.0)]
    assert statistics.gaps(t, 10.0, 13.0, 3.0) == []
    assert statistics.gaps([], 0.0, 4.0, 3.0) == [(0.0, 4.0)]
    assert statistics.usual_interval(t) == 1.0
    assert statistics.usual_interval([1.0]) is None


@calmly
@given(requests())
def test_readings_come_out_in_order_of_time_and_windows_are_half_open(made: list[Sample]) -> None:
    readings = Readings.of(made[::-1])
    assert list(readings.t) == sorted(s.t for s in made)
    part = readings.between(1001.0, 1002.0)
    assert list(part.t) == [s.t for s in made if 1001.0 <= s.t < 1002.0]
    assert [part.details[code] for code in part.detail] == [s.detail for s in made if 1001 <= s.t < 1002]
