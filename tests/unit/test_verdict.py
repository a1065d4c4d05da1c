"""The verdict, each time from a healthy world with one thing broken."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from chaosdrill.errors import Exit
from chaosdrill.model.experiment import ChaosdrillBlock
from chaosdrill.model.run import (
    Abort,
    EngineOutcome,
    Evidence,
    FaultOutcome,
    Phase,
    PlannedFault,
    ProbeResult,
    Verdict,
)
from chaosdrill.model.signal import Sample
from chaosdrill.record.samples import Samples
from chaosdrill.statistics import Readings
from chaosdrill.verdict import describe, judge

START, FAULT, RECOVERY, END = 1000.0, 1010.0, 1040.0, 1070.0
BLOCK = {
    "signals": {
        "pay": {"http": {"url": "http://127.0.0.1/", "rate": "50"}},
        "instances": {"target": "payment-api"},
    },
    "criteria": [
        {"signal": "pay.availability", "above": "99.9 %", "over": "phase"},
        {"signal": "pay.p95_latency", "below": "500 ms", "over": "10 s"},
        {"signal": "instances.ready", "at-least": "3", "within": "1 min", "after": "fault-end"},
    ],
}
PLANNED = PlannedFault(
    activity="fail-one",
    kind="instance_failure",
    target="payment-api",
    duration=30,
    chosen=("payment-api-2",),
    candidates=3,
)
FAULT_OUTCOME = FaultOutcome(
    id="f1",
    activity="fail-one",
    kind="instance_failure",
    target="payment-api",
    hit=("payment-api-2",),
    duration=30,
    started=FAULT,
    ended=RECOVERY,
)
ACTION = {"name": "fail-one", "type": "action", "status": "succeeded"}
PHASES = (
    Phase(name="baseline", start=START, end=FAULT),
    Phase(name="fault", start=FAULT, end=RECOVERY),
    Phase(name="recovery", start=RECOVERY, end=END),
)


def probe(moment: str, **changes: Any) -> ProbeResult:
    facts = {"name": "answers", "moment": moment, "met": True, "output": "200", "tolerance": "200"}
    return ProbeResult.read({**facts, **changes})


ENGINE = EngineOutcome(status="completed", probes=(probe("before"), probe("after")), activities=(ACTION,))


def healthy(**changes: Any) -> Evidence:
    facts: dict[str, Any] = {
        "block": ChaosdrillBlock.model_validate(BLOCK),
        "phases": PHASES,
        "planned": (PLANNED,),
        "faults": (FAULT_OUTCOME,),
        "engine": ENGINE,
    }
    return Evidence(**{**facts, **changes})


def engine(**changes: Any) -> EngineOutcome:
    return replace(ENGINE, **changes)


def fault(**changes: Any) -> FaultOutcome:
    return replace(FAULT_OUTCOME, **changes)


def samples(*, down: float | None = None) -> Samples:
    """Return a run of 50 requests a second, all well, or all failing in the second that begins at `down`."""
    requests = []
    for i in range(round((END - START) * 50)):
        t = START + i / 50
        well = down is None or not down <= t < down + 1
        requests.append(
            Sample(t, "pay", 0.012, True, "200") if well else Sample(t, "pay", None, False, "refused")
        )
    ready = [
        Sample(t, "instances.ready", 2.0 if FAULT <= t < RECOVERY else 3.0, True)
        for t in (START + i for i in range(round(END - START)))
    ]
    return Samples({"pay": Readings.of(requests), "instances.ready": Readings.of(ready)})


def verdict(**changes: Any) -> Verdict:
    return judge(healthy(**changes), samples())


def states(found: Verdict) -> tuple[str, ...]:
    lines = (found.execution, found.hypothesis, found.response, found.cleanup, found.coverage)
    return tuple(line.state for line in lines)


def test_a_healthy_run_holds_and_says_for_what() -> None:
    found = verdict()
    assert states(found) == ("completed", "held", "not exercised", "verified", "full")
    assert (found.exit_code, found.word) == (Exit.HELD, "HELD")
    assert (
        found.why
        == "for instance failure on payment-api for 30 s: 3 of 3 criteria and 1 steady-state probe met"
    )
    assert found.coverage.text == "1 of 1 target hit"


def test_the_same_evidence_gives_the_same_verdict_again() -> None:
    assert verdict() == judge(healthy(), samples())
    assert Verdict.read(json.loads(json.dumps(verdict().as_json()))) == verdict()


def test_a_criterion_that_deviates_makes_the_run_deviate_and_is_quoted() -> None:
    found = judge(healthy(), samples(down=FAULT + 3))
    assert (found.exit_code, found.word) == (Exit.DEVIATED, "DEVIATED")
    assert found.hypothesis.state == "deviated"
    assert found.why.startswith("pay.availability above 99.9 % over fault and recovery: deviated; 98.3333 %")
    assert "at T+13 s" in found.why


def test_residue_outranks_everything() -> None:
    found = judge(healthy(faults=(fault(residue=("payment-api-2 is still down",)),)), samples(down=FAULT))
    assert (found.exit_code, found.word) == (Exit.RESIDUE, "RESIDUE LEFT")
    assert found.cleanup.state == "failed"
    assert found.why == "instance_failure on payment-api: payment-api-2 is still down"
    assert found.hypothesis.state == "deviated"


def test_a_fault_without_an_end_is_not_taken_for_undone() -> None:
    found = verdict(faults=(fault(ended=None),))
    assert (found.exit_code, found.cleanup.state) == (Exit.RESIDUE, "unverified")
    assert "has no end on record" in found.why


def test_an_abort_names_who_and_why_and_how_fast() -> None:
    abort = Abort(by="guard", rule="pay.availability below 95 % for 5 s", requested=1020.0, undone=1020.25)
    found = verdict(abort=abort, engine=engine(status="interrupted"))
    assert (found.exit_code, found.word) == (Exit.ABORTED, "ABORTED")
    assert found.why == "by guard: pay.availability below 95 % for 5 s; undone 250 ms later"
    assert found.hypothesis.state == "inconclusive"


def test_an_aborted_run_still_says_that_it_deviated() -> None:
    found = judge(healthy(abort=Abort(by="guard", rule="r", requested=1020.0)), samples(down=FAULT))
    assert (found.exit_code, found.hypothesis.state) == (Exit.ABORTED, "deviated")


def test_an_engine_that_died_is_an_error() -> None:
    found = verdict(engine=EngineOutcome(error="killed by signal 9"))
    assert (found.exit_code, found.word, found.execution.state) == (Exit.ABORTED, "ERRORED", "errored")
    assert found.why == "Chaos Toolkit did not finish: killed by signal 9"
    assert found.hypothesis.state == "inconclusive"


def test_a_fault_action_that_failed_is_not_a_held_hypothesis() -> None:
    found = verdict(
        engine=engine(failed_activities=("fail-one",)),
        faults=(fault(started=None, ended=1011.0, hit=(), error="no such instance"),),
    )
    assert states(found)[:2] == ("errored", "inconclusive")
    assert (found.exit_code, found.word) == (Exit.INCONCLUSIVE, "ERRORED")
    assert found.why == "the action fail-one failed"
    assert found.coverage.state == "none"
    assert "never became active (no such instance)" in found.coverage.text


def test_a_failed_probe_of_the_method_is_told_and_decides_nothing() -> None:
    activities = (ACTION, {"name": "look", "type": "probe", "status": "failed"})
    found = verdict(engine=engine(activities=activities, failed_activities=("look",)))
    assert found.exit_code == Exit.HELD
    assert found.execution.text == "but the probe look of the method failed"


@pytest.mark.parametrize("status", ["failed", "aborted"])
def test_an_engine_that_ended_badly_without_a_deviation_is_an_error(status: str) -> None:
    found = verdict(engine=engine(status=status))
    assert (found.execution.state, found.exit_code) == ("errored", Exit.INCONCLUSIVE)


def test_a_control_that_interrupts_is_an_abort() -> None:
    found = verdict(engine=engine(status="interrupted"))
    assert (found.execution.state, found.exit_code) == ("aborted", Exit.ABORTED)


def test_a_gate_that_was_not_met_blames_no_fault() -> None:
    gate = probe("before", met=False, output="503")
    found = verdict(engine=engine(status="failed", probes=(gate,), activities=()), faults=())
    assert states(found) == ("completed", "not evaluated", "not exercised", "verified", "none")
    assert (found.exit_code, found.word) == (Exit.INCONCLUSIVE, "NOT EVALUATED")
    assert found.why == (
        "the system was out of its steady state before any fault: "
        "the probe answers was not met before the method: 503 where 200 was expected"
    )


@pytest.mark.parametrize("moment", ["during", "after"])
def test_a_probe_that_was_not_met_deviates_even_when_chaos_toolkit_says_otherwise(moment: str) -> None:
    probes = (probe("before"), probe(moment, met=False, output="503"), probe("after"))
    found = verdict(engine=engine(deviated=False, probes=probes))
    assert (found.hypothesis.state, found.exit_code) == ("deviated", Exit.DEVIATED)
    assert f"answers was not met {moment} the method" in found.why


def test_a_probe_that_could_not_be_read_proves_nothing_unless_chaos_toolkit_says_so() -> None:
    unread = probe("during", met=False, error="ConnectionError: refused")
    found = verdict(engine=engine(probes=(probe("before"), unread, probe("after"))))
    assert (found.hypothesis.state, found.exit_code) == ("inconclusive", Exit.INCONCLUSIVE)
    found = verdict(engine=engine(deviated=True, status="failed", probes=(probe("before"), unread)))
    assert (found.hypothesis.state, found.exit_code) == ("deviated", Exit.DEVIATED)


def test_chaos_toolkits_own_word_counts_without_a_probe_to_show() -> None:
    assert verdict(engine=engine(deviated=True)).exit_code == Exit.DEVIATED


def test_probes_that_nobody_looked_at_afterwards_hold_nothing() -> None:
    found = verdict(engine=engine(probes=(probe("before"),)))
    assert (found.hypothesis.state, found.exit_code) == ("inconclusive", Exit.INCONCLUSIVE)


def test_a_plain_file_with_a_hypothesis_is_judged_by_its_probes() -> None:
    found = judge(Evidence(engine=ENGINE), Samples())
    assert states(found) == ("completed", "held", "not exercised", "unverified", "unknown")
    assert (found.exit_code, found.why) == (
        Exit.HELD,
        "for what this file did: 1 steady-state probe met",
    )


def test_a_plain_file_without_a_hypothesis_shows_nothing() -> None:
    found = judge(Evidence(engine=EngineOutcome(status="completed", activities=(ACTION,))), Samples())
    assert (found.exit_code, found.word) == (Exit.INCONCLUSIVE, "NOT EVALUATED")
    assert found.execution.state == "completed"


def test_a_target_that_was_missed_is_never_held() -> None:
    plan = replace(PLANNED, chosen=("payment-api-1", "payment-api-2"))
    found = verdict(planned=(plan,))
    assert (found.coverage.state, found.coverage.text) == ("partial", "1 of 2 targets hit")
    assert (found.exit_code, found.word, found.why) == (
        Exit.INCONCLUSIVE,
        "INCONCLUSIVE",
        "1 of 2 targets hit",
    )


def test_a_second_fault_that_never_became_active_is_never_held() -> None:
    second = replace(PLANNED, kind="latency", target="database", chosen=("database",))
    found = verdict(planned=(PLANNED, second))
    assert found.coverage.state == "partial"
    assert found.coverage.text == "1 of 2 targets hit; latency on database never became active"
    assert found.exit_code == Exit.INCONCLUSIVE


def test_the_same_fault_twice_needs_two_outcomes() -> None:
    assert verdict(planned=(PLANNED, PLANNED)).coverage.state == "partial"
    assert verdict(planned=(PLANNED, PLANNED), faults=(fault(), fault(id="f2"))).coverage.state == "full"


def test_a_fault_that_ended_early_is_told() -> None:
    found = verdict(faults=(fault(ended=FAULT + 12),))
    assert found.coverage.state == "partial"
    assert "instance_failure on payment-api lasted 12 s of 30 s" in found.coverage.text
    assert found.exit_code == Exit.INCONCLUSIVE


def test_a_run_without_any_active_fault_holds_nothing() -> None:
    found = verdict(faults=())
    assert (found.hypothesis.state, found.hypothesis.text) == ("inconclusive", "no fault ever became active")


def test_every_verdict_fits_a_terminal() -> None:
    for found in (verdict(), judge(healthy(), samples(down=FAULT)), judge(Evidence(), Samples())):
        lines = describe(found)
        assert lines[0].startswith(f"{found.word}: ")
        assert all(len(line) <= 80 and line == line.rstrip() for line in lines)
        text = "\n".join(lines)
        for word in ("Execution", "Hypothesis", "Response", "Clean-up", "Coverage"):
            assert word in text


def test_no_evidence_at_all_is_an_error_and_no_crash() -> None:
    found = judge(Evidence(), Samples())
    assert (found.exit_code, found.word) == (Exit.ABORTED, "ERRORED")


def test_a_runner_that_is_lost_while_it_stops_is_told_beside_why_it_stopped() -> None:
    stopped = Abort(by="guard", rule="pay.availability below 95 %", requested=FAULT + 3, undone=FAULT + 4)
    found = verdict(abort=stopped, lost="killed")
    assert found.execution.text.startswith("by guard: pay.availability below 95 %")
    assert found.execution.text.endswith("; then the runner was lost: killed")
    lost = Abort(by="watchdog", rule="runner lost: killed", requested=FAULT + 3, undone=FAULT + 4)
    assert (
        verdict(abort=lost, lost="killed").execution.text
        == "by watchdog: runner lost: killed; undone 1 s later"
    )


def test_a_rollback_that_failed_is_left_on_whatever_else_was_proved() -> None:
    found = verdict(unplayed=("rollback tidy failed: exit status 1",))
    assert (found.exit_code, found.word) == (Exit.RESIDUE, "RESIDUE LEFT")
    assert found.why == "rollback tidy failed: exit status 1"
