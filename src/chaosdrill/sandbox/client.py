"""The door to the sandbox for everybody else: bring it up, find it, ask it, take it down.

Standard library only, because the smallest processes undo faults through it. Knows nothing of experiments.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from chaosdrill.clock import SystemClock
from chaosdrill.errors import FaultFailed, Refused, TargetUnreachable
from chaosdrill.sandbox import state
from chaosdrill.sandbox.parts.processes import alive, kill, wait_until_gone

JSON = Any

#: Seconds. Coming up takes about one; everything else is answered at once, except what waits for instances.
UP_WITHIN = 20.0
ANSWER_WITHIN = 5.0
STOP_WITHIN = 10.0
FIX_WITHIN = 60.0
DOWN_WITHIN = 5.0


class Sandbox(NamedTuple):
    """A sandbox that is up."""

    directory: Path
    shop_url: str

    def status(self) -> dict[str, JSON]:
        """Return everything there is to know: instances, load, settings, faults. Raises TargetUnreachable."""
        found: dict[str, JSON] = self._ask(ANSWER_WITHIN, do="status")
        return found

    def series(self, service: str) -> dict[str, float]:
        """Return ready, instances, restarts, cpu and breaker of one service.

        `cpu` is the mean share of one core over the last second, with all that runs in an instance's process
        group; `breaker` is the worst of all instances: 0 closed, 1 half-open, 2 open. Raises Refused for a
        service that does not exist, TargetUnreachable.
        """
        found: dict[str, float] = self._ask(ANSWER_WITHIN, do="series", service=service)
        return found

    def faults(self) -> list[dict[str, JSON]]:
        """Return the faults that are on: id, kind, target, hit, arguments, run, since, seconds_left."""
        found: list[dict[str, JSON]] = self._ask(ANSWER_WITHIN, do="faults")
        return found

    def fault_start(self, fault: Mapping[str, JSON]) -> None:
        """Put a fault on: a mapping with id, kind, hit, arguments, seconds and run.

        The sandbox takes it off by itself after `seconds`. Starting one that is on changes nothing. Raises
        Refused when it can't be put on (then nothing is), TargetUnreachable.
        """
        self._ask(STOP_WITHIN, do="fault-start", **fault)

    def fault_stop(self, fault_id: str) -> None:
        """Take a fault off and wait up to 5 s until what it hit is back. Right when it is not on."""
        self._ask(STOP_WITHIN, do="fault-stop", id=fault_id)

    def set_load(self, rate: float) -> None:
        """Let `rate` customers arrive per second in the background; 0 for none. Raises Refused."""
        self._ask(ANSWER_WITHIN, do="load", rate=rate)

    def fix(self, name: str, *, undo: bool = False) -> dict[str, list[JSON]]:
        """Change settings and restart what reads them, one instance after the other, until `down`.

        Returns each setting with its value before and after. Raises Refused for a fix that does not exist.
        """
        found: dict[str, list[JSON]] = self._ask(FIX_WITHIN, do="fix", name=name, undo=undo)
        return found

    def _ask(self, timeout: float, **question: JSON) -> JSON:
        found = _converse(self.directory, timeout, question)
        if "error" in found:
            raise Refused(found["error"])
        return found["answer"]


def up(directory: Path | None = None, *, load: float = 0.0) -> Sandbox:
    """Return the sandbox in `directory`, starting it when it is not up; ready when this returns.

    Raises Refused when the folder can't be used or somebody else is at it, TargetUnreachable when the
    sandbox does not come up.
    """
    directory = directory or state.default_directory()
    with state.locked(directory, patience=UP_WITHIN) as lock:
        found = find(directory)
        if found is None:
            _clear_up(directory)
            try:
                _launch(directory, lock)
            except TargetUnreachable:
                _clear_up(directory)
                state.remove_lock(directory)
                raise
            found = find(directory)
    if found is None:
        raise _did_not_come_up("it died right after it was up")
    if load:
        found.set_load(load)
    return found


def find(directory: Path | None = None) -> Sandbox | None:
    """Return the sandbox in `directory` when its supervisor lives and has got ready, else None."""
    directory = directory or state.default_directory()
    found = state.read(directory)
    if found is None or not found.get("up") or not alive(*found["supervisor"]):
        return None
    return Sandbox(directory, found["shop_url"])


def remains(directory: Path | None = None) -> list[str]:
    """Return which processes of a sandbox in `directory` still run, in words; empty when it is down."""
    found = state.read(directory or state.default_directory())
    if found is None:
        return []
    processes = [("supervisor", found["supervisor"])]
    processes += [(name, process) for name, group in found["processes"].items() for process in group]
    return [f"{name} (process {pid})" for name, (pid, known) in processes if alive(pid, known)]


def down(directory: Path | None = None) -> bool:
    """End the sandbox in `directory` and all that is left of one; return whether there was anything.

    Afterwards there is no process, no socket and no file of it, also when its supervisor was killed before.
    """
    directory = directory or state.default_directory()
    if not directory.is_dir():
        return False
    with state.locked(directory, patience=UP_WITHIN):
        found = state.read(directory)
        if found is not None and alive(*found["supervisor"]):
            # A supervisor that does not answer is ended by force below.
            with suppress(TargetUnreachable):
                _converse(directory, DOWN_WITHIN, {"do": "down"})
            wait_until_gone([tuple(found["supervisor"])], DOWN_WITHIN)
        _clear_up(directory, found)
        state.remove_lock(directory)
    return found is not None


def _clear_up(directory: Path, found: dict[str, JSON] | None = None) -> None:
    found = state.read(directory) or found
    if found is not None:
        processes = [tuple(found["supervisor"])]
        processes += [(pid, known) for group in found["processes"].values() for pid, known in group]
        # The supervisor first, or it would restart the others.
        for pid, known in processes:
            kill(pid, known)
        left = wait_until_gone(processes, DOWN_WITHIN)
        if left:
            raise FaultFailed(f"the sandbox's processes {left} do not end", next_step="look at them with ps")
    state.remove(directory)


def _launch(directory: Path, lock: int) -> None:
    reader, writer = os.pipe()
    arguments = [str(directory), str(lock), str(writer)]
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "chaosdrill.sandbox.supervisor", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(lock, writer),
            env=_environment(),
            start_new_session=True,
        )
    finally:
        os.close(writer)
    try:
        process.wait()
        said = _read_until_end(reader, UP_WITHIN)
    finally:
        os.close(reader)
    if b'"up"' not in said:
        why = json.loads(said)["error"] if said.endswith(b"\n") else "its supervisor died or was too slow"
        raise _did_not_come_up(why)


def _read_until_end(reader: int, seconds: float) -> bytes:
    clock = SystemClock()
    deadline = clock.mono() + seconds
    said = b""
    while not said.endswith(b"\n"):
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline - clock.mono()))
        chunk = os.read(reader, 4096) if ready else b""
        if not chunk:
            break
        said += chunk
    return said


def _did_not_come_up(why: str) -> TargetUnreachable:
    return TargetUnreachable(
        f"the sandbox did not come up: {why}",
        next_step="clear up and try again: chaosdrill sandbox down, then chaosdrill sandbox up",
    )


def _environment() -> dict[str, str]:
    """Return our environment for processes that live elsewhere: a relative PYTHONPATH would lead nowhere."""
    path = os.environ.get("PYTHONPATH")
    if not path:
        return dict(os.environ)
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(str(Path(p).absolute()) for p in path.split(os.pathsep))
    }


def _converse(directory: Path, timeout: float, question: Mapping[str, JSON]) -> dict[str, JSON]:
    path = state.socket_path(directory)
    said = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(timeout)
            line.connect(str(path))
            line.sendall(json.dumps(question).encode() + b"\n")
            while not said.endswith(b"\n"):
                chunk = line.recv(1 << 16)
                if not chunk:
                    raise ConnectionResetError("it hung up")
                said += chunk
    except OSError as problem:
        raise TargetUnreachable(
            f"the sandbox does not answer: {problem}",
            next_step="start it again: chaosdrill sandbox down, then chaosdrill sandbox up",
        ) from None
    found: dict[str, JSON] = json.loads(said)
    return found


__all__: Sequence[str] = ("Sandbox", "down", "find", "remains", "up")
