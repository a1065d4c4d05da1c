"""Undo whatever the ledger says may still be on: newest first, all of it, whatever fails on the way."""

from __future__ import annotations

from collections.abc import Callable

from chaosdrill.errors import ChaosdrillError
from chaosdrill.ports import Fault
from chaosdrill.record.journal import Journal
from chaosdrill.record.ledger import Entry, Ledger

OpenFault = Callable[[str, str], Fault]


def unwind(ledger: Ledger, journal: Journal, open_fault: OpenFault, *, by: str) -> list[str]:
    """Fence the run, undo every open fault, and return what is still on, in words; empty when clean.

    `open_fault(kind, system)` gives the fault's adapter. One that can't be opened is residue.
    """
    left_open = [entry for entry in ledger.entries() if entry.open]
    if not left_open:
        return []
    ledger.fence(by)
    journal.write("unwind.started", count=len(left_open))
    residue = []
    for entry in reversed(left_open):
        left, error = _undo(entry, open_fault)
        ledger.undone(entry.id, residue=left, how="unwind", error=error)
        journal.write(
            "fault.undone",
            id=entry.id,
            kind=entry.kind,
            target=entry.target,
            hit=list(entry.hit),
            residue=left,
            how="unwind",
            error=error,
        )
        residue += [f"{entry.kind} on {entry.target}: {what}" for what in left]
    journal.write("unwind.ended", residue=residue)
    return residue


def _undo(entry: Entry, open_fault: OpenFault) -> tuple[list[str], str]:
    try:
        fault = open_fault(entry.kind, entry.system)
        fault.stop(entry.record)
        return fault.residue(entry.record), ""
    except ChaosdrillError as error:
        return [f"the undo failed: {error}"], str(error)
    except Exception as bug:  # noqa: BLE001 - one broken adapter must not keep the others from being undone
        return [f"the undo failed: {type(bug).__name__}: {bug}"], str(bug)
