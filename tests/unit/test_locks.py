"""One run per target, and the hold: what they promise whoever starts next, whatever became of the last."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chaosdrill import targets
from chaosdrill.errors import RecordUnusable, Refused
from chaosdrill.ports import Hold, Owner
from chaosdrill.sandbox import state
from chaosdrill.targets.locks import FileLever, FileLocks

FIRST = Owner("run-1", "/somewhere/runs/run-1", "ada@bench", os.getpid(), 1_800_000_000.0)
SECOND = Owner("run-2", "/elsewhere/runs/run-2", "bob@bench", os.getpid(), 1_800_000_001.0)

#: Takes the lock and says so; lives until its standard input ends.
HOLDER = """
import os, sys
from pathlib import Path
from chaosdrill.errors import Refused
from chaosdrill.ports import Owner
from chaosdrill.targets.locks import FileLocks
try:
    lock = FileLocks(Path(sys.argv[1])).take(Owner(sys.argv[2], "/runs", "ada@bench", os.getpid(), 1.0))
    print("got it", flush=True)
except Refused:
    print("refused", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "target" / "run.lock"


def _holder(path: Path, run: str = "run-1") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLDER, str(path), run]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_second_run_is_refused_and_told_who_has_the_target(path: Path) -> None:
    lock = FileLocks(path, "the sandbox").take(FIRST)
    with pytest.raises(Refused) as refusal:
        FileLocks(path, "the sandbox").take(SECOND)
    for fact in ("not injecting: the sandbox is taken by run-1", "ada@bench", "2027-01-15 08:00:00Z"):
        assert fact in str(refusal.value)
    assert f"process {os.getpid()}, /somewhere/runs/run-1" in str(refusal.value)
    assert FileLocks(path).owner() == (FIRST, False)
    lock.release()


def test_a_target_that_was_given_back_is_free_and_leaves_no_file(path: Path) -> None:
    lock = FileLocks(path).take(FIRST)
    lock.release()
    lock.release()
    assert not path.exists()
    assert FileLocks(path).owner() is None
    FileLocks(path).take(SECOND).release()


def test_of_runs_that_start_at_the_same_instant_exactly_one_gets_the_target(path: Path) -> None:
    for _ in range(5):
        holders = [_holder(path, f"run-{number}") for number in range(4)]
        said = [_said(holder) for holder in holders]
        for holder in holders:
            holder.kill()
            holder.communicate()
        assert sorted(said) == ["got it", "refused", "refused", "refused"]
        found = FileLocks(path).owner()
        assert found is not None
        FileLocks(path).clear(found[0].run)


def test_a_lock_whose_owner_was_killed_is_stale_and_keeps_others_out_until_it_is_cleared(path: Path) -> None:
    with _holder(path) as holder:
        assert _said(holder) == "got it"
        os.kill(holder.pid, signal.SIGKILL)
    found = FileLocks(path).owner()
    assert found is not None
    assert (found[0].run, found[1]) == ("run-1", True)
    with pytest.raises(Refused, match=r"run-1 by ada@bench .*; chaosdrill recover run-1$"):
        FileLocks(path).take(SECOND)
    FileLocks(path).clear("another-run")
    assert FileLocks(path).owner() is not None
    FileLocks(path).clear("run-1")
    FileLocks(path).take(SECOND).release()


def test_a_lock_lives_on_with_whoever_inherited_it(path: Path) -> None:
    lock = FileLocks(path).take(FIRST)
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[lock.descriptor]) as heir:
        os.close(lock.descriptor)
        assert FileLocks(path).owner() == (FIRST, False)
        FileLocks(path).clear("run-1")
        assert FileLocks(path).owner() == (FIRST, False)
        heir.kill()
    assert FileLocks(path).owner() == (FIRST, True)


def test_whoever_adopts_a_lock_can_give_it_back(path: Path) -> None:
    lock = FileLocks(path).take(FIRST)
    FileLocks(path).adopt(os.dup(lock.descriptor)).release()
    FileLocks(path).take(SECOND).release()


def test_a_lost_run_that_its_watchdog_still_undoes_is_told_from_a_live_one(path: Path) -> None:
    with subprocess.Popen(["true"]) as gone:
        pass
    lock = FileLocks(path).take(Owner("run-1", "/runs", "ada@bench", gone.pid, 1.0))
    with pytest.raises(Refused, match=r"run-1 .* was lost, and its watchdog is still undoing it"):
        FileLocks(path).take(SECOND)
    lock.release()


def test_looking_never_keeps_a_run_from_its_target(path: Path) -> None:
    with ThreadPoolExecutor(4) as others:
        looking = [others.submit(lambda: [FileLocks(path).owner() for _ in range(300)]) for _ in range(4)]
        for _ in range(200):
            FileLocks(path).take(FIRST).release()
        for looks in looking:
            assert all(found in (None, (FIRST, False)) or not found[0].run for found in looks.result())


