"""CPU stress in the sandbox: workers that use up CPU time in and beside an instance."""

from __future__ import annotations

from chaosdrill.errors import Refused
from chaosdrill.faults import sandbox
from chaosdrill.ports import FaultSpec, Scope, UndoRecord
from chaosdrill.units import parse_count, parse_share

MOST_WORKERS = 8


class CpuStress:
    """`workers` burn `load` of one core each, per instance hit.

    The first burns inside the instance's event loop, in slices, so that requests have to wait for it; the
    others are processes of the instance's group. All count as the instance's CPU.
    """

    def prepare(self, spec: FaultSpec, scope: Scope) -> UndoRecord:
        """Return the record; reads only. Raises Refused."""
        workers = sandbox.argument(spec, "workers", parse_count, 1, MOST_WORKERS)
        if workers != int(workers):
            raise Refused(f"{spec.kind}: workers: {workers:g} is not a whole number")
        load = sandbox.argument(spec, "load", parse_share, 0.01, 1.0)
        return sandbox.prepare(spec, scope, {"workers": int(workers), "load": load})

    def start(self, record: UndoRecord) -> None:
        """Start the workers. Raises FaultFailed."""
        sandbox.start(record)

    def stop(self, record: UndoRecord) -> None:
        """End the workers. Raises FaultFailed."""
        sandbox.stop(record)

    def residue(self, record: UndoRecord) -> list[str]:
        """Return whether they still burn."""
        return sandbox.residue(record)
