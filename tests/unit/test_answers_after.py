"""What is asked during and after a run: proved by its record, answered by people, or needed from nobody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chaosdrill.clock import iso
from chaosdrill.model.checklist import Answer
from chaosdrill.record import answers
from chaosdrill.record import folder as folders
from chaosdrill.record.folder import RunFolder

T = 1_800_000_000.0
KEYS = [item.key for item in answers.ASKED]
HUMAN = ["observations", "findings", "improvements", "learnings-shared"]


def event(seconds: float, name: str, **facts: Any) -> dict[str, Any]:
    return {"t": iso(T + seconds), "mono": seconds, "event": name, **facts}


GOOD = [
    event(0, "run.opened"),
    event(1, "watchdog.armed", pid=7),
    event(2, "guard.proved", conditions=1),
    event(3, "phase.started", phase="baseline"),
    event(10, "phase.started", phase="fault"),
    event(20, "phase.started", phase="recovery"),
    event(30, "phase.started", phase="ended"),
    event(31, "people.told", moment="end", delivered=["json://chat"], failed=[]),
]
TOLD = {"item": "team-notified", "state": "proved", "checks": [{"name": "json://chat", "ok": True}]}


def made(home: Path, events: list[dict[str, Any]] = GOOD, sample: float = 15.0, **changes: Any) -> RunFolder:
    """A sealed run in an environment that waives nothing, with everything that a machine can prove."""
    name = folders.run_id("payments survive", T, "a1b2")
    facts = {
        "id": name,
        "state": "sealed",
        "environment": "production",
        "waived": {},
        "clearance": {"findings": [TOLD]},
        "verdict": {"execution": {"state": "completed"}, "hypothesis": {"state": "held"}},
        **changes,
    }
    folder = folders.create(home, name, facts)
    folder.file("journal.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
    folder.file("samples.csv").write_text(
        f"t,signal,value,ok,detail\n{T + 5},pay,0.1,1,200\n{T + sample},pay,0.1,1,200\n"
    )
    return folder


def states(folder: RunFolder) -> dict[str, str]:
    return {finding.item: finding.state for finding in answers.findings(folder)}


def said(item: str, words: str = "seen", **more: str) -> Answer:
    return Answer(item, "attested", words, by="alice", at="2027-01-15T09:00:00Z", **more)


def test_a_machine_proves_its_items_and_asks_people_for_theirs(tmp_path: Path) -> None:
    found = states(made(tmp_path))
    assert list(found) == KEYS
    assert [key for key in KEYS if found[key] == "pending"] == HUMAN
    assert all(found[key] == "proved" for key in KEYS if key not in HUMAN)


def test_a_run_is_open_until_the_last_item_is_answered(tmp_path: Path) -> None:
    folder = made(tmp_path)
    for item in HUMAN:
        assert answers.is_open(folder)
        answers.add(folder, said(item, owner="bob", link="https://wiki/7"))
    assert not answers.is_open(folder)
    assert answers.open_items(folder) == []
    finding = next(f for f in answers.findings(folder) if f.item == "findings")
    assert (finding.state, finding.by) == ("attested", "alice")
    assert finding.said == "seen (owner: bob) <https://wiki/7>"


@pytest.mark.parametrize(
    ("item", "missing"),
    [
        ("monitored", {"sample": 25.0}),
        ("monitored", {"events": [e for e in GOOD if e.get("phase") != "fault"]}),
        ("ready-to-abort", {"events": [e for e in GOOD if e["event"] != "watchdog.armed"]}),
        ("ready-to-abort", {"events": [e for e in GOOD if e["event"] != "guard.proved"]}),
        ("ready-to-abort", {"events": [*GOOD[:2], event(2, "guard.proved", conditions=0), *GOOD[3:]]}),
        ("status-communicated", {"events": GOOD[:-1]}),
        ("status-communicated", {"clearance": {"findings": [{**TOLD, "checks": []}]}}),
        ("status-communicated", {"clearance": None}),
        (
            "status-communicated",
            {
                "events": [
                    *GOOD[:-1],
                    event(31, "people.told", moment="end", failed=[{"address": "json://b"}]),
                ]
            },
        ),
        (
            "hypothesis-answered",
            {"verdict": {"execution": {"state": "completed"}, "hypothesis": {"state": "inconclusive"}}},
        ),
    ],
)
def test_without_its_evidence_an_item_stays_open(tmp_path: Path, item: str, missing: dict[str, Any]) -> None:
    folder = made(tmp_path, **missing)
    found = {finding.item: finding for finding in answers.findings(folder)}
    assert found[item].state == "pending"
    assert found[item].said
    assert f"chaosdrill answer a1b2 {item} TEXT --by NAME" in found[item].next_step
    answers.add(folder, said(item))
    assert states(folder)[item] == "attested"


def test_an_environment_may_need_an_item_from_nobody(tmp_path: Path) -> None:
    folder = made(tmp_path, waived=dict.fromkeys(HUMAN, "nobody is there"))
    assert not answers.is_open(folder)
    assert states(folder)["findings"] == "not needed"


def test_records_without_a_policy_are_of_the_sandbox_and_closed(tmp_path: Path) -> None:
    assert not answers.is_open(made(tmp_path, waived=None, environment="sandbox", clearance=None))
    assert answers.is_open(made(tmp_path / "other", waived=None, environment="staging"))


@pytest.mark.parametrize(
    "changes",
    [{"state": "open", "verdict": None}, {"verdict": {"execution": {"state": "refused"}}}],
    ids=["going on", "refused"],
)
def test_nothing_is_asked_where_nothing_came_of_it(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert answers.findings(made(tmp_path, **changes)) == []


def test_answers_stand_beside_the_seal_and_beside_each_other(tmp_path: Path) -> None:
    folder = made(tmp_path)
    folder.update_facts(checksums=folder.checksums())
    answers.add(folder, said("findings", "retries hide it", owner="bob"))
    answers.add(folder, said("findings", "the alert is late", owner="eve"))
    assert folder.altered() == []
    finding = next(f for f in answers.findings(folder) if f.item == "findings")
    assert finding.said == "retries hide it (owner: bob); the alert is late (owner: eve)"


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "null",
        '{"item": "findings"}',
        '{"item": "findings", "kind": "attested", "words": "x", "by": "alice"}',
        '{"item": "learnings-shared", "kind": "attested", "words": "x", "by": "alice", "link": ""}',
        '{"item": "observations", "kind": "attested", "words": "", "by": "alice"}',
        '{"item": "observations", "kind": "attested", "words": "x", "by": ""}',
        '{"item": "observations", "kind": "attested", "words": ["x"], "by": "alice"}',
        '{"item": "observations", "kind": "not needed", "words": "x", "by": "alice"}',
        '{"item": "what", "kind": "attested", "words": "x", "by": "alice"}',
    ],
)
def test_a_line_that_is_no_whole_answer_closes_nothing(tmp_path: Path, line: str) -> None:
    folder = made(tmp_path)
    folder.file(answers.ANSWERS).write_text(line + "\n")
    assert answers.read(folder) == []
    assert [finding.item for finding in answers.open_items(folder)] == HUMAN
