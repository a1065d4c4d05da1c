"""SIGKILL at seeded random instants: 60 with those at the ledger's steps, more by `make soak KILLS=1000`."""

from __future__ import annotations

import json
import os
import random
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scene import EVERYBODY, PATIENCE, Scene, new_scene

from commandline import CommandLine

KILLS = int(os.environ.get("KILLS", "13"))
SEED = int(os.environ.get("SEED", "20261121"))
VICTIMS = (("runner",), ("engine",), ("watchdog",), ("runner", "watchdog"), ("runner", "engine"), EVERYBODY)
#: About as long as such a run takes until its fault is on, and some more.
LATEST = 2.5


def _kill_at(scene: Scene, instant: float, victims: tuple[str, ...]) -> float | None:
    """Kill some of a run's processes; return how long a fault that was on then stayed on, in seconds."""
    scene.start()
    assert scene.process is not None
    time.sleep(instant)
    on = bool(scene.sandbox.faults())
    killed = scene.kill_known(*victims)
    # Where everybody died it is `recover` that undoes, whenever a person types it.
    took = scene.clean() - killed if on and victims != EVERYBODY else None
    if "runner" not in victims:
        # A run that lives on ends by itself, or by a person's word.
        scene.stop()
    # What Python itself says of a Ctrl-C before our first line is nobody's matter.
    scene.process.communicate(timeout=PATIENCE)
    scene.left_alone()
    answer = scene.line("recover", "--json")
    assert answer.code == 0, answer.out + answer.err
    scene.clean()
    for run in scene.runs():
        if not (run / "run.json").exists():
            continue
        if json.loads((run / "run.json").read_text())["state"] == "open":
            # It died before it was registered, so nobody knows of it but its folder.
            assert scene.line("recover", str(run)).code == 0
        facts = json.loads((run / "run.json").read_text())
        assert facts["state"] == "sealed", (victims, instant, facts["state"])
        assert facts["verdict"]["cleanup"]["state"] != "failed", (victims, instant, facts["verdict"])
    assert scene.sandbox.faults() == []
    assert not (scene.sandbox.directory / "run.lock").exists()
    return took


def test_a_run_that_is_killed_at_any_instant_leaves_nothing_on(
    tmp_path: Path, crash_sandboxes: list[Path], chaosdrill: CommandLine
) -> None:
    chosen = random.Random(SEED)
    plan = [(chosen.uniform(0.0, LATEST), chosen.choice(VICTIMS)) for _ in range(KILLS)]

    def play(worker: int) -> list[float | None]:
        took = []
        for number in range(worker, KILLS, len(crash_sandboxes)):
            place = tmp_path / str(number)
            place.mkdir()
            scene = new_scene(place, crash_sandboxes[worker], chaosdrill.environment)
            took.append(_kill_at(scene, *plan[number]))
        return took

    with ThreadPoolExecutor(len(crash_sandboxes)) as workers:
        found = [one for part in workers.map(play, range(len(crash_sandboxes))) for one in part]
    seconds = sorted(one for one in found if one is not None)
    figure = {"kills": len(found), "with a fault on": len(seconds), "residue": 0, "seed": SEED}
    if seconds:
        figure |= {"median": round(statistics.median(seconds), 4), "worst": round(seconds[-1], 4)}
    sys.stdout.write(f"\n{json.dumps(figure)}\n")
