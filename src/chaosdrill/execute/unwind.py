"""Undo whatever the ledger says may still be on: newest first, all of it, whatever fails on the way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from chaosdrill.errors import ChaosdrillError, RecordUnusable
from chaosdrill.ports import Clock, Fault, UndoRecord
from chaosdrill.record.failpoint import reached
from chaosdrill.record.ledger import Entry, Ledger, Undoing

OpenFault = Callable[[str, str], Fault]


class Tell(Protocol):
    """How an event reaches the journal; never raises."""

    def __call__(self, event: str, *, at: float | None = None, **facts: Any) -> object: ...


#: How long what was hit may take to come back once the fault is off, before that counts as residue.
HEALING_SECONDS = 10.0
_LOOK_AGAIN = 0.1


def undo(fault: Fault, record: UndoRecord, clock: Clock) -> Undoing:
    """Stop one fault, then look for it until nothing is found any more, at most for HEALING_SECONDS.

    An undo that fails is residue and not an exception: whoever undoes has more to undo.
    """
    reached("fault.stopping")
    undoing = _stop(fault, record, clock)
    reached("fault.stopped")
    return undoing if undoing.residue else _prove(fault, record, undoing, clock)


def _stop(fault: Fault, record: UndoRecord, clock: Clock) -> Undoing:
    try:
        fault.stop(record)
        return Undoing(clock.now())
    except ChaosdrillError as error:
        return Undoing(clock.now(), (f"the undo failed: {error}",), str(error))
    except Exception as bug:  # noqa: BLE001 - one broken adapter must not keep the others from being undone
        said = f"{type(bug).__name__}: {bug}"
        return Undoing(clock.now(), (f"the undo failed: {said}",), said)


def _prove(fault: Fault, record: UndoRecord, undoing: Undoing, clock: Clock) -> Undoing:
    try:
        deadline = clock.mono() + HEALING_SECONDS
        while (left := fault.residue(record)) and clock.mono() < deadline:
            clock.wait(threading.Event(), _LOOK_AGAIN)
        return Undoing(undoing.ended, tuple(left))
    except Exception as bug:  # noqa: BLE001 - what can't be checked counts as on, whatever the reason
        said = str(bug) if isinstance(bug, ChaosdrillError) else f"{type(bug).__name__}: {bug}"
        return Undoing(undoing.ended, (f"it can't be told whether it is off: {said}",), said)


def unwind(
    ledger: Ledger, tell: Tell, open_fault: OpenFault, clock: Clock, *, by: str = "runner"
) -> list[str]:
    """Fence the run, undo every open fault, and return what is still on, in words; empty when clean.

    All are stopped before any is looked for again, because that may take its time. `open_fault(kind, system)`
    gives the fault's adapter; one that can't be opened is residue. A ledger that can't be written keeps
    nothing from being undone; `by` is who undoes. Raises RunFenced when somebody else has taken the run over.
    """
    left_open = [entry for entry in ledger.entries() if entry.open]
    if not left_open:
        return []
    if ledger.fenced() != by:
        _written(lambda: ledger.fence(by), tell)
    tell("unwind.started", count=len(left_open))
    stopped = [(entry, *_stopped(entry, open_fault, clock)) for entry in reversed(left_open)]
    residue = []
    for entry, fault, stop in stopped:
        undoing = stop if fault is None or stop.residue else _prove(fault, entry.record, stop, clock)
        how = "unwind" if by == "runner" else by
        _written(partial(ledger.undone, entry.id, undoing, how), tell)
        tell("fault.undone", at=undoing.ended, **undone_facts(entry, undoing, how))
        residue += [f"{entry.kind} on {entry.target}: {what}" for what in undoing.residue]
    tell("unwind.ended", residue=residue)
    return residue


def undone_facts(entry: Entry, undoing: Undoing, how: str) -> dict[str, Any]:
    """Return what the journal says of a fault that somebody else than its action has undone."""
    return {
        "id": entry.id,
        "kind": entry.kind,
        "target": entry.target,
        "hit": list(entry.hit),
        "residue": list(undoing.residue),
        "how": how,
        "error": undoing.error,
    }


def _written(write: Callable[[], None], tell: Tell) -> None:
    try:
        write()
    except RecordUnusable as error:
        tell("note", text=str(error))


def _stopped(entry: Entry, open_fault: OpenFault, clock: Clock) -> tuple[Fault | None, Undoing]:
    try:
        fault = open_fault(entry.kind, entry.system)
    except ChaosdrillError as error:
        return None, Undoing(clock.now(), (f"nobody knows how to undo it: {error}",), str(error))
    return fault, _stop(fault, entry.record, clock)
