"""Losses other than a kill: a runner that sleeps, a folder that is gone, a full disk, a clock that is set."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from scene import EVERYBODY, NewScene, proved, until

from chaosdrill.clock import from_iso


def test_a_runner_that_sleeps_too_long_finds_the_fence_and_does_nothing_more(scene: NewScene) -> None:
    slept = scene()
    slept.start()
    slept.await_fault()
    assert slept.process is not None
    os.kill(slept.process.pid, signal.SIGSTOP)
    try:
        slept.clean()
        slept.sealed()
        recorded = {p.name: p.read_bytes() for p in slept.folder.iterdir() if p.is_file()}
    finally:
        os.kill(slept.process.pid, signal.SIGCONT)
    code, said = slept.finished()
    assert code == 4
    assert "gave no sign of life" in said
    assert {p.name: p.read_bytes() for p in slept.folder.iterdir() if p.is_file()} == recorded
    proved(slept)
    assert "gave no sign of life" in slept.facts()["verdict"]["execution"]["text"]


def test_a_runner_that_only_dozes_goes_on(scene: NewScene) -> None:
    dozed = scene(seconds=4)
    dozed.start()
    dozed.await_fault()
    assert dozed.process is not None
    os.kill(dozed.process.pid, signal.SIGSTOP)
    time.sleep(1.0)
    os.kill(dozed.process.pid, signal.SIGCONT)
    code, _ = dozed.finished()
    assert code == 5
    assert not [e for e in dozed.events() if e["event"] == "runner.lost"]


@pytest.mark.parametrize("victims", [(), ("runner",), ("engine",)], ids=lambda v: "+".join(v) or "nobody")
def test_a_run_folder_that_is_removed_takes_no_undo_with_it(
    scene: NewScene, victims: tuple[str, ...]
) -> None:
    lost = scene(seconds=25 if victims else 3)
    lost.start()
    lost.await_fault()
    shutil.rmtree(lost.folder)
    lost.kill(*victims)
    lost.clean()
    code, _ = lost.finished()
    if "runner" not in victims:
        assert code in (2, 4)
    lost.left_alone()
    until(lambda: lost.line("recover", "--json").code == 0, "the recovery")
    assert lost.sandbox.faults() == []
    assert not (lost.sandbox.directory / "run.lock").exists()


def test_after_a_reboot_recover_works_from_files_alone(scene: NewScene) -> None:
    lost = scene()
    lost.start()
    lost.await_fault()
    lost.kill(*EVERYBODY)
    lost.finished()
    registry = next((Path(lost.line.environment["XDG_STATE_HOME"]) / "chaosdrill" / "running").glob("*.json"))
    told = json.loads(registry.read_text())
    for name in EVERYBODY:
        # The same numbers, of another boot: they may belong to anybody now.
        told[name] = [os.getpid(), f"before-{told[name][1]}"]
    registry.write_text(json.dumps(told))
    lost.recover()
    proved(lost)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with just enough room for a run to be cleared."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def _fill(place: Path) -> None:
    with (place / "filler").open("wb", buffering=0) as filler:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    filler.write(b"x" * size)
            except OSError:
                continue


@pytest.mark.parametrize("victim", ["", "runner", "engine"])
def test_a_full_disk_keeps_nothing_from_being_undone(scene: NewScene, small_disk: Path, victim: str) -> None:
    full = scene(seconds=25 if victim else 2)
    full.line.environment["CHAOSDRILL_HOME"] = str(small_disk)
    full.start()
    full.await_fault()
    _fill(small_disk)
    if victim:
        full.kill_known(victim)
    full.clean()
    full.finished()
    full.left_alone()
    assert full.sandbox.faults() == []
    (small_disk / "filler").unlink()
    assert full.line("recover", "--json").code == 0
    assert full.sandbox.faults() == []
    assert not (full.sandbox.directory / "run.lock").exists()


def test_a_disk_that_is_full_before_the_fault_lets_none_begin(scene: NewScene, small_disk: Path) -> None:
    full = scene("ledger.intending")
    full.line.environment["CHAOSDRILL_HOME"] = str(small_disk)
    full.start()
    full.reach()
    _fill(small_disk)
    full.go()
    code, _ = full.finished()
    assert code != 0
    assert full.sandbox.faults() == []


#: The wall clock of every Python process that starts with it, moved by the seconds in a file.
_MOVED_CLOCK = """
import os, time
_true = time.time
def _moved():
    with open(os.environ["MOVED_CLOCK"]) as file:
        return _true() + float(file.read() or 0)
time.time = _moved
"""


@pytest.mark.parametrize("by", ["3600", "-3600"])
def test_a_clock_that_is_set_during_a_run_moves_no_undo(scene: NewScene, tmp_path: Path, by: str) -> None:
    moved = scene(seconds=2)
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "sitecustomize.py").write_text(_MOVED_CLOCK)
    clock = tmp_path / "clock"
    clock.write_text("0")
    # Only the wall clock: nobody can set the monotonic one of a real machine either.
    moved.line.environment.update(PYTHONPATH=str(modules), MOVED_CLOCK=str(clock))
    moved.start()
    moved.await_fault()
    clock.write_text(by)
    code, _ = moved.finished()
    assert code == 5
    facts = moved.facts()
    assert facts["verdict"]["cleanup"]["state"] == "verified"
    steps = {}
    for line in (moved.folder / "ledger.jsonl").read_text().splitlines():
        row = json.loads(line)
        steps[row["state"]] = row
    assert 1.5 < steps["undone"]["ended"] - steps["active"]["t"] < 20
    stamps = [event["t"] for event in moved.events()]
    assert from_iso(max(stamps)) - from_iso(min(stamps)) < 60


@pytest.mark.parametrize("by", ["3600", "-3600"])
def test_a_clock_that_is_set_before_the_runner_is_lost_changes_no_undo(
    scene: NewScene, tmp_path: Path, by: str
) -> None:
    lost = scene()
    lost.start()
    lost.await_fault()
    lost.kill(*EVERYBODY)
    lost.finished()
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "sitecustomize.py").write_text(_MOVED_CLOCK)
    (tmp_path / "clock").write_text(by)
    lost.line.environment.update(PYTHONPATH=str(modules), MOVED_CLOCK=str(tmp_path / "clock"))
    lost.recover()
    proved(lost)
