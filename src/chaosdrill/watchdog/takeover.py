"""A run taken over from a runner that is gone: fence, end its engine, undo; then have the rest recorded.

What undoes is loaded when the watchdog is armed, so that nothing stands between the loss and the undo. The
record (rollbacks, verdict, report) is left to a process of its own, because that needs Chaos Toolkit.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from chaosdrill import faults
from chaosdrill.clock import SystemClock
from chaosdrill.errors import ChaosdrillError, RecordUnusable
from chaosdrill.execute.orphan import end_engine
from chaosdrill.execute.unwind import unwind
from chaosdrill.record.failpoint import reached
from chaosdrill.record.ledger import NAME, Ledger
from chaosdrill.record.running import Process, birth

BY = "watchdog"
#: Only there when something went wrong.
LOG = "watchdog.log"


class Orders(NamedTuple):
    """What to do when the runner is gone: `locks` are held open."""

    folder: Path
    engine: Process
    ledger: Ledger
    request: Mapping[str, Any]
    cwd: str
    territory: str = ""
    locks: Sequence[int] = ()

    @classmethod
    def of(cls, told: Mapping[str, Any], locks: Sequence[int], clock: SystemClock) -> Orders:
        """Return the orders that the runner gave, with everything loaded and opened that they need."""
        folder = Path(told["folder"])
        orders = cls(
            folder=folder,
            engine=Process(int(told["engine"]), birth(int(told["engine"]))),
            ledger=Ledger(folder / NAME, clock, by=BY),
            request=told.get("request") or {},
            cwd=str(told.get("cwd", "/")),
            territory=str(told.get("territory", "")),
            locks=locks,
        )
        try:
            # Open from now on: a folder that somebody removes must not take the undo with it.
            orders.ledger.open()
            for kind, system in told.get("faults", ()):
                faults.open(kind, system)
        except ChaosdrillError as problem:
            orders.complain(str(problem))
        return orders

    def complain(self, what: str) -> None:
        """Write what went wrong where a person will look: into watchdog.log in the run folder."""
        with suppress(OSError), (self.folder / LOG).open("a", encoding="utf-8") as file:
            file.write(what.rstrip() + "\n")


def take_over(orders: Orders, why: str, clock: SystemClock) -> int:
    """Undo what is on and have the run recorded as lost because of `why`; return the exit status."""
    try:
        orders.ledger.fence(BY, why)
    except RecordUnusable as problem:
        # A full disk keeps nothing from being undone.
        orders.complain(str(problem))
    end_engine(orders.engine)
    reached("watchdog.undoing")
    residue = unwind(orders.ledger, lambda *_, **__: None, faults.open, clock, by=BY)
    reached("watchdog.undone")
    for what in residue:
        orders.complain(f"still on: {what}")
    code = _record(orders, why) if orders.folder.is_dir() else _forget(orders)
    if code == 0 and not residue:
        _free(orders)
    return code


def _record(orders: Orders, why: str) -> int:
    told = json.dumps({"request": orders.request, "why": why}, default=str)
    command = [sys.executable, "-P", "-m", "chaosdrill", "recover", str(orders.folder), "--by", BY]
    try:
        done = subprocess.run(
            command,
            input=told.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=orders.cwd if Path(orders.cwd).is_dir() else "/",
            check=False,
        )
    except OSError as problem:
        orders.complain(f"the run was undone, but not recorded: {problem}")
        return 1
    if done.returncode:
        orders.complain(done.stderr.decode("utf-8", errors="replace"))
    return done.returncode


def _forget(orders: Orders) -> int:
    from chaosdrill.record import running

    running.unregister(orders.folder)
    return 0


def _free(orders: Orders) -> None:
    # Loaded only now: nothing may stand between the loss and the undo.
    from chaosdrill import targets

    for lock in orders.locks:
        targets.open_locks(orders.territory).adopt(lock).release()
