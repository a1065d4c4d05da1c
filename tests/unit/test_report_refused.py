"""A refusal and a checklist in a record: the word, the code, the reasons and the overrides everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from chaosdrill import report
from chaosdrill.cli.screen.stream import Stream
from chaosdrill.cli.screen.verdicts import overrides, recorded
from chaosdrill.clock import ManualClock, iso
from chaosdrill.errors import Exit, NotCleared, Refused
from chaosdrill.model.checklist import ApprovalUse, Binding, Check, Clearance, Finding
from chaosdrill.pipeline.recording import refuse
from chaosdrill.record import folder as folders
from chaosdrill.record.folder import RunFolder
from chaosdrill.testing.folders import OPENED, Story, build_run_folder

REASONS = (
    "Team notified and ready: mattermost://ops did not take the message; see its log",
    "Off-peak hours: outside the windows <b>now</b>; next at 2026-11-23T09:00Z",
)


def opened(place: Path) -> RunFolder:
    facts = {
        "version": 1,
        "id": "r1",
        "state": "open",
        "title": "Nothing | happens",
        "environment": "production",
        "actor": "ada@bench",
        "source": {"path": "x.yaml", "file": "x.yaml", "digest": "sha256:00"},
        "started": iso(OPENED),
        "planned": [],
    }
    return folders.create(place, "r1", facts)


def refused(place: Path, refusal: Refused | None = None) -> RunFolder:
    folder = opened(place)
    refuse(folder, refusal or NotCleared(REASONS), ManualClock(OPENED + 2))
    return folder


FINDINGS = (
    Finding("hypothesis", "proved", "one sentence"),
    Finding("expected-outcome", "attested", "in words <i>of</i> mine", by="ada", at="2026-11-20"),
    Finding("success-criteria", "not needed", "sandbox"),
    Finding(
        "monitoring",
        "overridden",
        "an alert is firing: Disk80; the owner knows of it",
        by="grace",
        checks=(Check("alerts", ok=False, said="1 firing", at=OPENED, next_step="silence it"),),
    ),
    Finding("off-peak", "failed", "outside the windows", "wait until Monday"),
)


def cleared(place: Path) -> RunFolder:
    folder = build_run_folder(place / "held", Story(samples=700))
    use = ApprovalUse("a1", "grace", "ada", "standing", OPENED, OPENED + 600, ("monitoring",), "go ahead", 3)
    binding = Binding("hmac:00", {"experiment": "e"})
    clearance = Clearance("held", "staging", binding, FINDINGS[:-1], OPENED, OPENED + 600, (use,))
    folder.update_facts(clearance=clearance.as_json())
    report.write(folder, list(report.FORMATS))
    return folder


def test_a_refused_run_is_sealed_as_refused_with_the_code_3(tmp_path: Path) -> None:
    facts = refused(tmp_path).facts()
    verdict = facts["verdict"]
    assert facts["state"] == "sealed"
    assert (verdict["word"], verdict["exit_code"]) == ("REFUSED", Exit.REFUSED)
    assert verdict["why"] == f"{REASONS[0]} (and 1 more)"
    assert verdict["cleanup"] == {"state": "verified", "text": "nothing was injected"}
    assert verdict["hypothesis"]["state"] == "not evaluated"


def test_a_refusal_without_a_checklist_has_its_own_sentence_as_reason(tmp_path: Path) -> None:
    refusal = Refused("not injecting: a hold is on", next_step="see: chaosdrill hold status")
    assert refused(tmp_path, refusal).facts()["verdict"]["why"] == str(refusal)
    assert Path(refusal.record) == tmp_path / "runs" / "r1"


def test_the_reasons_come_first_in_every_format(tmp_path: Path) -> None:
    folder = refused(tmp_path)
    page = folder.file("report.html").read_text()
    assert page.index("Why it was refused") < page.index("What was tested")
    assert "<b>now</b>" not in page
    assert page.index("mattermost://ops") < page.index("What was tested")
    text = folder.file("report.md").read_text()
    assert text.index("## Why it was refused") < text.index("## What was tested")
    assert "<b>" not in text
    assert json.loads(folder.file("report.json").read_text())["refused"] == list(REASONS)


def test_for_a_job_a_refusal_is_an_error_with_every_reason(tmp_path: Path) -> None:
    suite = ElementTree.parse(refused(tmp_path).file("junit.xml")).find("testsuite")
    assert suite is not None
    assert (suite.get("errors"), suite.get("failures")) == ("1", "0")
    error = suite.find("testcase/error")
    assert error is not None
    assert all(reason in (error.text or "") for reason in REASONS)


def test_an_override_stands_above_the_verdict(tmp_path: Path) -> None:
    folder = cleared(tmp_path)
    words = "Overridden: Monitoring in place, system healthy. an alert is firing: Disk80"
    page = folder.file("report.html").read_text()
    assert page.index(words) < page.index('id="verdict"')
    text = folder.file("report.md").read_text()
    assert text.index(words) < text.index("(exit code ")
    told = json.loads(folder.file("report.json").read_text())
    assert told["overridden"][0].startswith(words)
    lines = list(overrides(recorded(folder.facts()), Stream(None)))
    assert lines[0].startswith("OVERRIDDEN: Monitoring in place")


def test_the_checklist_says_how_each_item_was_decided_and_who_approved(tmp_path: Path) -> None:
    folder = cleared(tmp_path)
    for name in ("report.html", "report.md"):
        text = folder.file(name).read_text()
        for word in ("proved", "attested", "not needed", "overridden", "ada 2026-11-20", "standing, use 3"):
            assert word in text, (name, word)
        assert "<i>of</i>" not in text
    told = json.loads(folder.file("report.json").read_text())
    assert [f["state"] for f in told["clearance"]["findings"]] == [f.state for f in FINDINGS[:-1]]
    cases = ElementTree.parse(folder.file("junit.xml")).findall(
        ".//testcase[@classname='chaosdrill.checklist']"
    )
    assert len(cases) == 4
    assert sum(case.find("skipped") is not None for case in cases) == 2


def test_what_was_recorded_reads_as_it_was_decided(tmp_path: Path) -> None:
    assert recorded(cleared(tmp_path).facts()) == [f._replace(checks=()) for f in FINDINGS[:-1]]


def test_a_record_without_a_clearance_has_no_checklist(tmp_path: Path) -> None:
    folder = build_run_folder(tmp_path / "old", Story("plain"))
    report.write(folder, ["md", "junit"])
    assert "Checklist" not in folder.file("report.md").read_text()
    assert "checklist" not in folder.file("junit.xml").read_text()


def test_the_criteria_of_a_refused_run_were_never_asked(tmp_path: Path) -> None:
    folder = build_run_folder(tmp_path / "fault", Story("held", samples=70))
    folder.file("journal.jsonl").unlink()
    refuse(folder, NotCleared(REASONS), ManualClock(OPENED + 2))
    verdict = folder.facts()["verdict"]
    assert verdict["criteria"] == []
    cases = ElementTree.parse(folder.file("junit.xml")).findall(
        ".//testcase[@classname='chaosdrill.criteria']"
    )
    assert len(cases) == 4
    assert all(case.find("skipped") is not None for case in cases)
