"""`python -m chaosdrill.sandbox.supervisor DIRECTORY LOCK-FD PROGRESS-FD`: detach, start all, watch, end all.

The lock of the directory comes in as a file descriptor and is let go when the sandbox is up, so that nobody
starts a second one meanwhile, not even when the command that started this one is killed.
"""

from __future__ import annotations

import os
import sys

# Before anything is imported that takes time: the command that started us waits for this process, and
# what is left is nobody's child.
if __name__ == "__main__" and os.fork():
    os._exit(0)

import asyncio
import json
import signal
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from chaosdrill.clock import SystemClock
from chaosdrill.errors import ChaosdrillError
from chaosdrill.sandbox import state
from chaosdrill.sandbox.parts.processes import identity
from chaosdrill.sandbox.supervisor.control import Control
from chaosdrill.sandbox.supervisor.disturbance import Disturbances
from chaosdrill.sandbox.supervisor.fleet import Fleet

EVERY = 1.0


def _write_state(directory: Path, fleet: Fleet, up: bool) -> None:
    pid = os.getpid()
    state.write(
        directory,
        {
            "version": 1,
            "up": up,
            "supervisor": [pid, identity(pid)],
            "processes": fleet.processes(),
            "ports": {i.id: i.port for i in fleet.instances.values()},
            "settings": fleet.payment_settings,
            "socket": str(state.socket_path(directory)),
            "shop_url": f"http://127.0.0.1:{fleet.shop_port}" if "balancer" in fleet.instances else "",
        },
    )


def _last_words(directory: Path) -> str:
    """Return the last line that one of the processes wrote to standard error, which names what went wrong."""
    lines = (directory / "supervisor.log").read_text("utf-8", errors="replace").split("\n")
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")


async def _watch(fleet: Fleet, clock: SystemClock, directory: Path, ending: asyncio.Event) -> None:
    # psutil takes as long to import as one of our processes to start, so not before they are up.
    from chaosdrill.sandbox.supervisor.meter import Meter

    meter = Meter(clock.mono())
    while True:
        await asyncio.sleep(EVERY)
        meter.read(clock.mono(), list(fleet.instances.values()))
        fleet.replace_hung()
        # A full disk or a full process table must not end the watching.
        with suppress(TimeoutError, OSError):
            await fleet.scale()
        if not state.exists(directory):
            # Somebody deleted the folder: nobody can find or end this sandbox any more but itself.
            ending.set()


async def supervise(directory: Path, lock: int, progress: int, errors: BinaryIO) -> None:
    """Run a sandbox in `directory` until somebody ends it, then leave nothing behind."""
    clock = SystemClock()
    fleet = Fleet(directory, errors, clock)
    faults = Disturbances(fleet, clock)
    control = Control(directory, fleet, faults, clock)
    fleet.on_change = lambda: _write_state(directory, fleet, up=False)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, control.ending.set)
    watching = None
    failure = ""
    try:
        for folder in ("data", "logs"):
            state.make_private(directory / folder)
        await control.listen()
        await fleet.start()
        fleet.on_change = lambda: _write_state(directory, fleet, up=True)
        fleet.changed()
        os.write(progress, b'{"up": true}\n')
        os.close(progress)
        os.close(lock)
        watching = asyncio.create_task(_watch(fleet, clock, directory, control.ending))
        await control.ending.wait()
    except (OSError, TimeoutError, ChaosdrillError) as problem:
        slow = [i.id for i in fleet.instances.values() if i.state != "ready"]
        failure = str(problem) or f"not ready in time: {', '.join(slow)}"
        if said := _last_words(directory):
            failure += f" ({said})"
    finally:
        if watching is not None:
            watching.cancel()
        faults.close()
        control.close()
        fleet.on_change = lambda: None
        await fleet.stop()
        state.remove(directory)
        if failure:
            # Last, so that whoever reads it finds nothing of us any more.
            os.write(progress, json.dumps({"error": failure}).encode() + b"\n")


def main() -> None:
    """Read the arguments and supervise."""
    directory = Path(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    with (directory / "supervisor.log").open("ab") as errors:
        os.dup2(errors.fileno(), 2)
        asyncio.run(supervise(directory, int(sys.argv[2]), int(sys.argv[3]), errors))


if __name__ == "__main__":
    main()
