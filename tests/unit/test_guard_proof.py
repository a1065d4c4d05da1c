"""The guard proves itself: whatever is taken from it, it notices that it would not see a breach."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from chaosdrill.clock import ManualClock, SystemClock
from chaosdrill.execute import guard, watch
from chaosdrill.execute.guard import Breach
from chaosdrill.execute.proof import Unproved, prove
from chaosdrill.execute.steady import already_broken
from chaosdrill.execute.watch import Watch
from chaosdrill.execute.windows import Windows
from chaosdrill.model.experiment import Criterion, StopCondition
from chaosdrill.model.signal import GAUGE_SERIES, SERIES, Sample
from chaosdrill.plan.experiment import read_experiment
from chaosdrill.plan.resolve import resolve_block
from chaosdrill.ports import CheckAnswer, Rehearsal
from chaosdrill.signals.checks import open_check
from chaosdrill.statistics import Rolling

LIMITS = {"share": "60 %", "seconds": "300 ms", "count": "3", "breaker": "half-open"}
NOW = 1_800_000_000.0


def _stop(**fields: object) -> StopCondition:
    return StopCondition.model_validate(fields)


@pytest.mark.parametrize("lasting", ["0 s", "5 s", "10 min"])
@pytest.mark.parametrize(
    ("series", "side"),
    [
        (name, side)
        for name, side in itertools.product(SERIES, ("above", "below", "at-least", "at-most", "equals"))
    ],
)
def test_every_condition_that_can_be_written_proves_itself(series: str, side: str, lasting: str) -> None:
    condition = _stop(signal=f"pay.{series}", **{side: LIMITS[SERIES[series].unit], "for": lasting})
    prove([condition], (), {"pay": 2.0 if series in GAUGE_SERIES else 0.02})


@pytest.mark.parametrize(
    "path",
    sorted((Path(__file__).parents[2] / "experiments/sandbox").glob("*.yaml")),
    ids=lambda path: path.stem,
)
def test_every_shipped_experiment_has_a_guard_that_proves_itself(path: Path) -> None:
    file = read_experiment(path)
    block = resolve_block(file, dict.fromkeys(file.variables, "http://127.0.0.1:9"))
    assert block is not None
    assert block.abort_when
    prove(block.abort_when, (), dict.fromkeys(block.signals, 0.1))


def test_a_limit_that_nothing_can_break_is_found_out() -> None:
    with pytest.raises(Unproved, match="no made-up reading is on its bad side"):
        prove([_stop(signal="pay.availability", above="100 %")], (), {"pay": 0.02})


class _BlindGuard(guard.Guard):
    def breach(self, now: float, source: str = "") -> Breach | None:
        return None


class _DeafToSilence(guard.Guard):
    def blind(self, *_: object) -> Breach | None:
        return None


class _Nervous(guard.Guard):
    def breach(self, now: float, source: str = "") -> Breach | None:
        return Breach("anything", "everything", now)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (_BlindGuard, "did not see a made-up breach"),
        (_DeafToSilence, "did not see that nothing came"),
        (_Nervous, "took a good reading for a bad one"),
    ],
)
def test_a_broken_guard_does_not_pass_its_own_proof(
    broken: type[guard.Guard], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The one thing that only a change of the program can bring about.
    monkeypatch.setattr(watch, "Guard", broken)
    with pytest.raises(Unproved, match=said):
        prove([_stop(signal="pay.availability", below="95 %")], (), {"pay": 0.02})


@pytest.mark.parametrize("lasting", ["0 s", "3 s"])
@pytest.mark.parametrize(
    "fields",
    [
        {"http": {"url": "http://127.0.0.1:9/"}},
        {"http": {"url": "http://127.0.0.1:9/", "expect": "100-599", "method": "HEAD"}},
        {"prometheus": {"url": "http://127.0.0.1:9", "query": "up"}, "below": "1"},
        {"prometheus": {"url": "http://127.0.0.1:9", "query": "up"}, "equals": "0"},
        {"prometheus": {"url": "http://127.0.0.1:9", "query": "up"}, "at-least": "-2.5e9"},
    ],
)
def test_every_check_proves_itself_without_asking_anybody(fields: dict[str, object], lasting: str) -> None:
    condition = _stop(**fields, **{"for": lasting})
    prove([condition], [open_check(condition, SystemClock())], {})


class _AlwaysWell:
    def ask(self, seconds: float) -> CheckAnswer:
        return CheckAnswer(False, "fine")

    def rehearse(self) -> Rehearsal:
        return Rehearsal(CheckAnswer(False, "fine"), CheckAnswer(False, "fine"))

    def close(self) -> None: ...


class _GoodWhenBlind(_AlwaysWell):
    def rehearse(self) -> Rehearsal:
        good = CheckAnswer(False, "fine")
        return Rehearsal(good, CheckAnswer(True, "bad"), (good,))


@pytest.mark.parametrize("check", [_AlwaysWell(), _GoodWhenBlind()])
def test_a_check_that_calls_everything_good_is_found_out(check: _AlwaysWell) -> None:
    condition = _stop(http={"url": "http://127.0.0.1:9/"})
    with pytest.raises(Unproved):
        prove([condition], [check], {})


# ---- the watch


def _watched(
    condition: StopCondition, interval: float = 0.02
) -> tuple[Windows, Watch, ManualClock, list[Breach]]:
    clock, seen = ManualClock(NOW), list[Breach]()
    windows = Windows({"pay": interval})
    watching = Watch([condition], windows, (), clock, seen.append)
    return windows, watching, clock, seen


def test_a_bad_sample_is_reported_by_the_thread_that_took_it() -> None:
    windows, watching, clock, seen = _watched(_stop(signal="pay.availability", below="95 %"))
    watching.start(0.0)
    windows.take(Sample(clock.now() - 0.01, "pay", 0.01, False, "503"))
    assert [breach.seen for breach in seen] == ["0 %"]
    assert seen[0].at == pytest.approx(clock.now())


def test_only_the_first_breach_is_reported() -> None:
    windows, watching, clock, seen = _watched(_stop(signal="pay.availability", below="95 %"))
    watching.start(0.0)
    for _ in range(5):
        windows.take(Sample(clock.now(), "pay", None, False, "timeout"))
        watching.tick()
    assert len(seen) == 1


def test_a_first_slow_request_does_not_abort_before_a_window_is_full() -> None:
    windows, watching, clock, seen = _watched(_stop(signal="pay.max_latency", above="100 ms"))
    watching.start(settling=1.0)
    windows.take(Sample(clock.now() - 0.2, "pay", 0.2, True, "200"))
    watching.tick()
    assert not seen
    clock.advance(1.5)
    windows.take(Sample(clock.now() - 0.2, "pay", 0.2, True, "200"))
    assert len(seen) == 1


def test_nothing_is_reported_once_it_is_over() -> None:
    windows, watching, clock, seen = _watched(_stop(signal="pay.availability", below="95 %"))
    watching.start(0.0)
    watching.stop()
    windows.take(Sample(clock.now(), "pay", None, False, "timeout"))
    assert not seen


def test_a_slow_source_makes_no_other_one_sluggish() -> None:
    windows = Windows({"pay": 0.02, "instances": 30.0})
    windows.start(NOW)
    for tenth in range(100):
        windows.take(Sample(NOW + tenth / 10, "pay", 0.0, True, "200"))
    windows.take(Sample(NOW + 20, "pay", None, False, "refused"))
    assert windows.value("pay.availability", NOW + 20) == (0.0, 1)


# ---- the steady state


@pytest.mark.parametrize(
    ("fields", "broken"),
    [
        ({"signal": "pay.error_rate", "below": "10 %"}, True),
        ({"signal": "pay.error_rate", "below": "60 %"}, False),
        # What is to be reached in time, and what only a fault brings about, is no part of it.
        ({"signal": "pay.error_rate", "below": "10 %", "within": "5 s"}, False),
        ({"signal": "pay.error_rate", "above": "60 %", "phase": "fault"}, False),
        ({"signal": "db.breaker", "equals": "open"}, False),
        ({"signal": "db.breaker", "equals": "closed"}, True),
        ({"signal": "db.cpu", "above": "80 %", "phase": "fault"}, False),
        # Half of twenty is no proof about one in a thousand.
        ({"signal": "pay.error_rate", "below": "0.1 %"}, False),
    ],
)
def test_only_what_belongs_to_the_steady_state_keeps_a_fault_away(
    fields: dict[str, str], broken: bool
) -> None:
    baseline = Rolling(10.0)
    for i in range(20):
        baseline.add(Sample(NOW + i / 10, "pay", 0.01, i % 2 == 0, "200" if i % 2 == 0 else "500"))
    baseline.add(Sample(NOW + 1, "db.breaker", 1.0, True))
    baseline.add(Sample(NOW + 1, "db.cpu", 0.1, True))
    found = already_broken([Criterion.model_validate(fields)], baseline, NOW + 2)
    assert bool(found) is broken
    if broken and fields["signal"] == "pay.error_rate":
        assert "but it is 50 % (20 samples)" in found[0]
