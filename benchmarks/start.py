"""What a command costs before it does anything, and what chaosdrill costs on top of `chaos run`."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.pairs import pair
from benchmarks.peer import peer

RUNS = 21
MINIMAL = {
    "title": "Minimal",
    "description": "One probe and one action that does nothing.",
    "steady-state-hypothesis": {
        "title": "The root is there",
        "probes": [
            {
                "type": "probe",
                "name": "root-exists",
                "tolerance": True,
                "provider": {
                    "type": "python",
                    "module": "os.path",
                    "func": "exists",
                    "arguments": {"path": "/"},
                },
            }
        ],
    },
    "method": [
        {
            "type": "action",
            "name": "nothing",
            "provider": {"type": "python", "module": "os", "func": "getpid"},
        }
    ],
    "rollbacks": [],
}


def measure() -> list[dict[str, Any]]:
    """Return a row per figure: `--version`, and a minimal run with everything but the HTML."""
    ours, theirs = Path(sys.executable).parent / "chaosdrill", peer("toolkit") / "chaos"
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "minimal.json").write_text(json.dumps(MINIMAL), encoding="utf-8")
        environment = {**os.environ, "HOME": folder, "XDG_STATE_HOME": f"{folder}/state"}
        version = pair(
            [str(ours), "--version"],
            [str(theirs), "--version"],
            runs=RUNS,
            cwd=place,
            environment=environment,
        )
        run = pair(
            [str(ours), "run", "--report", "md,json,junit", "--plain", "minimal.json"],
            [str(theirs), "--no-version-check", "run", "minimal.json"],
            runs=RUNS,
            cwd=place,
            environment=environment,
        )
    rows = []
    for name, (a, b, ratio), goal in (("--version", version, 0.4), ("minimal run", run, 1.5)):
        rows.append(
            {
                "name": f"{name}, wall",
                "value": round(a.wall, 4),
                "unit": "s",
                "peer": round(b.wall, 4),
                "ratio": round(ratio, 3),
                "goal": f"<= {goal:g}x",
                "met": ratio <= goal,
                "runs": RUNS,
            }
        )
    return rows
