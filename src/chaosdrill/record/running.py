"""Which runs are going on, for every terminal of this user and whatever folder they were started in.

A small file per live run under XDG_STATE_HOME names its folder and its process. A file whose process is gone
is a run that died: it is kept until somebody has looked at the folder.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LiveRun:
    """A run that was started and has not ended: alive, or `lost` when its process is gone."""

    id: str
    folder: Path
    pid: int
    lost: bool


def state_home() -> Path:
    """Return this user's folder for state of chaosdrill (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "chaosdrill"


def register(folder: Path, *, engine: int = 0, watchdog: int = 0) -> None:
    """Say that this process runs `folder`, with an engine and a watchdog of these process ids."""
    place = state_home() / "running"
    place.mkdir(parents=True, exist_ok=True)
    processes = {"pid": os.getpid(), "engine": engine, "watchdog": watchdog}
    born = {name: _born(pid) for name, pid in processes.items() if pid}
    facts = {"folder": str(folder.resolve()), **processes, "births": born, "born": born["pid"]}
    (place / f"{folder.name}.json").write_text(json.dumps(facts), "utf-8")


def unregister(folder: Path) -> None:
    """Say that the run in `folder` has ended."""
    (state_home() / "running" / f"{folder.name}.json").unlink(missing_ok=True)


def live_runs() -> list[LiveRun]:
    """Return the runs that have not ended, oldest first; entries whose folder is gone are dropped."""
    found = []
    for path in sorted((state_home() / "running").glob("*.json")):
        try:
            facts = json.loads(path.read_text("utf-8"))
            folder, pid, born = Path(facts["folder"]), int(facts["pid"]), facts["born"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if not folder.is_dir():
            path.unlink(missing_ok=True)
            continue
        found.append(LiveRun(path.stem, folder, pid, lost=born is None or _born(pid) != born))
    return found


def _born(pid: int) -> int | None:
    """Return the process's start time in clock ticks since boot, or None when it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
    except OSError:
        return None
    fields = stat[stat.rfind(")") + 2 :].split()
    return None if fields[0] in "ZX" else int(fields[19])
