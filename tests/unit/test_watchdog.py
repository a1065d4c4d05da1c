"""The line between a runner and its watchdog: armed before anything, silent never, fenced for good."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaosdrill.clock import SystemClock
from chaosdrill.errors import Refused, RunFenced
from chaosdrill.execute.orphan import end_engine
from chaosdrill.record.ledger import Ledger, Undoing
from chaosdrill.record.running import Process, birth
from chaosdrill.watchdog.line import Line


@pytest.fixture
def line() -> Iterator[Line]:
    """A watchdog over this very process."""
    watchdog = Line()
    watchdog.start()
    yield watchdog
    if watchdog.alive:
        os.kill(watchdog.pid, signal.SIGKILL)
    watchdog.done()


def _orders(folder: Path) -> dict[str, object]:
    faults = [("network_latency", "sandbox")]
    return {"folder": str(folder), "engine": 0, "territory": "file:x", "faults": faults, "request": {}}


def _wait_for_fence(folder: Path) -> str:
    ledger = Ledger(folder / "ledger.jsonl", SystemClock())
    for _ in range(2000):
        if ledger.fenced():
            return ledger.fenced()
        signal.sigtimedwait([signal.SIGUSR2], 0.01)
    return ""


def test_an_armed_watchdog_has_the_ledger_open_and_ends_with_the_run(line: Line, tmp_path: Path) -> None:
    line.arm(_orders(tmp_path), [])
    line.armed()
    assert line.alive
    assert (tmp_path / "ledger.jsonl").exists()
    line.rest()
    line.done()
    assert not line.alive
    assert not (tmp_path / "watchdog.log").exists()


def test_a_watchdog_ignores_whatever_ends_a_terminal(line: Line, tmp_path: Path) -> None:
    line.arm(_orders(tmp_path), [])
    line.armed()
    for name in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
        os.kill(line.pid, name)
    line.beat()
    assert line.alive


def test_without_a_watchdog_nothing_is_injected(line: Line, tmp_path: Path) -> None:
    os.kill(line.pid, signal.SIGKILL)
    line.arm(_orders(tmp_path), [])
    with pytest.raises(Refused, match="nobody would undo"):
        line.armed()
    assert not line.alive


def test_a_runner_that_is_silent_for_too_long_loses_its_run(line: Line, tmp_path: Path) -> None:
    line.arm(_orders(tmp_path), [])
    line.armed()
    line.beat(patience=0.2)
    assert _wait_for_fence(tmp_path) == "watchdog"
    with pytest.raises(RunFenced, match="gave no sign of life"):
        line.beat()


def test_a_fenced_runner_can_write_nothing_more_into_the_ledger(tmp_path: Path) -> None:
    book = Ledger(tmp_path / "ledger.jsonl", SystemClock())
    book.open()
    Ledger(tmp_path / "ledger.jsonl", SystemClock(), by="watchdog").fence("watchdog", "gone")
    before = (tmp_path / "ledger.jsonl").read_bytes()
    with pytest.raises(RunFenced):
        book.active("f1")
    with pytest.raises(RunFenced):
        book.undone("f1", Undoing(0.0), "time limit")
    assert (tmp_path / "ledger.jsonl").read_bytes() == before


def test_an_orphaned_engine_is_ended_with_all_that_it_has_started() -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    engine = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    assert engine.stdout is not None
    child = int(engine.stdout.readline())
    known = Process(child, birth(child))
    assert end_engine(Process(engine.pid, birth(engine.pid)))
    assert engine.wait(10) == -signal.SIGKILL
    engine.stdout.close()
    for _ in range(1000):
        if not known.alive:
            break
        signal.sigtimedwait([signal.SIGUSR2], 0.01)
    assert not known.alive


def test_a_process_that_only_has_the_engines_number_is_left_alone() -> None:
    bystander = subprocess.Popen(["sleep", "60"], start_new_session=True)
    assert not end_engine(Process(bystander.pid, "another boot-1"))
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait(10)
