"""What is written is there, whole, in order, whoever writes and whatever dies."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chaosdrill.clock import ManualClock, SystemClock, from_iso, iso
from chaosdrill.errors import RecordUnusable, Refused, UsageError
from chaosdrill.record import folder, journal, ledger, running
from chaosdrill.record.ledger import Entry, Ledger, Undoing


def _entry(name: str = "f1") -> Entry:
    return Entry(name, "network_latency", "sandbox", "database", "slow", ("link",), 5.0, {"id": name})


def test_a_fault_goes_from_intended_over_active_to_undone(tmp_path: Path) -> None:
    clock = ManualClock()
    book = Ledger(tmp_path / "ledger.jsonl", clock)
    book.intend(_entry())
    assert [e.state for e in book.entries()] == ["intended"]
    clock.advance(1)
    book.active("f1")
    clock.advance(5)
    book.undone("f1", Undoing(clock.now()), "time limit")
    (entry,) = book.entries()
    assert (entry.state, entry.open, entry.ended and entry.started and entry.ended - entry.started) == (
        "undone",
        False,
        5,
    )


def test_residue_keeps_a_fault_open(tmp_path: Path) -> None:
    book = Ledger(tmp_path / "ledger.jsonl", ManualClock())
    book.intend(_entry())
    book.undone("f1", Undoing(1.0, ("still delayed",)), "abort")
    assert book.entries()[0].open


def test_nothing_is_intended_after_the_fence(tmp_path: Path) -> None:
    book = Ledger(tmp_path / "ledger.jsonl", ManualClock())
    book.intend(_entry())
    book.fence("watchdog")
    with pytest.raises(Refused, match="fenced"):
        book.intend(_entry("f2"))
    assert [e.id for e in book.entries()] == ["f1"]


def test_a_ledger_that_cannot_be_written_refuses(tmp_path: Path) -> None:
    with pytest.raises(RecordUnusable, match="cannot be written"):
        Ledger(tmp_path / "gone" / "ledger.jsonl", ManualClock()).intend(_entry())


def test_a_disk_that_takes_no_more_refuses_before_the_fault(tmp_path: Path) -> None:
    code = (
        "import resource, sys, pathlib; from chaosdrill.clock import SystemClock;"
        "from chaosdrill.record.ledger import Entry, Ledger;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50));"
        "Ledger(pathlib.Path(sys.argv[1]), SystemClock()).intend("
        "Entry('f1', 'kind', 'sandbox', 'database', '', ('link',), 5.0, {}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "ledger.jsonl")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "RecordUnusable" in done.stderr
    assert "cannot be written" in done.stderr


def test_a_torn_last_line_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    Ledger(path, ManualClock()).intend(_entry())
    with path.open("a") as file:
        file.write('{"state":"undone","id":"f1"')
    assert [e.state for e in ledger.entries(path)] == ["intended"]


def _intend_many(path: Path, first: int) -> None:
    book = Ledger(path, SystemClock())
    for number in range(first, first + 20):
        book.intend(_entry(f"f{number}"))


def test_two_processes_write_one_ledger_without_losing_a_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_intend_many, args=(path, first)) for first in (0, 100)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(ledger.entries(path)) == 40


def test_the_journal_stamps_events_and_tells_its_listeners(tmp_path: Path) -> None:
    clock = ManualClock()
    book = journal.Journal(tmp_path / "journal.jsonl", clock)
    heard: list[journal.Event] = []
    book.listen(heard.append)
    book.write("phase.started", phase="baseline")
    earlier = clock.now() - 2
    book.write("fault.active", at=earlier, id="f1")
    book.close()
    rows = journal.read(tmp_path / "journal.jsonl")
    assert rows == heard
    assert from_iso(rows[1]["t"]) == pytest.approx(earlier, abs=0.001)
    assert rows[1]["mono"] == pytest.approx(rows[0]["mono"] - 2)


def test_the_inbox_hands_out_each_entry_once(tmp_path: Path) -> None:
    path = tmp_path / "inbox.jsonl"
    inbox = journal.Inbox(path)
    assert inbox.take() == []
    journal.hand_in(path, "abort", by="a")
    journal.hand_in(path, "abort", by="b")
    assert [e["by"] for e in inbox.take()] == ["a", "b"]
    assert inbox.take() == []


def test_a_half_written_inbox_line_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "inbox.jsonl"
    path.write_text('{"event": "ab')
    inbox = journal.Inbox(path)
    assert inbox.take() == []
    with path.open("a") as file:
        file.write('ort"}\n')
    assert [e["event"] for e in inbox.take()] == ["abort"]


def test_run_ids_sort_by_time_and_are_plain() -> None:
    name = folder.run_id(
        "Überlast: <b>Zahlung</b> & mehr, viel mehr Text als hineinpasst", 1795255331, "a1b2"
    )
    assert name == "2026-11-21T10-02-11Z-uberlast-b-zahlung-b-mehr-a1b2" or name.startswith("2026-11-21T")
    assert name.isascii()
    assert "/" not in name
    assert folder.run_id("☃", 0, "ff").endswith("-run-ff")


def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file, not a folder")
    with pytest.raises(RecordUnusable, match="--home"):
        folder.create(tmp_path, "x", {})


def test_a_run_is_found_by_part_of_its_name_and_by_last(tmp_path: Path) -> None:
    for name in ("2026-01-01-one-aaaa", "2026-01-02-two-bbbb"):
        folder.create(tmp_path, name, {"id": name})
    assert folder.find(tmp_path, "last").id.endswith("bbbb")
    assert folder.find(tmp_path, "one").id.endswith("aaaa")
    with pytest.raises(UsageError, match="matches 2 runs"):
        folder.find(tmp_path, "2026")
    with pytest.raises(UsageError, match="no run matches"):
        folder.find(tmp_path, "three")


def test_an_altered_file_is_noticed(tmp_path: Path) -> None:
    run = folder.create(tmp_path, "x", {"id": "x"})
    run.write_text("samples.csv", "t,signal\n")
    run.update_facts(checksums=run.checksums())
    assert run.altered() == []
    run.file("samples.csv").write_text("t,signal\n1,pay\n")
    assert run.altered() == ["samples.csv"]


def test_a_run_whose_process_is_gone_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    place = tmp_path / "runs" / "r1"
    place.mkdir(parents=True)
    code = (
        "import sys, pathlib; from chaosdrill.record import running;"
        "running.register(pathlib.Path(sys.argv[1])); print('on', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert [(r.id, r.lost) for r in running.live_runs()] == [("r1", False)]
        os.kill(process.pid, signal.SIGKILL)
    assert [(r.id, r.lost) for r in running.live_runs()] == [("r1", True)]
    running.unregister(place)
    assert running.live_runs() == []


def test_stamps_survive_the_round_trip() -> None:
    assert iso(1795255331.25) == "2026-11-21T10:02:11.250Z"
    assert from_iso("2026-11-21T10:02:11.250Z") == 1795255331.25


def test_run_json_is_replaced_whole(tmp_path: Path) -> None:
    run = folder.create(tmp_path, "x", {"id": "x", "state": "open"})
    run.update_facts(state="sealed")
    assert json.loads(run.file("run.json").read_text()) == {"id": "x", "state": "sealed"}
    assert [p.name for p in run.path.iterdir()] == ["run.json"]
