"""One place for a process: its name, its port, the process in it, and what is known about that process.

The place outlives its processes: a restarted payment-api-2 is still payment-api-2, on the same port. Knows
nothing of other places.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from chaosdrill.sandbox.parts.channel import Channel
from chaosdrill.sandbox.parts.http import HOST
from chaosdrill.sandbox.parts.processes import identity


def reserve(port: int) -> socket.socket:
    """Return a socket that keeps `port` (0: any) for us without listening. Raises OSError when it is taken.

    Nobody else can take the port while its process is dead, a connection to it is refused meanwhile, and the
    next process binds it by SO_REUSEPORT. The first bind goes without that option: with it, two sandboxes
    would share a port and steal each other's requests.
    """
    keeper = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind((HOST, port))
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError:
        keeper.close()
        raise
    return keeper


@dataclass(slots=True)
class Burner:
    """A CPU stress worker beside an instance, and the line whose end tells it to stop."""

    fault: str
    process: subprocess.Popen[bytes]
    line: socket.socket

    def stop(self) -> None:
        """End it. Right when called twice."""
        self.line.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@dataclass(slots=True)
class Instance:
    """A place and its process. `state` is starting, ready, unhealthy, leaving, held or down.

    `pinned` names the faults that act here, so that the autoscaler leaves the place alone; `holds` those that
    keep it empty.
    """

    id: str
    service: str
    keeper: socket.socket
    process: subprocess.Popen[bytes] | None = None
    channel: Channel | None = None
    announced: bool = False
    healthy: bool = False
    leaving: bool = False
    restarts: int = 0
    since: float = 0.0
    started: float = 0.0
    ill_since: float | None = None
    cpu: float = 0.0
    cpu_used: dict[int, float] = field(default_factory=dict)
    breaker: int = 0
    pinned: set[str] = field(default_factory=set)
    holds: set[str] = field(default_factory=set)
    burners: list[Burner] = field(default_factory=list)

    @property
    def port(self) -> int:
        """The port of this place."""
        port: int = self.keeper.getsockname()[1]
        return port

    @property
    def pid(self) -> int | None:
        """The process in it, if any."""
        return self.process.pid if self.process is not None else None

    @property
    def state(self) -> str:
        """How it is, in one word."""
        if self.process is None:
            return "held" if self.holds else "down"
        if self.leaving:
            return "leaving"
        if not self.announced:
            return "starting"
        return "ready" if self.healthy else "unhealthy"

    def spawn(self, module: str, first: dict[str, Any], errors: IO[bytes]) -> socket.socket:
        """Start a process of its own group here; return our end of the line to it."""
        self.process, ours = _start([module, self.id], 0, errors)
        ours.sendall(json.dumps({"id": self.id, **first}).encode() + b"\n")
        self.announced = self.healthy = self.leaving = False
        self.ill_since = None
        self.breaker = 0
        self.cpu, self.cpu_used = 0.0, {}
        return ours

    def add_burner(self, fault: str, load: float, seconds: float, errors: IO[bytes]) -> None:
        """Start one CPU stress worker in the group of the process here. Raises OSError when there is none."""
        if self.process is None:
            raise ProcessLookupError(f"{self.id} is not running")
        process, ours = _start(["burner", str(load), str(seconds)], self.process.pid, errors)
        self.burners.append(Burner(fault, process, ours))

    def stop_burners(self, fault: str | None = None) -> None:
        """End the workers of one fault, or all."""
        for burner in [b for b in self.burners if fault in (None, b.fault)]:
            burner.stop()
            self.burners.remove(burner)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and, when it is SIGKILL, to its whole group."""
        if self.process is None or self.process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            if number is signal.SIGKILL:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)

    def bury(self) -> None:
        """Forget the process, which is dead and reaped, and end what ran beside it."""
        self.stop_burners()
        if self.channel is not None:
            self.channel.close()
        self.process, self.channel = None, None
        self.announced = self.healthy = self.leaving = False
        self.cpu, self.cpu_used, self.breaker = 0.0, {}, 0

    def processes(self) -> list[tuple[int, str]]:
        """Return (pid, identity) of everything that runs here."""
        running = [self.process] if self.process is not None else []
        found = [(p.pid, identity(p.pid)) for p in [*running, *(b.process for b in self.burners)]]
        return [(pid, known) for pid, known in found if known is not None]

    def log(self, directory: Path) -> Path:
        """Return the file that the process here logs to."""
        return directory / "logs" / f"{self.id}.jsonl"


def _start(words: list[str], group: int, errors: IO[bytes]) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start a module of the sandbox in a process group (0: its own); return it and our end of its input."""
    module, *arguments = words
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", f"chaosdrill.sandbox.{module}", *arguments],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=errors,
            process_group=group,
        )
    return process, ours
