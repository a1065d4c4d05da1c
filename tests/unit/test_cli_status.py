"""What is on, and the lever that stops it: from any folder, with any run, alive or lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaosdrill.clock import SystemClock, iso
from chaosdrill.ports import Owner
from chaosdrill.record import ledger as ledgers
from chaosdrill.record.folder import INBOX, JOURNAL, LEDGER, RunFolder
from chaosdrill.record.journal import Journal
from chaosdrill.record.ledger import Ledger, Undoing
from chaosdrill.record.running import birth
from chaosdrill.targets.locks import FileLocks
from commandline import CommandLine

ENTRY = ledgers.Entry(
    "f1", "instance_failure", "sandbox", "payment-api", "fail-one", ("payment-api-2",), 30.0, {"id": "sb1"}
)


def _run(place: Path, name: str, *, on: bool = True) -> RunFolder:
    """Write the folder of a run that is in its fault phase."""
    clock, path = SystemClock(), place / "runs" / name
    path.mkdir(parents=True)
    folder = RunFolder(path)
    started = iso(clock.now() - 5)
    folder.write_facts(
        {"id": name, "title": "A drill", "state": "open", "actor": "ada@bench", "started": started}
    )
    journal = Journal(folder.file(JOURNAL), clock)
    journal.write("phase.started", phase="fault", seconds=30.0)
    journal.close()
    ledger = Ledger(folder.file(LEDGER), clock)
    ledger.intend(ENTRY)
    ledger.active("f1")
    if not on:
        ledger.undone("f1", Undoing(clock.now()), "abort")
    return folder


def _register(line: CommandLine, folder: RunFolder, pid: int, born: str, watchdog: int = 0) -> None:
    place = Path(line.environment["XDG_STATE_HOME"]) / "chaosdrill" / "running"
    place.mkdir(parents=True, exist_ok=True)
    facts = {"folder": str(folder.path), "runner": [pid, born], "watchdog": [watchdog, birth(watchdog)]}
    (place / f"{folder.id}.json").write_text(json.dumps(facts))


def _seal(line: CommandLine, folder: RunFolder, verdict: dict[str, str]) -> None:
    """End a run as its runner does: judged, then gone from the runs that are on."""
    folder.update_facts(state="sealed", verdict=verdict)
    (Path(line.environment["XDG_STATE_HOME"]) / "chaosdrill" / "running" / f"{folder.id}.json").unlink()


@pytest.fixture
def alive(chaosdrill: CommandLine) -> Iterator[RunFolder]:
    """A run whose process lives, and which is deaf: it never reads its inbox."""
    folder = _run(chaosdrill.place, "2026-11-21T10-02-11Z-a-drill-a1b2")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        _register(chaosdrill, folder, process.pid, birth(process.pid))
        yield folder


@pytest.fixture
def lost(chaosdrill: CommandLine) -> RunFolder:
    """A run whose process is gone, with its fault possibly on."""
    folder = _run(chaosdrill.place, "2026-11-21T10-03-11Z-a-drill-c3d4")
    _register(chaosdrill, folder, 2**22, "boot-1")
    return folder


def test_when_nothing_is_on_it_says_so(chaosdrill: CommandLine) -> None:
    answer = chaosdrill("status")
    assert (answer.code, answer.out) == (0, "nothing is on; the sandbox is not up\n")
    assert chaosdrill("status", "--json").json == {
        "hold": {"on": False},
        "runs": [],
        "locks": [],
        "sandbox": {"up": False, "faults": []},
    }


def test_a_live_run_is_shown_from_any_folder_with_what_is_on_and_how_to_stop_it(
    chaosdrill: CommandLine, alive: RunFolder, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    elsewhere = CommandLine(tmp_path / "elsewhere", chaosdrill.environment)
    out = elsewhere("status").out
    assert "A drill" in out
    assert str(alive.path) in out
    assert "by ada@bench" in out
    assert "instance failure on payment-api-2, ends by itself in" in out
    assert "chaosdrill abort a1b2" in out
    (facts,) = elsewhere("status", "--json").json["runs"]
    assert (facts["id"], facts["phase"], facts["lost"]) == (alive.id, "fault", False)
    assert 0 < facts["seconds_left"] <= 30
    assert facts["faults"][0]["hit"] == ["payment-api-2"]


def test_a_lost_run_is_named_with_what_may_still_be_on(chaosdrill: CommandLine, lost: RunFolder) -> None:
    out = " ".join(chaosdrill("status").out.split())
    assert "the run is lost" in out
    assert "may be on instance failure on payment-api-2" in out
    assert "what to do chaosdrill recover c3d4 undoes what is left, and proves it" in out


def test_a_lost_run_whose_watchdog_lives_needs_only_patience(chaosdrill: CommandLine) -> None:
    folder = _run(chaosdrill.place, "2026-11-21T10-03-11Z-a-drill-c3d4")
    _register(chaosdrill, folder, 2**22, "boot-1", watchdog=os.getpid())
    out = " ".join(chaosdrill("status").out.split())
    assert f"it is being undone by its watchdog (process {os.getpid()})" in out
    assert chaosdrill("runs").err == ""


def test_every_other_command_says_that_a_run_was_lost_with_nobody_to_undo_it(
    chaosdrill: CommandLine, lost: RunFolder
) -> None:
    (line,) = chaosdrill("runs").err.splitlines()
    assert f"{lost.id} died, and nobody has proved what it left on; now: chaosdrill recover c3d4" in line
    for silent in (["status"], ["hold", "status"], ["sandbox", "down"], ["--version"], ["run", "--help"]):
        assert chaosdrill(*silent).err == ""
    assert "nobody has proved what it left on" in chaosdrill("show", "c3d4").out


def test_a_run_is_clearing_before_it_is_in_any_phase(chaosdrill: CommandLine, alive: RunFolder) -> None:
    alive.file(JOURNAL).unlink()
    journal = Journal(alive.file(JOURNAL), SystemClock())
    journal.write("run.opened")
    assert "clearing since" in chaosdrill("status").out
    journal.write("ready.asked")
    alive.update_facts(waiting={"names": ["bob"], "command": "chaosdrill ready a1b2 --as bob"})
    out = chaosdrill("status").out
    assert "waiting for ready since" in out
    assert "answer      chaosdrill ready a1b2 --as bob" in out
    journal.close()


def test_a_run_of_before_a_reboot_is_lost_even_when_its_process_number_is_in_use(
    chaosdrill: CommandLine,
) -> None:
    folder = _run(chaosdrill.place, "2026-11-21T10-05-11Z-a-drill-0910")
    ticks = birth(os.getpid()).rpartition("-")[2]
    _register(chaosdrill, folder, os.getpid(), f"another-{ticks}")
    assert chaosdrill("status", "--json").json["runs"][0]["lost"] is True


def test_an_entry_that_cannot_be_read_is_a_lost_run(chaosdrill: CommandLine) -> None:
    place = Path(chaosdrill.environment["XDG_STATE_HOME"]) / "chaosdrill" / "running"
    place.mkdir(parents=True)
    (place / "2026-11-21T10-05-11Z-a-drill-1112.json").write_text("{")
    (run,) = chaosdrill("status", "--json").json["runs"]
    assert (run["id"], run["lost"]) == ("2026-11-21T10-05-11Z-a-drill-1112", True)


def test_a_run_whose_folder_was_removed_is_still_known(chaosdrill: CommandLine, alive: RunFolder) -> None:
    shutil.rmtree(alive.path)
    out = chaosdrill("status").out
    assert alive.id in out
    assert "chaosdrill abort a1b2" in out


def test_whoever_has_a_target_is_named_also_from_elsewhere(chaosdrill: CommandLine) -> None:
    owner = Owner("run-of-bob", "/bob/runs/run-of-bob", "bob@bench", os.getpid(), 1_800_000_000.0)
    lock = FileLocks(Path(chaosdrill.environment["CHAOSDRILL_SANDBOX_DIR"]) / "run.lock").take(owner)
    out = " ".join(chaosdrill("status").out.split())
    assert "TAKEN the sandbox is taken by run-of-bob by bob@bench since 2027-01-15 08:00:00Z" in out
    refusal = chaosdrill("sandbox", "down")
    assert refusal.code == 3
    assert "the sandbox stays up: run-of-bob by bob@bench" in refusal.err
    assert chaosdrill("sandbox", "down", "--force").code == 0
    os.close(lock.descriptor)
    out = " ".join(chaosdrill("status").out.split())
    assert "LOST run-of-bob by bob@bench" in out
    assert "chaosdrill recover bob" in out


def test_a_run_that_cannot_be_read_does_not_hide_the_others(
    chaosdrill: CommandLine, alive: RunFolder, lost: RunFolder
) -> None:
    lost.file("run.json").write_text("{")
    answer = chaosdrill("status")
    assert answer.code == 0
    assert alive.id in answer.out
    assert lost.id in answer.out


def test_abort_hands_its_wish_in_with_who_and_why(chaosdrill: CommandLine, alive: RunFolder) -> None:
    answer = chaosdrill("abort", "--no-wait", "--reason", "a customer has called")
    assert answer.code == 0
    (line,) = alive.file(INBOX).read_text().splitlines()
    handed = json.loads(line)
    assert (handed["event"], handed["reason"]) == ("abort", "a customer has called")
    assert "@" in handed["by"]


@pytest.mark.parametrize("name", ["a1b2", "last", "2026-11-21T10-02-11Z-a-drill-a1b2"])
def test_a_run_is_aborted_by_any_part_of_its_name(
    name: str, chaosdrill: CommandLine, alive: RunFolder
) -> None:
    assert chaosdrill("abort", "--no-wait", name).code == 0
    assert alive.file(INBOX).exists()


def test_with_two_runs_on_abort_asks_which(
    chaosdrill: CommandLine, alive: RunFolder, lost: RunFolder
) -> None:
    answer = chaosdrill("abort")
    assert (answer.code, len(answer.err.splitlines())) == (2, 1)
    assert alive.id in answer.err
    assert lost.id in answer.err
    assert not alive.file(INBOX).exists()


def test_aborting_what_is_not_on_lists_what_is(chaosdrill: CommandLine, alive: RunFolder) -> None:
    answer = chaosdrill("abort", "nonsense")
    assert answer.code == 2
    assert alive.id in answer.err


@pytest.mark.parametrize("command", [["abort", "last"], ["recover"], ["recover", "c3d4"]])
def test_what_cannot_be_undone_of_a_lost_run_is_named_with_6_and_stays_known(
    command: list[str], chaosdrill: CommandLine, lost: RunFolder
) -> None:
    # Its record does not say where it was injected, as after a file was damaged.
    for _ in range(2):
        answer = chaosdrill(*command)
        assert (answer.code, len(answer.err.splitlines())) == (6, 1)
        assert "instance_failure on payment-api" in answer.err
        assert "then again: chaosdrill recover" in answer.err
        assert "STILL ON" in answer.out
        assert chaosdrill("status", "--json").json["runs"][0]["lost"] is True
    assert lost.facts()["verdict"]["cleanup"]["state"] == "failed"
    assert chaosdrill("recover", "c3d4", "--clean", "the machine is gone").code == 0
    assert chaosdrill("status", "--json").json["runs"] == []
    assert lost.facts()["recovered"]["clean"] == "the machine is gone"


def test_a_lost_run_with_nothing_on_is_brought_to_its_end_by_abort_and_by_recover(
    chaosdrill: CommandLine,
) -> None:
    for command in ("abort", "recover"):
        folder = _run(chaosdrill.place, f"2026-11-21T10-04-11Z-a-drill-{command}", on=False)
        _register(chaosdrill, folder, 2**22, "boot-1")
        answer = chaosdrill(command)
        assert answer.code == 0, answer.err
        assert "nothing of it is left on" in answer.out
        assert "ended: ABORTED" in answer.out
        assert folder.facts()["state"] == "sealed"
        assert chaosdrill("status", "--json").json["runs"] == []
        again = chaosdrill("recover", str(folder.path))
        assert (again.code, "nothing to recover" in again.out) == (0, True)


def test_a_lost_run_whose_folder_was_removed_is_recovered_from_the_target(
    chaosdrill: CommandLine, lost: RunFolder
) -> None:
    shutil.rmtree(lost.path)
    answer = chaosdrill("recover", "--json")
    assert answer.code == 0, answer.err
    assert [(run["run"], run["word"]) for run in answer.json["runs"]] == [(lost.id, None)]
    assert chaosdrill("status", "--json").json["runs"] == []


def test_a_lock_in_which_no_run_can_be_read_is_freed_by_recover(chaosdrill: CommandLine) -> None:
    lock = Path(chaosdrill.environment["CHAOSDRILL_SANDBOX_DIR"]) / "run.lock"
    lock.parent.mkdir()
    lock.write_text("{")
    assert "nobody can tell which run had the sandbox last" in " ".join(chaosdrill("status").out.split())
    assert chaosdrill("recover").code == 0
    assert not lock.exists()


def test_recovering_a_run_that_is_not_there_says_so(chaosdrill: CommandLine, lost: RunFolder) -> None:
    answer = chaosdrill("recover", "nonsense")
    assert (answer.code, len(answer.err.splitlines())) == (2, 1)


def test_a_process_number_that_was_given_out_again_is_not_taken_for_the_run(
    chaosdrill: CommandLine,
) -> None:
    folder = _run(chaosdrill.place, "2026-11-21T10-05-11Z-a-drill-0708")
    _register(chaosdrill, folder, os.getpid(), birth(os.getpid()) + "1")
    assert chaosdrill("status", "--json").json["runs"][0]["lost"] is True


def test_abort_says_what_was_undone_and_after_how_long(chaosdrill: CommandLine, alive: RunFolder) -> None:
    clock = SystemClock()
    with chaosdrill.start("abort", "a1b2") as process:
        while not alive.file(INBOX).exists():
            assert process.poll() is None
        Ledger(alive.file(LEDGER), clock).undone("f1", Undoing(clock.now()), "abort")
        _seal(chaosdrill, alive, {"word": "aborted", "why": "ada wanted it"})
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "undone after" in out
    assert "ended: ABORTED: ada wanted it" in out


def test_abort_that_finds_something_left_on_exits_with_6(chaosdrill: CommandLine, alive: RunFolder) -> None:
    clock = SystemClock()
    with chaosdrill.start("abort", "--json") as process:
        while not alive.file(INBOX).exists():
            assert process.poll() is None
        left = Undoing(clock.now(), ("payment-api-2 is held down",))
        Ledger(alive.file(LEDGER), clock).undone("f1", left, "abort")
        _seal(chaosdrill, alive, {"word": "residue", "why": "payment-api-2 is held down"})
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 6
    assert json.loads(out)["left"] == ["payment-api-2 is held down"]
