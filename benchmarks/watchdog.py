"""SIGKILL of the runner until its fault is off, seen at the sandbox; and what the watchdog costs a run."""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.pairs import once
from benchmarks.safeguards import OURS, sandbox
from benchmarks.start import MINIMAL
from chaosdrill.sandbox.client import Sandbox, find

ROUNDS = 50
MEDIAN_GOAL, WORST_GOAL = 0.05, 0.25
MEMORY_GOAL, ADDED_GOAL = 16.0, 0.05
PAIRS = 21
#: How long a step of a round may take, in seconds.
PATIENCE = 30.0
#: How often the sandbox is asked, in seconds: often enough to tell, and not so often that it slows the undo.
_LOOK = 0.002
_FAULT = {"delay": "1 ms", "duration": "60 s"}
_PROVIDER = {"type": "python", "module": "chaosdrill.actions", "func": "network_latency", "arguments": _FAULT}
EXPERIMENT = {
    "title": "Killed",
    "description": "Its runner is killed while a fault is on.",
    "method": [{"type": "action", "name": "latency", "provider": _PROVIDER}],
    "rollbacks": [],
}


class Loss(NamedTuple):
    """One killed runner: seconds until the fault was off; the watchdog's peak MiB and CPU seconds by then."""

    reverted: float
    memory: float
    cpu: float


def measure() -> list[dict[str, Any]]:
    """Return rows for a machine at rest and for one whose every core is busy, and what the watchdog costs."""
    with tempfile.TemporaryDirectory(prefix="cd-") as folder, sandbox(Path(folder)) as environment:
        place = Path(folder)
        (place / "killed.json").write_text(json.dumps(EXPERIMENT), encoding="utf-8")
        target = find(place / "sb")
        assert target is not None
        idle = [_lose(place, environment, target) for _ in range(ROUNDS)]
        with _burners(os.cpu_count() or 1):
            busy = [_lose(place, environment, target) for _ in range(ROUNDS)]
    rows = []
    for where, losses in (("idle", idle), ("every core busy", busy)):
        seconds = [loss.reverted for loss in losses]
        name = f"SIGKILL to reverted, {where}"
        rows.append(_row(f"{name}, median of {len(seconds)}", statistics.median(seconds), "s", MEDIAN_GOAL))
        rows.append(_row(f"{name}, worst", max(seconds), "s", WORST_GOAL))
    rows.append(_row("watchdog, peak memory", max(loss.memory for loss in idle), "MiB", MEMORY_GOAL))
    cpu = statistics.median(loss.cpu for loss in idle)
    rows.append({**_row("watchdog, CPU until it is armed", cpu, "s", 0.0), "goal": None, "met": None})
    rows.append(_row("watchdog, what it adds to a minimal run", _added(), "s", ADDED_GOAL))
    return rows


def _added() -> float:
    """Return how much longer a minimal run takes with a watchdog, in seconds: the median over pairs."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "minimal.json").write_text(json.dumps(MINIMAL), encoding="utf-8")
        root = str(Path(__file__).resolve().parents[1])
        environment = {**os.environ, "HOME": folder, "XDG_STATE_HOME": f"{folder}/state", "PYTHONPATH": root}
        arguments = ["run", "--report", "md,json,junit", "--plain", "minimal.json"]
        watched = [sys.executable, "-m", "chaosdrill", *arguments]
        unwatched = [sys.executable, "-m", "benchmarks.unwatched", *arguments]
        once(watched, place, environment)
        once(unwatched, place, environment)
        longer = [
            once(watched, place, environment)[0] - once(unwatched, place, environment)[0]
            for _ in range(PAIRS)
        ]
    return statistics.median(longer)


def _row(name: str, value: float, unit: str, goal: float) -> dict[str, Any]:
    return {"name": name, "value": round(value, 4), "unit": unit, "goal": goal, "met": value <= goal}


def _lose(place: Path, environment: Mapping[str, str], target: Sandbox) -> Loss:
    """Start a run, kill its runner while the fault is on, and wait until everything of it has ended."""
    run = subprocess.Popen(
        [str(OURS), "--home", str(place), "run", "--plain", "--report", "json", "killed.json"],
        cwd=place,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _until(lambda: bool(target.faults()), "the fault was never on", 0.01)
    time.sleep(0.05 + random.random() * 0.1)
    children = _children(run.pid)
    watchdog = next(pid for pid in children if "watchdog" in _read(f"/proc/{pid}/cmdline"))
    memory, cpu = _memory(watchdog), _cpu(watchdog)
    killed = time.monotonic()
    os.kill(run.pid, signal.SIGKILL)
    _until(lambda: not target.faults(), "the fault stays on", _LOOK)
    reverted = time.monotonic() - killed
    run.wait()
    # The lock is free again when the watchdog has had the run recorded.
    _until(lambda: not any(_is_running(pid) for pid in children), "the watchdog does not end", 0.02)
    return Loss(reverted, memory, cpu)


def _until(done: Any, complaint: str, pause: float) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError(complaint)
        time.sleep(pause)


def _children(pid: int) -> Sequence[int]:
    return [
        int(child)
        for path in Path(f"/proc/{pid}/task").glob("*/children")
        for child in path.read_text().split()
    ]


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8", errors="replace")


def _is_running(pid: int) -> bool:
    try:
        return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _memory(pid: int) -> float:
    line = next(line for line in _read(f"/proc/{pid}/status").splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _cpu(pid: int) -> float:
    # In nanoseconds; /proc/PID/stat counts in steps of 10 ms.
    return int(_read(f"/proc/{pid}/schedstat").split()[0]) / 1e9


@contextmanager
def _burners(count: int) -> Iterator[None]:
    burning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in burning:
            process.kill()
            process.wait()
