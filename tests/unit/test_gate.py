"""The gate, from a healthy world with one thing broken at a time: each item fails closed and says why."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from changed import replace
from chaosdrill.clock import ManualClock, SystemClock
from chaosdrill.errors import Refused, TargetUnreachable
from chaosdrill.model.checklist import BEFORE, Answer, Binding, Check, Finding, reasons
from chaosdrill.model.experiment import ChaosdrillBlock
from chaosdrill.model.policy import SANDBOX, Approvals, Notified, Quiet, Rules, Windows
from chaosdrill.model.run import PlannedFault
from chaosdrill.model.signal import Sample
from chaosdrill.plan.experiment import read_experiment
from chaosdrill.plan.resolve import resolve_block
from chaosdrill.ports import Delivery, Signal
from chaosdrill.preflight import gate
from chaosdrill.preflight.subject import Asked, Outline, Subject, Surroundings, Team
from chaosdrill.record.folder import RunFolder, create
from chaosdrill.record.journal import Journal, hand_in

CLOCK = ManualClock()
STRICT = Rules("staging", max_targets=1)
BLOCK: dict[str, Any] = {
    "name": "chaosdrill",
    "hypothesis": "customers notice nothing",
    "expected-outcome": "the balancer routes around it",
    "service": "payment-api",
    "signals": {"api": {"target": "payment-api", "every": "100 ms"}},
    "criteria": [{"signal": "api.ready", "at-least": "3"}],
    "abort-when": [{"signal": "api.ready", "below": "1"}],
    "phases": {"baseline": "1 s", "recovery": "2 s"},
}
FAULT = PlannedFault(
    activity="kill",
    kind="instance_failure",
    target="payment-api",
    arguments={"target": "payment-api", "duration": "3 s"},
    duration=3.0,
    chosen=("payment-api-1",),
    candidates=3,
)
WORD = {
    "team-notified": Answer("team-notified", "not needed", "nobody is on call"),
    "customer-communication": Answer("customer-communication", "not needed", "internal", where="x.yaml:9"),
}


class Gauge:
    """A signal that says the same for ever; none for a silent one."""

    def __init__(self, value: float | None, error: str = "") -> None:
        self.value = value
        self.error = error

    def check(self) -> None:
        if self.error:
            raise TargetUnreachable(self.error, next_step="start it")

    def start(self, sink: Callable[[Any], None]) -> None:
        for step in range(20 if self.value is not None else 0):
            sink(Sample(CLOCK.now() + step / 20, "api.ready", self.value, True))

    def stop(self) -> None:
        pass


class Post:
    """A notifier that keeps what it was given."""

    def __init__(self, error: str = "") -> None:
        self.error = error
        self.sent: list[tuple[tuple[str, ...], str, str]] = []

    def to(self, addresses: Sequence[str]) -> Post:
        self.addresses = tuple(addresses)
        return self

    def send(self, title: str, text: str) -> Sequence[Delivery]:
        self.sent.append((self.addresses, title, text))
        return [Delivery(address, not self.error, self.error) for address in self.addresses]


def block_of(tmp_path: Path, **changes: Any) -> ChaosdrillBlock:
    written = {key: value for key, value in (BLOCK | changes).items() if value is not None}
    file = tmp_path / "x.yaml"
    file.write_text(yaml.safe_dump({"title": "t", "description": "d", "method": [], "extensions": [written]}))
    block = resolve_block(read_experiment(file), {})
    assert block is not None
    return block


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    """Everything as it should be, in an environment that is strict."""
    return Subject(
        title="t",
        rules=STRICT,
        asked=Asked("dora@laptop", tmp_path / "x.yaml", tmp_path, tmp_path / "approvals"),
        block=block_of(tmp_path),
        outline=Outline("it keeps flowing", 1),
        planned=(FAULT,),
        answers=WORD,
        bind=lambda salt: Binding(salt, {}),
        around=Surroundings(
            clock=CLOCK,
            touched=True,
            prepare=lambda fault: {},
            signals=lambda: signals(Gauge(3.0)),
            strays=lambda: [],
            deploying=lambda: [],
            firing=lambda url: Check("alerts", True, "no alert fires"),
        ),
        team=Team(Post().to),
    )


def signals(gauge: Gauge) -> Mapping[str, Signal]:
    return {"api": gauge}


def around(subject: Subject, **changes: Any) -> Subject:
    return subject._replace(around=subject.around._replace(**changes))


def ruled(subject: Subject, **changes: Any) -> Subject:
    return subject._replace(rules=subject.rules._replace(**changes))


def decided(subject: Subject) -> dict[str, Finding]:
    return {finding.item: finding for finding in gate.decide(subject).findings}


def failed(subject: Subject) -> list[str]:
    return [item for item, finding in decided(subject).items() if finding.state == "failed"]


def record(tmp_path: Path) -> tuple[RunFolder, Journal]:
    folder = create(tmp_path, "run-1", {"version": 1, "id": "run-1"})
    return folder, Journal(folder.file("journal.jsonl"), SystemClock())


# ---- the whole


def test_a_healthy_world_is_cleared_in_the_order_of_the_list(subject: Subject) -> None:
    told: list[str] = []
    decision = gate.decide(subject, lambda finding: told.append(finding.item))
    assert [finding.item for finding in decision.findings] == [item.key for item in BEFORE]
    assert decision.cleared, reasons(decision.findings)
    assert sorted(told) == sorted(item.key for item in BEFORE)
    assert all(finding.said for finding in decision.findings)


def test_a_check_that_crashes_has_failed(subject: Subject) -> None:
    def crash() -> Sequence[Mapping[str, Any]]:
        raise ZeroDivisionError("a mistake")

    finding = decided(around(subject, strays=crash))["rollback-plan"]
    assert finding.state == "failed" and "the check crashed: ZeroDivisionError: a mistake" in finding.said


def test_every_reason_is_there_and_each_says_what_to_do(subject: Subject, tmp_path: Path) -> None:
    broken = replace(
        subject,
        block=block_of(tmp_path, hypothesis=None, criteria=[], **{"abort-when": []}),
        outline=Outline(),
        answers={},
    )
    decision = gate.decide(broken)
    assert not decision.cleared
    assert [f.item for f in decision.findings if f.state == "failed"] == [
        "hypothesis",
        "success-criteria",
        "monitoring",
        "team-notified",
        "customer-communication",
    ]
    assert all(f.next_step for f in decision.findings if f.state == "failed")
    assert len(reasons(decision.findings)) == 5


def test_the_built_in_sandbox_lets_a_plain_file_run_fast(subject: Subject) -> None:
    plain = replace(
        subject,
        rules=SANDBOX,
        block=None,
        planned=(),
        answers={},
        around=subject.around._replace(touched=False),
        outline=Outline(foreign=("restart",)),
    )
    assert gate.decide(plain).cleared


def test_a_strict_environment_runs_no_plain_file_unless_its_policy_says_so(subject: Subject) -> None:
    plain = subject._replace(block=None)
    assert {"hypothesis", "expected-outcome", "success-criteria", "monitoring"} <= set(failed(plain))
    assert "x.chaosdrill.yaml" in decided(plain)["hypothesis"].next_step
    allowed = decided(ruled(plain, plain_files=True))
    assert allowed["hypothesis"].state == allowed["success-criteria"].state == "proved"
    assert allowed["expected-outcome"].state == "not needed"


# ---- what a machine can see


def test_the_stricter_of_two_limits_counts_and_is_named(subject: Subject, tmp_path: Path) -> None:
    both = replace(FAULT, chosen=("payment-api-1", "payment-api-2"))
    own = block_of(tmp_path, **{"blast-radius": {"max-targets": "2", "max-share": "50 %"}})
    finding = decided(replace(subject, planned=(both,), block=own))["blast-radius"]
    assert finding.state == "failed"
    assert finding.said == (
        "instance_failure: 2 of 3 payment-api match, blast radius allows"
        " 1 (the policy of staging) and 50 % (the experiment)"
    )
    alone = decided(replace(ruled(subject, max_targets=3), planned=(both,), block=own))["blast-radius"]
    assert "2 (the experiment)" in alone.said and alone.state == "failed"  # 67 % of it


def test_a_blast_radius_that_is_just_met_is_proved(subject: Subject, tmp_path: Path) -> None:
    own = block_of(tmp_path, **{"blast-radius": {"max-targets": "1", "max-share": "34 %"}})
    assert failed(replace(subject, block=own)) == []
    half = replace(FAULT, chosen=("payment-api-1", "payment-api-2"), candidates=4)
    limited = ruled(subject, max_targets=None, max_share=0.5)
    assert failed(replace(limited, planned=(half,))) == []


def test_faults_on_one_service_are_counted_together(subject: Subject) -> None:
    other = replace(FAULT, chosen=("payment-api-2",))
    assert failed(replace(subject, planned=(FAULT, other))) == ["blast-radius"]
    assert failed(replace(subject, planned=(FAULT, FAULT))) == []


def test_without_any_limit_a_strict_environment_refuses(subject: Subject) -> None:
    assert failed(ruled(subject, max_targets=None)) == ["blast-radius"]


def test_actions_whose_reach_nobody_knows_need_somebodys_word(subject: Subject) -> None:
    foreign = replace(subject, outline=Outline("t", 1, foreign=("drop-tables",), rollbacks=1))
    assert failed(foreign) == ["blast-radius"]
    word = Answer("blast-radius", "attested", "one table of the test data", "dora", "2026-11-20", "x.yaml:7")
    assert failed(replace(foreign, answers={**WORD, "blast-radius": word})) == []


@pytest.mark.parametrize(
    ("gauge", "said"),
    [
        (Gauge(3.0, "connection refused"), "api does not answer: connection refused"),
        (Gauge(None), "api answers, but gives no samples"),
        (Gauge(2.0), "not in its steady state: api.ready is 2"),
        (Gauge(0.0), "the run would stop at once: api.ready is 0"),
    ],
)
def test_a_system_that_is_silent_or_unwell_is_not_experimented_on(
    subject: Subject, gauge: Gauge, said: str
) -> None:
    finding = decided(around(subject, signals=lambda: signals(gauge)))["monitoring"]
    assert finding.state == "failed" and said in finding.said and finding.next_step


def test_one_bad_second_is_looked_at_again(subject: Subject) -> None:
    looks = iter([Gauge(3.0), Gauge(2.0), Gauge(3.0)])
    assert failed(around(subject, signals=lambda: signals(next(looks)))) == []


class Shop:
    """Requests to a shop of which so many in fifty fail."""

    def __init__(self, bad: int) -> None:
        self.bad = bad

    def check(self) -> None:
        pass

    def start(self, sink: Callable[[Any], None]) -> None:
        for number in range(50):
            well = number >= self.bad
            sink(Sample(CLOCK.now() + number / 50, "pay", 0.01, well, "200" if well else "503"))

    def stop(self) -> None:
        pass


@pytest.mark.parametrize(("bad", "state"), [(0, "proved"), (1, "proved"), (5, "failed"), (50, "failed")])
def test_a_second_of_requests_refuses_only_for_what_luck_would_hardly_show(
    subject: Subject, tmp_path: Path, bad: int, state: str
) -> None:
    block = block_of(
        tmp_path,
        signals={"pay": {"http": {"url": "http://127.0.0.1:9/", "rate": "50"}}},
        criteria=[{"signal": "pay.availability", "above": "99.9 %"}],
        **{"abort-when": [{"signal": "pay.p95_latency", "above": "5 s"}]},
    )
    shop = replace(subject.around, signals=lambda: {"pay": Shop(bad)})
    finding = decided(replace(subject, block=block, around=shop))["monitoring"]
    assert finding.state == state, finding.said


def test_what_must_come_true_during_a_fault_need_not_be_true_before(subject: Subject, tmp_path: Path) -> None:
    criteria = [{"signal": "api.ready", "below": "3", "phase": "fault"}]
    assert failed(replace(subject, block=block_of(tmp_path, criteria=criteria))) == []


def test_a_strict_environment_wants_something_measured_and_something_that_stops(
    subject: Subject, tmp_path: Path
) -> None:
    assert failed(replace(subject, block=block_of(tmp_path, **{"abort-when": []}))) == ["monitoring"]


def test_a_firing_alert_and_a_deployment_say_to_leave_it_alone(subject: Subject) -> None:
    quiet = ruled(subject, quiet=Quiet(alerts="http://a", deployments=True))
    assert failed(quiet) == []
    firing = Check("alerts", False, "1 alert fires: PoolExhausted")
    assert "PoolExhausted" in decided(around(quiet, firing=lambda url: firing))["monitoring"].said
    busy = decided(around(quiet, deploying=lambda: ["payment-api"]))["monitoring"]
    assert busy.state == "failed" and "payment-api" in busy.said


def test_a_fault_that_can_not_be_carried_out_refuses(subject: Subject) -> None:
    def gone(fault: PlannedFault) -> object:
        raise Refused("payment-api-1 is gone", next_step="start again")

    finding = decided(around(subject, prepare=gone))["rollback-plan"]
    assert finding.state == "failed" and finding.said == "instance_failure: payment-api-1 is gone"


def test_what_earlier_runs_left_on_refuses(subject: Subject) -> None:
    left = [{"id": "f1", "kind": "network_cut", "hit": ["api->db"], "run": "run-7", "seconds_left": 9}]
    finding = decided(around(subject, strays=lambda: left))["rollback-plan"]
    assert finding.said == "network_cut on api->db of run run-7 is still on"
    assert "chaosdrill recover" in finding.next_step


def test_actions_that_nothing_undoes_refuse(subject: Subject) -> None:
    word = Answer("blast-radius", "attested", "small", "dora", "2026-11-20")
    foreign = replace(
        subject, outline=Outline("t", 1, foreign=("drop-tables",)), answers={**WORD, "blast-radius": word}
    )
    finding = decided(foreign)["rollback-plan"]
    assert finding.state == "failed" and finding.said == "nothing undoes drop-tables"


def test_a_full_disk_refuses(subject: Subject) -> None:
    finding = decided(ruled(subject, free_disk=10**18))["rollback-plan"]
    assert finding.state == "failed" and "free where the run is recorded" in finding.said


# ---- what people say


def test_the_word_of_a_file_counts_only_where_the_policy_takes_it(subject: Subject) -> None:
    strict = ruled(subject, refuses_waiver=frozenset({"customer-communication"}))
    finding = decided(strict)["customer-communication"]
    assert finding.state == "failed" and "does not accept" in finding.said


@pytest.mark.parametrize(
    ("at", "state"),
    [("2026-11-20", "attested"), ("2999-01-01", "failed"), ("2999-01-01T10:00+01:00", "failed")],
)
def test_an_attestation_has_a_name_and_is_not_from_the_future(subject: Subject, at: str, state: str) -> None:
    word = Answer("customer-communication", "attested", "told them", "dora", at, "x.yaml:9")
    answers = {**WORD, "customer-communication": word}
    finding = decided(replace(subject, answers=answers))["customer-communication"]
    assert (finding.state, finding.by, finding.at) == (state, "dora", at)


def test_an_old_word_that_the_team_knows_is_none(subject: Subject) -> None:
    word = Answer("team-notified", "attested", "told them", "dora", "2020-01-01", "x.yaml:9")
    finding = decided(replace(subject, answers={**WORD, "team-notified": word}))["team-notified"]
    assert finding.state == "failed" and "more than 168 h ago" in finding.said


def test_outside_the_windows_it_is_refused_and_off_peak_may_be_attested(subject: Subject) -> None:
    from chaosdrill.model.policy import parse_span

    always, never = parse_span("00:00-24:00"), replace(parse_span("00:00-24:00"), days=frozenset())
    assert decided(ruled(subject, windows=Windows(allow=(always,))))["off-peak"].state == "proved"
    assert decided(ruled(subject, windows=Windows(allow=(never,))))["off-peak"].state == "failed"
    busy = ruled(subject, windows=Windows(allow=(always,), off_peak=(never,)))
    assert "off-peak is" in decided(busy)["off-peak"].said
    word = Answer("off-peak", "attested", "no sale today", "dora", "2026-11-20", "x.yaml:9")
    assert decided(replace(busy, answers={**WORD, "off-peak": word}))["off-peak"].state == "attested"


def test_without_a_signature_an_approval_is_missing(subject: Subject, tmp_path: Path) -> None:
    (tmp_path / "approvers").write_text("")
    asking = ruled(subject, approvals=Approvals(1, str(tmp_path / "approvers")))
    finding = decided(asking)["executive-approval"]
    assert finding.state == "failed" and "chaosdrill approve" in finding.next_step


def test_an_override_without_an_approval_overrides_nothing(subject: Subject) -> None:
    asked = replace(subject.asked, overrides={"blast-radius": "we know"})
    finding = decided(replace(ruled(subject, max_targets=None), asked=asked))["blast-radius"]
    assert finding.state == "failed" and "approve --override blast-radius" in finding.next_step


# ---- telling the team


def test_the_team_is_told_what_will_be_hit_and_how_to_stop_it(subject: Subject, tmp_path: Path) -> None:
    post, (folder, journal) = Post(), record(tmp_path)
    telling = replace(
        ruled(subject, notified=Notified(via=("json://a",))), answers=dict(list(WORD.items())[1:])
    )
    finding = decided(replace(telling, team=Team(post.to, (folder, journal))))["team-notified"]
    journal.close()
    assert finding.state == "proved" and "json://a" in finding.said
    ((_, title, text),) = post.sent
    assert "t" in title and "payment-api-1 (1 of 3)" in text and "chaosdrill abort run-1" in text


def test_a_message_that_was_not_delivered_refuses(subject: Subject) -> None:
    telling = replace(
        ruled(subject, notified=Notified(via=("json://a",))), answers=dict(list(WORD.items())[1:])
    )
    finding = decided(replace(telling, team=Team(Post("refused").to)))["team-notified"]
    assert finding.state == "failed" and "refused" in finding.said


def test_nobody_is_told_of_a_run_that_would_be_refused_anyway(subject: Subject) -> None:
    post = Post()
    telling = ruled(subject, notified=Notified(via=("json://a",)), max_targets=None)
    answers = dict(list(WORD.items())[1:])
    found = decided(replace(telling, answers=answers, team=Team(post.to)))
    assert found["team-notified"].state == "pending" and post.sent == []


def test_looking_at_the_checklist_sends_nothing(subject: Subject) -> None:
    post = Post()
    telling = replace(
        ruled(subject, notified=Notified(via=("json://a",))), answers=dict(list(WORD.items())[1:])
    )
    finding = decided(replace(telling, team=Team(post.to, sends=False)))["team-notified"]
    assert finding.state == "pending" and post.sent == []


def test_an_unannounced_drill_is_told_to_the_guardians_and_to_nobody_else(
    subject: Subject, tmp_path: Path
) -> None:
    post = Post()
    notified = Notified(via=("json://team",), guardians_via=("json://guardians",))
    drill = replace(
        ruled(subject, notified=notified),
        block=block_of(tmp_path, announced="no"),
        answers=dict(list(WORD.items())[1:]),
        team=Team(post.to),
    )
    assert decided(drill)["team-notified"].state == "proved"
    assert [addresses for addresses, _, _ in post.sent] == [("json://guardians",)]
    orphan = ruled(drill, notified=Notified(via=("json://team",)))
    assert decided(orphan)["team-notified"].state == "failed"
    assert len(post.sent) == 1


@pytest.mark.parametrize("ready", [True, False])
def test_the_answer_of_the_team_decides(subject: Subject, tmp_path: Path, ready: bool) -> None:
    folder, journal = record(tmp_path)
    notified = Notified(needs_answer=True, answer_within=20.0, responders=("dora",))
    waiting = replace(
        ruled(subject, notified=notified),
        answers=dict(list(WORD.items())[1:]),
        team=Team(Post().to, (folder, journal)),
    )
    asked = threading.Event()
    journal.listen(lambda event: asked.set() if event["event"] == "ready.asked" else None)

    def answer() -> None:
        assert asked.wait(20)
        hand_in(folder.file("inbox.jsonl"), "ready", by="dora", ready=ready, words="go")

    somebody = threading.Thread(target=answer)
    somebody.start()
    finding = decided(around(waiting, clock=SystemClock()))["team-notified"]
    somebody.join()
    journal.close()
    assert (finding.state, finding.by) == ("proved" if ready else "failed", "dora")


def test_a_hold_ends_the_waiting(subject: Subject, tmp_path: Path) -> None:
    folder, journal = record(tmp_path)
    notified = Notified(needs_answer=True, answer_within=20.0)
    waiting = replace(
        ruled(subject, notified=notified),
        answers=dict(list(WORD.items())[1:]),
        team=Team(Post().to, (folder, journal), lambda: "a hold is on, by dora: outage"),
    )
    finding = decided(waiting)["team-notified"]
    journal.close()
    assert finding.state == "failed" and finding.said == "a hold is on, by dora: outage"