@pytest.mark.parametrize("garbage", [b"\0\0\0", b"{", b'{"run": "x"}', b"[]", b'{"run": "x", "pid": "?"}'])
def test_a_lock_that_nobody_can_read_keeps_others_out(path: Path, garbage: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(garbage)
    found = FileLocks(path).owner()
    assert found is not None
    assert (found[0].run, found[1]) == ("", True)
    with pytest.raises(Refused, match=r"nobody knows what it left on; chaosdrill recover$"):
        FileLocks(path).take(FIRST)
    FileLocks(path).clear("")
    FileLocks(path).take(FIRST).release()


def test_a_lock_that_was_only_begun_keeps_nobody_out(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert FileLocks(path).owner() is None
    FileLocks(path).take(FIRST).release()


def test_a_place_that_cannot_be_written_refuses(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="can't be locked"):
        FileLocks(tmp_path / "file" / "run.lock").take(FIRST)
    assert FileLocks(tmp_path / "file" / "run.lock").owner() is not None


def test_a_name_that_does_not_fit_on_the_disk_refuses_the_run_and_keeps_no_other_out(path: Path) -> None:
    small = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10));"
    command = [sys.executable, "-c", small + HOLDER, str(path), "run-1"]
    answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    assert answer.stdout == "refused\n"
    FileLocks(path).take(SECOND).release()


def test_taking_the_sandbox_down_deletes_no_lock_under_its_holder(tmp_path: Path) -> None:
    locks = FileLocks(tmp_path / "sb" / targets.RUN_LOCK)
    lock = locks.take(FIRST)
    state.remove(tmp_path / "sb")
    state.remove_lock(tmp_path / "sb")
    assert locks.owner() == (FIRST, False)
    os.close(lock.descriptor)
    state.remove_lock(tmp_path / "sb")
    assert locks.owner() == (FIRST, True)
    locks.clear("run-1")
    assert not (tmp_path / "sb").exists()
    (tmp_path / "sb").mkdir()
    (tmp_path / "sb" / targets.RUN_LOCK).touch()
    state.remove_lock(tmp_path / "sb")
    assert not (tmp_path / "sb").exists()


def test_an_experiment_file_has_one_lock_by_whatever_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("CHAOSDRILL_SANDBOX_DIR", str(tmp_path / "sb"))
    (tmp_path / "plain.json").touch()
    (tmp_path / "link.json").symlink_to("plain.json")
    lock = targets.open_locks(f"file:{tmp_path}/plain.json").take(FIRST)
    with pytest.raises(Refused, match=r"the experiment plain\.json is taken by run-1"):
        targets.open_locks(f"file:{tmp_path}/link.json").take(SECOND)
    targets.open_locks(f"file:{tmp_path}/other.json").take(SECOND).release()
    system = targets.open_locks("sandbox").take(SECOND)
    assert [(t.system, t.owner.run, t.stale) for t in targets.taken()] == [
        ("sandbox", "run-2", False),
        ("", "run-1", False),
    ]
    lock.release()
    system.release()
    assert targets.taken() == []


# ---- hold


def test_a_hold_is_seen_through_each_of_its_places(tmp_path: Path) -> None:
    hold = Hold("ada@bench", 12.5, "a customer has called")
    mine, targets_own = tmp_path / "mine" / "hold.json", tmp_path / "target" / "hold.json"
    FileLever([mine, targets_own]).pull(hold)
    assert FileLever([mine]).hold() == hold
    assert FileLever([targets_own]).hold() == hold
    mine.unlink()
    assert FileLever([mine, targets_own]).hold() == hold
    FileLever([mine, targets_own]).let_go()
    assert FileLever([mine, targets_own]).hold() is None
    assert not targets_own.parent.exists()
    FileLever([mine, targets_own]).let_go()


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"by": "ada"})])
def test_a_hold_that_cannot_be_read_is_on(tmp_path: Path, text: str) -> None:
    (tmp_path / "hold.json").write_text(text)
    found = FileLever([tmp_path / "hold.json"]).hold()
    assert found is not None
    assert "can't be read" in found.why


def test_a_hold_is_put_on_where_it_can_be_and_the_rest_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    broken, fine = tmp_path / "file" / "hold.json", tmp_path / "fine" / "hold.json"
    hold = Hold("ada@bench", 12.5, "smoke")
    with pytest.raises(RecordUnusable, match=r"file/hold\.json"):
        FileLever([broken, fine]).pull(hold)
    assert json.loads(fine.read_text()) == hold._asdict()


def test_a_hold_survives_the_sandbox(tmp_path: Path) -> None:
    hold = Hold("ada@bench", 12.5, "smoke")
    lever = FileLever([tmp_path / "sb" / "hold.json"])
    lever.pull(hold)
    state.remove(tmp_path / "sb")
    state.remove_lock(tmp_path / "sb")
    assert lever.hold() == hold
