"""Whether a process is still the one that was started, and how to end it without ever hitting another.

Process ids are used again. So a process is remembered by its id *and* its start time, and both are compared
before a signal is sent.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from time import sleep

from chaosdrill.clock import SystemClock

_CLOCK = SystemClock()

_PROC = Path("/proc")


def identity(pid: int) -> str | None:
    """Return what tells process `pid` from any other that had or will have this id; None when it is dead.

    A zombie is dead: it does nothing any more, though it still answers signal 0.
    """
    if not (_PROC / "self" / "stat").exists():
        return _identity_elsewhere(pid)
    try:
        # Field 2 is the name in brackets and may hold anything; 3 is the state, 22 the start (proc(5)).
        fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except (OSError, ValueError):
        return None
    if not fields or fields[0] in (b"Z", b"X"):
        return None
    return f"{_boot()}-{fields[19].decode()}"


@cache
def _boot() -> str:
    """Return what tells this run of the machine from others: start times count from its boot."""
    return (_PROC / "sys" / "kernel" / "random" / "boot_id").read_text("ascii")[:8]


def _identity_elsewhere(pid: int) -> str | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.3f}"
    except psutil.Error:
        return None


def alive(pid: int, known: str) -> bool:
    """Return whether the process that had this identity still runs."""
    return identity(pid) == known


def kill(pid: int, known: str) -> bool:
    """Send SIGKILL to the process of this identity; return False when it is gone already."""
    if not hasattr(os, "pidfd_open"):
        if not alive(pid, known):
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return True
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        # The handle was taken before the look: from here on the id can't come to mean another process.
        if not alive(pid, known):
            return False
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        return True
    finally:
        os.close(handle)


def wait_until_gone(processes: Iterable[tuple[int, str]], seconds: float) -> list[int]:
    """Wait until none of these (pid, identity) runs, at most `seconds`; return the pids that still do."""
    deadline = _CLOCK.mono() + seconds
    left = list(processes)
    while left := [(pid, known) for pid, known in left if alive(pid, known)]:
        if _CLOCK.mono() > deadline:
            break
        sleep(0.005)
    return [pid for pid, _ in left]
