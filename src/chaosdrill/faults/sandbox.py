"""What all faults on the sandbox have in common: their record, and how the sandbox is asked.

The sandbox itself carries a fault out and ends it in time; here is only the asking. Knows no kind of fault.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from chaosdrill.errors import ChaosdrillError, FaultFailed, Refused
from chaosdrill.model.fault import FAULTS
from chaosdrill.ports import FaultSpec, Scope, UndoRecord
from chaosdrill.sandbox import client
from chaosdrill.targets.sandbox import SandboxTarget
from chaosdrill.units import UnitError, format_duration


def argument(spec: FaultSpec, name: str, read: Callable[[object], float], least: float, most: float) -> float:
    """Return one argument of the fault as a number, or its default from the catalogue.

    Raises Refused, naming it, when it is missing or makes no sense.
    """
    known = FAULTS[spec.kind].arguments[name]
    given = spec.arguments.get(name)
    given = known.default if given is None else given
    if given is None:
        raise Refused(f"{spec.kind}: {name} is missing; write it like {known.example!r}")
    try:
        value = read(given)
    except UnitError as problem:
        raise Refused(f"{spec.kind}: {name}: {problem}") from None
    if not least <= value <= most:
        raise Refused(f"{spec.kind}: {name}: {given!r} is not between {least:g} and {most:g}")
    return value


def prepare(spec: FaultSpec, scope: Scope, arguments: Mapping[str, Any]) -> UndoRecord:
    """Return the record of a fault; reads only. Raises Refused when what it should hit is not there."""
    if not 0 < spec.duration <= 86_400:
        wrong = format_duration(spec.duration)
        raise Refused(f"{spec.kind}: duration: {wrong} is not between 0 s and 24 h")
    if not scope.chosen:
        raise Refused(f"{spec.kind}: nothing was chosen to hit")
    target = SandboxTarget()
    there = {candidate.id for candidate in target.candidates(spec)}
    gone = [name for name in scope.chosen if name not in there]
    if gone:
        raise Refused(
            f"{spec.kind}: {', '.join(gone)} is not there or not ready now",
            next_step="look at: chaosdrill sandbox status",
        )
    return {
        "version": 1,
        "system": "sandbox",
        "id": f"{spec.kind}-{os.urandom(4).hex()}",
        "kind": spec.kind,
        "hit": list(scope.chosen),
        "arguments": dict(arguments),
        "seconds": spec.duration,
        "directory": str(target.sandbox().directory),
    }


def start(record: UndoRecord) -> None:
    """Ask the sandbox to put the fault on. Raises FaultFailed; then nothing is on."""
    sandbox = client.find(Path(record["directory"]))
    if sandbox is None:
        raise FaultFailed(f"{record['kind']} was not started: the sandbox is not up any more")
    wanted = {key: record[key] for key in ("id", "kind", "hit", "arguments", "seconds")}
    try:
        sandbox.fault_start(wanted | {"run": record.get("run", "")})
    except Refused as problem:
        raise FaultFailed(f"{record['kind']} was not started: {problem.message}") from None


def stop(record: UndoRecord) -> None:
    """Ask the sandbox to take the fault off; nothing is to do when it is down. Raises FaultFailed."""
    sandbox = client.find(Path(record["directory"]))
    if sandbox is None:
        return
    try:
        sandbox.fault_stop(record["id"])
    except ChaosdrillError as problem:
        ends = format_duration(record["seconds"])
        raise FaultFailed(
            f"{record['kind']} was not stopped: {problem.message}",
            next_step=f"it ends by itself {ends} after its start; or: chaosdrill sandbox down",
        ) from None


def residue(record: UndoRecord) -> list[str]:
    """Return whether the fault is still on, in words; empty when it is off or the sandbox is proved down."""
    where = Path(record["directory"])
    sandbox = client.find(where)
    if sandbox is None:
        return [f"{left} of a broken sandbox still runs" for left in client.remains(where)]
    what = f"{record['kind']} on {', '.join(record['hit'])}"
    try:
        active = {fault["id"]: fault for fault in sandbox.faults()}
    except ChaosdrillError as problem:
        return [f"{what} may be on: {problem.message}"]
    if record["id"] not in active:
        return []
    left = format_duration(active[record["id"]]["seconds_left"])
    return [f"{what} is on for {left} more"]
