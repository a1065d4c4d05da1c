"""The guard aborts when it should, and when it can't tell."""

from __future__ import annotations

import pytest

from chaosdrill.execute.guard import Guard
from chaosdrill.model.experiment import StopCondition
from chaosdrill.model.signal import Sample
from chaosdrill.statistics import Rolling

START = 1_800_000_000.0


def _condition(**changes: str) -> StopCondition:
    fields = {"signal": "pay.availability", "below": "95 %", "for": "5 s", **changes}
    return StopCondition.model_validate(fields)


def _feed(window: Rolling, second: float, *, good: bool) -> None:
    for tenth in range(10):
        moment = START + second + tenth / 10
        window.add(Sample(moment, "pay", 0.01, good, "200" if good else "503"))


def test_a_breach_is_seen_when_it_has_lasted_for_its_whole_time() -> None:
    window, seen = Rolling(1.0), []
    guard = Guard([_condition()], window)
    for second in range(12):
        _feed(window, second, good=second < 3)
        if guard.breach(START + second + 1):
            seen.append(second)
    assert seen[0] == 8


def test_a_moment_of_health_starts_the_clock_again() -> None:
    window = Rolling(1.0)
    guard = Guard([_condition()], window)
    for second in range(20):
        _feed(window, second, good=second % 4 == 0)
        assert guard.breach(START + second + 1) is None


def test_silence_does_not_count_as_health() -> None:
    window = Rolling(1.0)
    guard = Guard([_condition()], window)
    _feed(window, 0, good=False)
    assert guard.breach(START + 1) is None
    assert guard.breach(START + 3) is None
    _feed(window, 5, good=False)
    assert guard.breach(START + 6.0) is not None


def test_a_blind_guard_is_a_breach() -> None:
    guard = Guard([_condition()], Rolling(1.0))
    assert guard.blind({"pay": START}, {"pay": 0.02}, START + 4.9) is None
    breach = guard.blind({"pay": START}, {"pay": 0.02}, START + 5.1)
    assert breach is not None
    assert "pay fell silent" in breach.rule


@pytest.mark.parametrize(("state", "breaks"), [("closed", False), ("open", True)])
def test_a_breaker_can_be_a_stop_condition(state: str, breaks: bool) -> None:
    window = Rolling(1.0)
    condition = StopCondition.model_validate({"signal": "payment.breaker", "equals": "open"})
    window.add(Sample(START, "payment.breaker", 2.0 if state == "open" else 0.0, True))
    assert (Guard([condition], window).breach(START + 0.5) is not None) is breaks
