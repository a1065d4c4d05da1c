"""What a report costs as a whole process, beside `chaos report`, which has pandoc make its HTML."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.pairs import once, pair
from benchmarks.peer import peer
from chaosdrill.testing.folders import Story, build_run_folder

#: The peer takes 12 s each time; CHAOSDRILL_BENCH_REPORTS=3 is enough while working on something.
RUNS = int(os.environ.get("CHAOSDRILL_BENCH_REPORTS", "15"))
ACTIVITIES, SAMPLES = 1000, 100_000
SPIKE = 9.0
#: An installed chaosdrill has its bytecode, as the peer has; here the first, uncounted run writes it.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
RATIO_GOAL, MEMORY_GOAL, SECONDS_GOAL = 1 / 40, 120.0, 0.5


def measure() -> list[dict[str, Any]]:
    """Return a row per figure: HTML of 1,000 activities beside the peer, and of 100,000 samples."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        return [*_activities(place), *_samples(place)]


def _activities(place: Path) -> list[dict[str, Any]]:
    run = build_run_folder(place / "activities", Story(activities=ACTIVITIES))
    theirs = [str(_peer()), "--no-version-check", "report", "--export-format=html5"]
    a, b, ratio = pair(
        _command(run.path, "html"),
        [*theirs, str(run.file("engine.json")), str(place / "peer.html")],
        runs=RUNS,
        cwd=place,
        environment=ENVIRONMENT,
    )
    return [
        {
            "name": f"HTML of {ACTIVITIES:,} activities, wall",
            "value": round(a.wall, 4),
            "unit": "s",
            "peer": round(b.wall, 3),
            "ratio": round(ratio, 5),
            "goal": "<= 1/40x",
            "met": ratio <= RATIO_GOAL,
            "runs": RUNS,
        },
        {
            "name": f"HTML of {ACTIVITIES:,} activities, peak memory",
            "value": round(a.memory, 1),
            "unit": "MiB",
            "peer": round(b.memory, 1),
            "ratio": round(a.memory / b.memory, 3),
            "goal": f"<= {MEMORY_GOAL:g} MiB",
            "met": a.memory <= MEMORY_GOAL,
            "runs": RUNS,
        },
    ]


def _samples(place: Path) -> list[dict[str, Any]]:
    run = build_run_folder(place / "samples", Story(samples=SAMPLES, rate=200.0, spike=SPIKE))
    command = _command(run.path, "html")
    once(command, place, ENVIRONMENT)
    walls, memories = zip(*(once(command, place, ENVIRONMENT) for _ in range(RUNS)), strict=True)
    text = run.file("report.html").read_text("utf-8")
    once(_command(run.path, "json"), place, ENVIRONMENT)
    slowest = max(
        row["slowest"] for row in json.loads(run.file("report.json").read_text())["numbers"]["requests"]
    )
    kept = slowest == SPIKE and re.search(r"slowest 9 s</text>", text) is not None
    wall, memory = median(walls), median(memories)
    return [
        {
            "name": f"HTML of {SAMPLES:,} samples, wall",
            "value": round(wall, 4),
            "unit": "s",
            "peer": None,
            "ratio": None,
            "goal": f"<= {SECONDS_GOAL:g} s, no spike lost",
            "met": wall <= SECONDS_GOAL and kept,
            "runs": RUNS,
        },
        {
            "name": f"HTML of {SAMPLES:,} samples, peak memory",
            "value": round(memory, 1),
            "unit": "MiB",
            "peer": None,
            "ratio": None,
            "goal": f"<= {MEMORY_GOAL:g} MiB",
            "met": memory <= MEMORY_GOAL,
            "runs": RUNS,
        },
    ]


def _command(folder: Path, kind: str) -> list[str]:
    """Return our whole command line, the one that people type."""
    chaosdrill = Path(sys.executable).parent / "chaosdrill"
    return [str(chaosdrill), "report", str(folder), "--format", kind]


def _peer() -> Path:
    """Return the peer's `chaos`: that of CHAOSDRILL_BENCH_CHAOS, or one under benchmarks/.peer."""
    chosen = os.environ.get("CHAOSDRILL_BENCH_CHAOS")
    return Path(chosen) if chosen else peer("reporting") / "chaos"
