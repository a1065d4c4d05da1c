"""What a report says, whatever its format: never more than was seen, and nothing left out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from chaosdrill.errors import RecordUnusable
from chaosdrill.record import journal
from chaosdrill.record.folder import JOURNAL, LEDGER, RUN, SAMPLES, RunFolder
from chaosdrill.record.samples import read_samples
from chaosdrill.report.blocks import Notes, Section, Table, Timeline
from chaosdrill.report.document import Document, document
from chaosdrill.report.formats import html, junit, machine, markdown
from chaosdrill.testing.folders import Story, Variant, build_run_folder

VARIANTS = get_args(Variant)


def read(folder: RunFolder) -> Document:
    return document(folder, read_samples(folder.file(SAMPLES)))


def section(made: Document, name: str) -> Section:
    return next(part for part in made.sections if part.id == name)


def timeline(made: Document) -> Timeline:
    (found,) = (b for b in section(made, "timeline").blocks if isinstance(b, Timeline))
    return found


def notes(made: Document, name: str) -> str:
    return "\n".join(item for b in section(made, name).blocks if isinstance(b, Notes) for item in b.items)


def cells(made: Document, name: str) -> str:
    tables = [b for b in section(made, name).blocks if isinstance(b, Table)]
    return "\n".join(" | ".join(cell.text for cell in row) for t in tables for row in t.rows)


@pytest.mark.parametrize(
    ("variant", "word", "code"),
    [
        ("held", "Held", 0),
        ("deviated", "Deviated", 7),
        ("aborted", "Aborted", 4),
        ("residue", "Residue left", 6),
        ("plain", "Held", 0),
        ("crashed", "No verdict", None),
    ],
)
def test_the_verdict_stands_first_with_its_five_lines(
    tmp_path: Path, variant: Variant, word: str, code: int | None
) -> None:
    box = read(build_run_folder(tmp_path / "run", Story(variant))).box
    assert (box.word, box.exit_code) == (word, code)
    assert [line.name for line in box.lines] == [
        "Execution",
        "Hypothesis",
        "Response",
        "Clean-up",
        "Coverage",
    ]


def test_too_few_samples_are_inconclusive_and_the_report_says_how_many_were_missing(tmp_path: Path) -> None:
    made = read(build_run_folder(tmp_path / "run", Story("inconclusive", samples=300)))
    assert made.box.word == "Inconclusive"
    assert "of 1,000" in notes(made, "limits")


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_report_claims_more_than_was_seen(tmp_path: Path, variant: Variant) -> None:
    made = read(build_run_folder(tmp_path / "run", Story(variant)))
    for text in (html.render(made), markdown.render(made), junit.render(made), machine.render(made)):
        assert "resilient" not in text.lower()
    assert "says nothing about" in notes(made, "limits")


def test_a_claim_names_fault_share_length_and_load(tmp_path: Path) -> None:
    made = read(build_run_folder(tmp_path / "run"))
    assert made.box.sentence == (
        "Hypothesis held for instance failure on payment-api (1 of 3) over 30 s at 50 requests per second."
    )


def test_a_run_without_signals_says_that_nothing_was_observed(tmp_path: Path) -> None:
    made = read(build_run_folder(tmp_path / "run", Story("plain")))
    assert "were not observed" in notes(made, "limits")
    assert not made.charts
    assert "injected nothing" in made.box.sentence


def test_a_run_whose_runner_died_is_reported_without_a_verdict(tmp_path: Path) -> None:
    made = read(build_run_folder(tmp_path / "run", Story("crashed")))
    assert "never sealed" in made.box.why
    assert "not known to be undone: 1 of 1" in made.box.why
    assert {line.state for line in made.box.lines} == {"not judged"}
    assert "not known to be undone" in cells(made, "hit")
    assert "pay.availability above 99.9 % over fault and recovery: not judged" in notes(made, "hypothesis")


def test_criteria_stand_with_limit_worst_margin_and_samples(tmp_path: Path) -> None:
    rows = cells(read(build_run_folder(tmp_path / "run", Story("deviated"))), "hypothesis")
    assert "pay.error_rate below 0.5 % over fault and recovery | deviated | 0.5 % | 4.3667 % |" in rows
    assert "3.867 points beyond | 3,000 | 1 (1 bad)" in rows
    assert "checkout-answers | before | met" in rows


def test_what_was_hit_is_told_with_its_share_and_times(tmp_path: Path) -> None:
    row = cells(read(build_run_folder(tmp_path / "run")), "hit")
    assert (
        "instance failure on payment-api (count: 1) | undone | payment-api-2 | 1 of 3 (33\N{NO-BREAK SPACE}%)"
        in row
    )
    assert "10:02:21.400 to 10:02:51.400 UTC | 30 s (planned 30 s) | nothing found" in row


def test_a_planned_fault_that_never_came_is_told_too(tmp_path: Path) -> None:
    folder = build_run_folder(tmp_path / "run")
    folder.file(LEDGER).unlink()
    assert "never injected | planned: payment-api-2 | 0 of 3" in cells(read(folder), "hit")


def test_residue_is_named_where_it_was_found(tmp_path: Path) -> None:
    made = read(build_run_folder(tmp_path / "run", Story("residue")))
    assert "payment-api-2 is still held down" in cells(made, "hit")
    assert "payment-api-2 is still held down" in cells(made, "undone")


def test_an_abort_is_told_step_by_step_with_latencies(tmp_path: Path) -> None:
    made = read(build_run_folder(tmp_path / "run", Story("aborted")))
    assert section(made, "undone").lead == "Aborted by guard: pay.availability below 95 % for 5 s."
    rows = cells(made, "undone")
    assert "Abort requested by guard: pay.availability below 95 % for 5 s" in rows
    assert "Instance failure on payment-api-2 undone (abort) | 10:02:31.710 | +309 ms" in rows


@pytest.mark.parametrize("activities", [3, 1000])
def test_every_event_of_the_journal_is_on_the_timeline(tmp_path: Path, activities: int) -> None:
    folder = build_run_folder(tmp_path / "run", Story(activities=activities))
    events = journal.read(folder.file(JOURNAL))
    told = timeline(read(folder)).moments
    merged = sum("succeeded after" in moment.text for moment in told)
    assert len(told) + merged == len(events)
    assert [m.offset for m in told] == sorted(m.offset for m in told)
    assert sum("place-order" in m.text or "look-at-order" in m.text for m in told) == activities - 1


def test_every_moment_says_where_it_is_written(tmp_path: Path) -> None:
    folder = build_run_folder(tmp_path / "run")
    lines = folder.file(JOURNAL).read_text().splitlines()
    for moment in timeline(read(folder)).moments:
        name, _, number = moment.source.partition(":")
        assert name == JOURNAL
        assert json.loads(lines[int(number) - 1])["t"] == moment.utc


def test_an_undo_that_only_the_ledger_knows_is_on_the_timeline(tmp_path: Path) -> None:
    folder = build_run_folder(tmp_path / "run")
    kept = [line for line in folder.file(JOURNAL).read_text().splitlines() if "fault.undone" not in line]
    folder.file(JOURNAL).write_text("\n".join(kept) + "\n")
    (undone,) = (m for m in timeline(read(folder)).moments if m.source == LEDGER)
    assert undone.text == "Instance failure on payment-api-2 undone (time limit)"


def test_activities_are_told_from_the_engine_s_journal_when_nobody_else_has_them(tmp_path: Path) -> None:
    folder = build_run_folder(tmp_path / "run", Story("plain"))
    kept = [line for line in folder.file(JOURNAL).read_text().splitlines() if "activity." not in line]
    folder.file(JOURNAL).write_text("\n".join(kept) + "\n")
    told = [m.text for m in timeline(read(folder)).moments if m.source == "engine.json"]
    assert told[0] == "Action place-order-1 succeeded"


def test_an_event_of_a_newer_version_is_shown_as_it_is(tmp_path: Path) -> None:
    folder = build_run_folder(tmp_path / "run")
    with folder.file(JOURNAL).open("a") as file:
        file.write('{"t": "2026-11-21T10:03:30.000Z", "mono": 1, "event": "moon.rose", "phase": "full"}\n')
    assert timeline(read(folder)).moments[-1].text == "moon.rose (phase: full)"


def test_gaps_are_named_as_not_observed(tmp_path: Path) -> None:
    made = read(build_run_folder(tmp_path / "run", Story(gap=(12.0, 6.0))))
    assert "pay: no samples for 6 s, from 12 s after fault start, 10:02:33 UTC; not observed." in notes(
        made, "limits"
    )


def test_a_phase_that_nobody_watched_is_named(tmp_path: Path) -> None:
    made = read(build_run_folder(tmp_path / "run", Story("crashed")))
    assert "The recovery phase was not observed." in notes(made, "limits")


def test_a_file_that_was_changed_after_sealing_is_a_warning(tmp_path: Path) -> None:
    folder = build_run_folder(tmp_path / "run")
    with folder.file(SAMPLES).open("a") as file:
        file.write("1795255341.5,pay,0.001,1,200\n")
    folder.file("engine.log").unlink()
    made = read(folder)
    assert "samples.csv has changed since the run was sealed" in notes(made, "warnings")
    assert "engine.log was there when the run was sealed and is gone" in notes(made, "warnings")
    assert "samples.csv | " in cells(made, "files")


def test_an_untouched_run_warns_of_no_file(tmp_path: Path) -> None:
    made = read(build_run_folder(tmp_path / "run"))
    assert "sealed" not in notes(made, "warnings")


def test_the_engine_s_log_is_listed_and_never_quoted(tmp_path: Path) -> None:
    folder = build_run_folder(tmp_path / "run")
    folder.file("engine.log").write_text("[DEBUG] token hunter2-swordfish\n")
    made = read(folder)
    assert "engine.log" in cells(made, "files")
    for text in (html.render(made), markdown.render(made), junit.render(made), machine.render(made)):
        assert "hunter2" not in text


@pytest.mark.parametrize("spoil", ["facts", "phase", "ledger"])
def test_a_record_that_cannot_be_understood_is_refused_with_a_next_step(tmp_path: Path, spoil: str) -> None:
    folder = build_run_folder(tmp_path / "run")
    if spoil == "facts":
        folder.update_facts(verdict={"word": "HELD"})
    elif spoil == "phase":
        with folder.file(JOURNAL).open("a") as file:
            file.write('{"t": "yesterday", "event": "phase.started", "phase": "fault"}\n')
    else:
        folder.file(LEDGER).write_text('{"state": "intended"}\n')
    with pytest.raises(RecordUnusable) as refused:
        read(folder)
    assert RUN in refused.value.message
    assert refused.value.next_step


def test_two_reports_on_one_run_are_equal_in_any_process(tmp_path: Path) -> None:
    build_run_folder(tmp_path / "run", Story("deviated"))
    code = (
        "import sys; from pathlib import Path; from chaosdrill import report;"
        "from chaosdrill.record.folder import RunFolder;"
        "[print(p.read_text()) for p in report.write(RunFolder(Path(sys.argv[1])), list(report.FORMATS))]"
    )
    texts = set()
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", code, str(tmp_path / "run")]
        texts.add(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    assert len(texts) == 1
