"""How to end an engine whose runner is gone, with all that it has started, and nothing else.

Standard library only, Linux's /proc; used by the watchdog and by whoever recovers a run. A killed runner's
engine was seen to go on injecting.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from chaosdrill.record.running import Process, birth


def end_engine(engine: Process) -> bool:
    """Kill an engine, its process group, and what its activities started elsewhere; return whether it lived.

    Does nothing when its id has come to mean another process. The group is ended also when its leader is
    gone, because a group's number is not used again while anybody is in it.
    """
    if engine.pid <= 1:
        return False
    now = birth(engine.pid)
    if now and now != engine.birth:
        return False
    started = _descendants(engine.pid) if now else []
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(engine.pid, signal.SIGKILL)
    for child in started:
        if child.alive:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(child.pid, signal.SIGKILL)
    return bool(now)


def _descendants(pid: int) -> list[Process]:
    found: list[Process] = []
    waiting = [pid]
    while waiting:
        for listing in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            try:
                children = [int(child) for child in listing.read_text("ascii").split()]
            except (OSError, ValueError):
                continue
            found += [Process(child, birth(child)) for child in children]
            waiting += children
    return found
