"""Which runs are going on, for every terminal of this user and whatever folder they were started in.

A small file per live run under XDG_STATE_HOME names its folder and its processes. A file whose runner is gone
is a run that died: it is kept until somebody has proved that nothing of it is left on, also when its folder
has been removed. Knows nothing of what a run does.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from chaosdrill.errors import RecordUnusable


class Process(NamedTuple):
    """A process as it was when it was written down; `birth` tells it from any other with its number."""

    pid: int
    birth: str

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return bool(self.birth) and birth(self.pid) == self.birth


NOBODY = Process(0, "")


class LiveRun(NamedTuple):
    """A run that was started and has not ended: alive, or `lost` when its runner is gone.

    A lost run is `watched` for as long as its watchdog lives, which undoes it and then records it.
    """

    id: str
    folder: Path
    pid: int
    lost: bool
    engine: Process = NOBODY
    watchdog: Process = NOBODY

    @property
    def watched(self) -> bool:
        """Whether its watchdog lives."""
        return self.watchdog.alive

    @property
    def abandoned(self) -> bool:
        """Whether nobody is left who would undo it."""
        return self.lost and not self.watched


def state_home() -> Path:
    """Return this user's folder for state of chaosdrill (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "chaosdrill"


def register(folder: Path, *, engine: int = 0, watchdog: int = 0) -> None:
    """Say that this process runs `folder`, with an engine and a watchdog of these process ids.

    Raises RecordUnusable when it can't be written: a run that nobody finds is one that nobody stops.
    """
    place = state_home() / "running"
    pids = {"runner": os.getpid(), "engine": engine, "watchdog": watchdog}
    facts: dict[str, Any] = {name: [pid, birth(pid)] for name, pid in pids.items() if pid}
    text = json.dumps({"folder": str(folder.resolve()), **facts})
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        # At once, so that nobody who looks meanwhile takes half a line for no run at all.
        fresh = place / f".{folder.name}.{os.getpid()}.new"
        fresh.write_text(text, "utf-8")
        fresh.replace(place / f"{folder.name}.json")
    except OSError as problem:
        raise RecordUnusable(
            f"the run can't be listed as running in {place}: {problem.strerror}",
            next_step="make room there, or name another folder in XDG_STATE_HOME",
        ) from problem


def unregister(folder: Path) -> None:
    """Say that the run in `folder` has ended; right when nobody said that it had begun."""
    (state_home() / "running" / f"{folder.name}.json").unlink(missing_ok=True)


def live_runs() -> list[LiveRun]:
    """Return the runs that have not ended, oldest first."""
    found = []
    for path in sorted((state_home() / "running").glob("*.json")):
        try:
            facts = json.loads(path.read_text("utf-8"))
            folder, runner = Path(facts["folder"]), _process(facts["runner"])
            engine, watchdog = _process(facts.get("engine")), _process(facts.get("watchdog"))
        except FileNotFoundError:
            continue  # It has ended since we looked.
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            # Nobody can tell whether it lives or what is on, so it counts as lost; its lock says more.
            found.append(LiveRun(path.stem, path.with_suffix(""), 0, lost=True))
            continue
        found.append(LiveRun(path.stem, folder, runner.pid, not runner.alive, engine, watchdog))
    return found


def birth(pid: int) -> str:
    """Return what tells process `pid` from any other that had or will have this number; '' when it is gone.

    The boot of the machine and the start in clock ticks since then (proc(5), field 22). A zombie is gone.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return ""
    if not fields or fields[0] in (b"Z", b"X"):
        return ""
    return f"{_boot()}-{fields[19].decode()}"


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii")[:8]
    except OSError:
        return "boot"


def _process(told: Any) -> Process:
    if told is None:
        return NOBODY
    pid, born = told
    return Process(int(pid), str(born))
