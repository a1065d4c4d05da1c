"""Criteria against samples: windows, floors, gaps, deadlines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaosdrill.model.experiment import Criterion, SourceSpec
from chaosdrill.model.run import CriterionResult, Phase
from chaosdrill.model.signal import Sample
from chaosdrill.record.samples import Samples
from chaosdrill.statistics import Readings
from chaosdrill.verdict.criteria import Observation, result
from chaosdrill.verdict.windows import Span, stretches, windows

# No time limits: these run on busy machines.
calmly = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

START, FAULT, RECOVERY, END = 1000.0, 1010.0, 1040.0, 1070.0
PHASES = (
    Phase(name="baseline", start=START, end=FAULT),
    Phase(name="fault", start=FAULT, end=RECOVERY),
    Phase(name="recovery", start=RECOVERY, end=END),
)
SOURCES = {
    "pay": SourceSpec.model_validate({"http": {"url": "http://127.0.0.1/", "rate": "50"}}),
    "instances": SourceSpec.model_validate({"target": "payment-api"}),
}
Answer = tuple[float | None, bool, str]
WELL: Answer = (0.012, True, "200")
SLOW: Answer = (0.8, True, "200")
BUSY: Answer = (0.004, False, "503")
DOWN: Answer = (None, False, "refused")


def pay(answer: Callable[[float], Answer | None] = lambda t: WELL, rate: int = 50) -> list[Sample]:
    moments = (START + i / rate for i in range(round((END - START) * rate)))
    return [Sample(t, "pay", *found) for t in moments if (found := answer(t)) is not None]


def ready(value: Callable[[float], float | None]) -> list[Sample]:
    moments = (START + 0.3 + i for i in range(round(END - START)))
    readings = ((t, value(t)) for t in moments)
    return [
        Sample(t, "instances.ready", v, v is not None, "" if v is not None else "error") for t, v in readings
    ]


def judged(
    made: Sequence[Sample], asked: dict[str, Any], phases: Sequence[Phase] = PHASES
) -> CriterionResult:
    names = {sample.signal for sample in made}
    columns = {name: Readings.of([s for s in made if s.signal == name]) for name in names}
    return result(Criterion.model_validate(asked), Observation(phases, Samples(columns), SOURCES))


AVAILABILITY = {"signal": "pay.availability", "above": "99.9 %", "over": "phase"}
ERRORS = {"signal": "pay.error_rate", "below": "0.5 %", "over": "phase"}
P95 = {"signal": "pay.p95_latency", "below": "500 ms", "over": "10 s"}
READY = {"signal": "instances.ready", "at-least": "3", "within": "10 s", "after": "fault-end"}


def test_one_window_over_the_phases() -> None:
    found = judged(pay(), AVAILABILITY)
    assert (found.state, found.worst, found.samples, found.needed, found.windows) == (
        "held",
        1.0,
        3000,
        1000,
        1,
    )
    assert found.margin == pytest.approx(0.001)
    assert found.text == (
        "pay.availability above 99.9 % over fault and recovery: held; "
        "100 % (margin 0.1 points), 3,000 samples"
    )


def test_exactly_at_an_exclusive_limit_is_a_deviation() -> None:
    three = iter(range(3))
    made = pay(lambda t: DOWN if t > FAULT and next(three, None) is not None else WELL)
    found = judged(made, AVAILABILITY)
    assert (found.state, found.worst, found.margin) == ("deviated", 0.999, 0.0)
    assert "(exactly at the limit)" in found.text
    three = iter(range(3))
    assert judged(made, {**AVAILABILITY, "above": None, "at-least": "99.9 %"}).state == "held"


def test_what_happens_in_the_baseline_is_not_held_against_the_fault() -> None:
    made = pay(lambda t: DOWN if t < FAULT else WELL)
    assert judged(made, AVAILABILITY).state == "held"
    assert judged(made, {**AVAILABILITY, "phase": "baseline"}).state == "deviated"


def test_every_window_of_ten_seconds_is_judged() -> None:
    found = judged(pay(), P95)
    assert (found.state, found.windows, found.windows_bad, found.needed) == ("held", 51, 0, 59)
    assert found.worst == 0.012
    made = pay(lambda t: SLOW if 1033.5 <= t < 1034.5 else WELL)
    found = judged(made, P95)
    assert (found.state, found.worst) == ("deviated", 0.8)
    assert found.worst_at == pytest.approx(1033.5, abs=0.02)
    assert found.margin == pytest.approx(-0.3)
    assert (
        f"worst 800 ms at T+33.5 s (300 ms beyond the limit), in {found.windows_bad} of 51 windows"
        in found.text
    )


@calmly
@given(st.floats(FAULT, END - 5))
def test_a_bad_stretch_cannot_hide_between_two_windows(begin: float) -> None:
    # Four of ten seconds, so a median over any ten seconds that hold them all still shows at p95.
    made = pay(lambda t: SLOW if begin <= t < begin + 4 else WELL, rate=20)
    sources = {"pay": SourceSpec.model_validate({"http": {"url": "http://127.0.0.1/", "rate": "20"}})}
    columns = Samples({"pay": Readings.of(made)})
    asked = Criterion.model_validate({**P95, "signal": "pay.p50_latency", "over": "6 s"})
    assert result(asked, Observation(PHASES, columns, sources)).state == "deviated"


def test_too_few_samples_prove_nothing_and_say_how_many_are_missing() -> None:
    found = judged(pay(rate=10), {**AVAILABILITY, "phase": "fault"})
    assert found.state == "inconclusive"
    assert "too few samples 300 of 1,000, 700 missing" in found.text
    found = judged(pay(lambda t: WELL if int(t * 50) % 10 == 0 else None), P95)
    assert found.state == "inconclusive"
    assert found.windows_short == 51


def test_one_filled_bad_window_outweighs_windows_that_say_nothing() -> None:
    made = pay(lambda t: None if t > 1040 else SLOW if 1020 <= t < 1030 else WELL)
    found = judged(made, P95)
    assert found.state == "deviated"
    assert found.windows_short > 0


def test_a_clear_outage_is_a_deviation_even_in_a_short_window() -> None:
    made = pay(lambda t: DOWN if 1015 <= t < 1025 else WELL, rate=10)
    assert judged(made, AVAILABILITY).state == "deviated"
    assert judged(made, ERRORS | {"over": "10 s"}).state == "deviated"


def test_one_bad_request_in_a_short_window_is_no_proof() -> None:
    made = pay(lambda t: BUSY if 1015 <= t < 1015.1 else WELL, rate=10)
    found = judged(made, AVAILABILITY)
    assert found.state == "inconclusive"
    assert found.margin is not None and found.margin < 0


def test_errors_that_are_answers_are_unavailable_only_from_500() -> None:
    found = judged(pay(lambda t: (0.01, False, "404")), AVAILABILITY)
    assert found.state == "held"
    assert judged(pay(lambda t: (0.01, False, "404")), ERRORS).state == "deviated"


def test_refused_connections_leave_no_latency_to_judge() -> None:
    found = judged(pay(lambda t: DOWN), P95)
    assert (found.state, found.worst) == ("inconclusive", None)
    assert "0 of 59" in found.text


def test_time_outs_show_in_the_latency_and_in_their_count() -> None:
    made = pay(lambda t: (2.0, False, "timeout") if 1020 <= t < 1025 else WELL)
    assert judged(made, P95).state == "deviated"
    found = judged(made, {"signal": "pay.timeouts", "at-most": "0"})
    assert (found.state, found.worst) == ("deviated", 250.0)


def test_a_hole_in_the_requests_proves_nothing() -> None:
    found = judged(pay(lambda t: None if 1020 <= t < 1025 else WELL), AVAILABILITY)
    assert (found.state, found.samples) == ("inconclusive", 2750)
    assert "no sample for 5 s" in found.text


def test_a_signal_that_died_in_the_middle_proves_nothing() -> None:
    assert judged(pay(lambda t: None if t > 1045 else WELL), AVAILABILITY).state == "inconclusive"


def test_a_phase_shorter_than_the_window_never_holds_but_can_deviate() -> None:
    phases = (*PHASES[:1], Phase(name="fault", start=FAULT, end=FAULT + 4))
    found = judged(pay(), P95, phases)
    assert found.state == "inconclusive"
    assert "only 4 s of it were observed" in found.text
    assert judged(pay(lambda t: SLOW), P95, phases).state == "deviated"


def test_a_gauge_without_a_window_is_judged_by_every_reading() -> None:
    asked = {"signal": "instances.ready", "at-least": "2"}
    assert judged(ready(lambda t: 2.0), asked).state == "held"
    found = judged(ready(lambda t: 1.0 if t == 1020.3 else 3.0), asked)
    assert (found.state, found.worst, found.worst_at, found.margin) == ("deviated", 1.0, 1020.3, -1.0)


@pytest.mark.parametrize(
    ("asked", "value", "state"),
    [
        ({"signal": "instances.ready", "below": "4"}, 3.0, "held"),
        ({"signal": "instances.ready", "equals": "3"}, 3.0, "held"),
        ({"signal": "instances.ready", "equals": "3"}, 4.0, "deviated"),
        ({"signal": "instances.ready", "at-most": "2"}, 3.0, "deviated"),
        ({"signal": "instances.ready", "above": "3"}, 3.0, "deviated"),
    ],
)
def test_bounds_of_gauges(asked: dict[str, Any], value: float, state: str) -> None:
    assert judged(ready(lambda t: value), asked).state == state


@pytest.mark.parametrize("lost", [(1020.0, 1024.0), (1010.0, 1015.0), (1066.0, 1071.0)])
def test_a_gauge_that_was_blind_proves_nothing(lost: tuple[float, float]) -> None:
    found = judged(
        ready(lambda t: None if lost[0] <= t < lost[1] else 3.0),
        {"signal": "instances.ready", "at-least": "3"},
    )
    assert found.state == "inconclusive"
    assert "no sample for" in found.text


def test_one_lost_reading_is_no_hole() -> None:
    made = ready(lambda t: None if 1020 <= t < 1021 else 3.0)
    assert judged(made, {"signal": "instances.ready", "at-least": "3"}).state == "held"


def test_back_in_time_and_to_the_end_holds() -> None:
    found = judged(ready(lambda t: 2.0 if FAULT <= t < 1045 else 3.0), READY)
    assert (found.state, found.worst) == ("held", 3.0)
    assert "there 5.3 s after fault end, and to the end" in found.text


def test_back_in_time_holds_in_a_recovery_shorter_than_the_deadline() -> None:
    made = ready(lambda t: 2.0 if FAULT <= t < 1045 else 3.0)
    assert judged(made, {**READY, "within": "1 min"}).state == "held"


def test_back_too_late_deviates_and_says_when() -> None:
    found = judged(ready(lambda t: 2.0 if FAULT <= t < 1055 else 3.0), READY)
    assert found.state == "deviated"
    assert "there to stay 15.3 s after fault end" in found.text


def test_never_back_deviates() -> None:
    found = judged(ready(lambda t: 2.0 if t >= FAULT else 3.0), READY)
    assert (found.state, found.worst) == ("deviated", 2.0)
    assert "not there at the end" in found.text


def test_back_and_gone_again_deviates() -> None:
    made = ready(lambda t: 2.0 if t < 1045 or 1060 <= t < 1062 else 3.0)
    assert judged(made, READY).state == "deviated"


def test_not_back_when_the_observation_ended_before_the_deadline_is_open() -> None:
    found = judged(ready(lambda t: 2.0), {**READY, "within": "1 min"})
    assert found.state == "inconclusive"
    assert "watched for 30 s of 1 min" in found.text


def test_a_hole_around_the_deadline_leaves_it_open() -> None:
    made = ready(lambda t: 2.0 if t < 1047 else None if t < 1053 else 3.0)
    assert judged(made, READY).state == "inconclusive"


def test_a_hole_before_the_recovery_does_no_harm() -> None:
    made = ready(lambda t: None if RECOVERY <= t < 1046 else 3.0)
    assert judged(made, READY).state == "held"


def test_a_hole_after_the_recovery_leaves_it_open() -> None:
    assert judged(ready(lambda t: 3.0 if t < 1055 else None), READY).state == "inconclusive"


def test_a_deadline_may_run_from_the_start_of_the_fault_and_end_with_it() -> None:
    asked = {"signal": "instances.ready", "at-least": "4", "within": "10 s", "after": "fault-start"}
    made = ready(lambda t: 4.0 if 1016 <= t < RECOVERY else 3.0)
    assert judged(made, {**asked, "phase": "fault"}).state == "held"
    assert judged(made, asked).state == "deviated"


def test_a_deadline_without_a_fault_or_after_the_observation_is_open() -> None:
    assert judged(ready(lambda t: 3.0), READY, PHASES[:1]).state == "inconclusive"
    found = judged(ready(lambda t: 3.0), {**READY, "phase": "fault"})
    assert found.state == "inconclusive"
    assert "nothing was observed after fault end" in found.text


def test_requests_can_have_a_deadline_too() -> None:
    asked = {"signal": "pay.p95_latency", "below": "500 ms", "within": "10 s", "after": "fault-end"}
    assert judged(pay(lambda t: SLOW if FAULT <= t < 1045 else WELL), asked).state == "held"
    assert judged(pay(lambda t: SLOW if FAULT <= t < 1055 else WELL), asked).state == "deviated"
    assert judged(pay(lambda t: SLOW if t >= FAULT else WELL), asked).state == "deviated"
    assert judged(pay(lambda t: None if t >= RECOVERY else WELL), asked).state == "inconclusive"


def test_a_signal_without_samples_is_open() -> None:
    found = judged([], AVAILABILITY)
    assert (found.state, found.samples) == ("inconclusive", 0)
    assert "no sample of pay.availability" in found.text


def test_phases_that_never_happened_are_open() -> None:
    found = judged(pay(), AVAILABILITY, PHASES[:1])
    assert found.state == "inconclusive"
    assert "nothing was observed of the fault and the recovery" in found.text


def test_a_run_that_died_in_its_fault_is_judged_as_far_as_it_got() -> None:
    phases = (PHASES[0], Phase(name="fault", start=FAULT))
    assert judged(pay(), AVAILABILITY, phases).samples == 2999
    assert judged(pay(lambda t: DOWN), AVAILABILITY, phases).state == "deviated"


def test_a_signal_that_this_version_does_not_know_is_open_and_no_crash() -> None:
    found = judged(pay(), {"signal": "pay.p96_latency", "below": "500 ms"})
    assert found.state == "inconclusive"
    assert (
        found.text
        == "pay.p96_latency below 500 ms: inconclusive; pay.p96_latency is no signal that this version knows"
    )


def test_a_breaker_is_judged_by_its_state() -> None:
    made = [Sample(START + i, "instances.breaker", 0.0, True) for i in range(70)]
    asked = {"signal": "instances.breaker", "equals": "closed"}
    found = judged(made, asked)
    assert (found.state, found.text.split(";")[1]) == ("held", " worst closed at T+10 s, 60 samples")
    assert judged([*made[:30], made[30]._replace(value=2.0), *made[31:]], asked).state == "deviated"


@calmly
@given(st.floats(0.1, 100), st.floats(0.1, 100))
def test_windows_cover_their_span_and_stay_inside(length: float, seconds: float) -> None:
    span = Span(1000.0, 1000.0 + length)
    found = windows(span, seconds)
    assert found[0].start == span.start
    assert found[-1].end == pytest.approx(span.end)
    assert all(span.start <= w.start and w.end <= span.end + 1e-6 for w in found)
    assert all(b.start - a.start <= seconds * 0.1 + 1e-6 for a, b in pairwise(found))


def test_phases_that_follow_each_other_are_one_stretch() -> None:
    assert stretches(PHASES, ("fault", "recovery"), None) == [Span(FAULT, END)]
    assert stretches(PHASES, ("baseline", "recovery"), None) == [Span(START, FAULT), Span(RECOVERY, END)]
