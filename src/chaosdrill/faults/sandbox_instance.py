"""Instance failure in the sandbox: its processes are killed, and not started again for a time."""

from __future__ import annotations

from pathlib import Path

from chaosdrill.errors import ChaosdrillError
from chaosdrill.faults import sandbox
from chaosdrill.ports import FaultSpec, Scope, UndoRecord
from chaosdrill.sandbox import client


class InstanceFailure:
    """SIGKILL, then held down. Stopping lets the supervisor start them again, and waits for that."""

    def prepare(self, spec: FaultSpec, scope: Scope) -> UndoRecord:
        """Return the record; reads only. Raises Refused."""
        return sandbox.prepare(spec, scope, {})

    def start(self, record: UndoRecord) -> None:
        """Kill and hold down. Raises FaultFailed."""
        sandbox.start(record)

    def stop(self, record: UndoRecord) -> None:
        """Let the instances start again and wait up to 5 s until they are well. Raises FaultFailed."""
        sandbox.stop(record)

    def residue(self, record: UndoRecord) -> list[str]:
        """Return what is still held down, or not yet well again."""
        return sandbox.residue(record) or _not_back(record)


def _not_back(record: UndoRecord) -> list[str]:
    found = client.find(Path(record["directory"]))
    if found is None:
        return []
    try:
        states = {i["id"]: i["state"] for i in found.status()["instances"]}
    except ChaosdrillError as problem:
        return [f"{', '.join(record['hit'])} may be down: {problem.message}"]
    # An instance that the autoscaler took away meanwhile is nobody's residue.
    return [f"{i} is not back: {states[i]}" for i in record["hit"] if states.get(i, "ready") != "ready"]
