"""Every fault with its undo, written before the fault: what a clean-up needs when nobody is left to ask.

Standard library only, data and never code: the smallest process must be able to read it and to undo. A line
is on disk (fsync) before `intend`, `undone` and `fence` return; `active` needs no sync, for it only narrows
down what `intended` has said already.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaosdrill.errors import RecordUnusable, Refused
from chaosdrill.ports import Clock

INTENDED, ACTIVE, UNDONE, FENCED = "intended", "active", "undone", "fenced"


@dataclass(slots=True)
class Entry:
    """One fault as the ledger tells it. Moments are epoch seconds."""

    id: str
    kind: str
    system: str
    target: str
    activity: str
    hit: tuple[str, ...]
    duration: float
    record: dict[str, Any]
    state: str = INTENDED
    started: float | None = None
    ended: float | None = None
    residue: tuple[str, ...] = ()
    how: str = ""
    error: str = ""
    steps: dict[str, float] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        """Whether something of it may still be on."""
        return self.state != UNDONE or bool(self.residue)


@dataclass(frozen=True, slots=True)
class Undoing:
    """How an undo came out: when the fault was stopped (epoch seconds), and what was still found of it."""

    ended: float
    residue: tuple[str, ...] = ()
    error: str = ""


class Ledger:
    """The ledger of one run; safe to append to from several processes."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock

    def intend(self, entry: Entry) -> None:
        """Write that `entry` is about to be injected.

        Raises Refused when the run has been fenced, and RecordUnusable when the line can't be written: in
        both cases nothing may be injected.
        """
        line = {
            "state": INTENDED,
            "id": entry.id,
            "kind": entry.kind,
            "system": entry.system,
            "target": entry.target,
            "activity": entry.activity,
            "hit": list(entry.hit),
            "duration": entry.duration,
            "record": entry.record,
        }
        with self._locked() as file:
            if any(row.get("state") == FENCED for row in _rows(self._path)):
                raise Refused(f"not injecting {entry.kind}: this run has been fenced and is being undone")
            self._append(file, line, sync=True)

    def active(self, entry_id: str) -> None:
        """Write that the fault was seen to be on."""
        with self._locked() as file:
            self._append(file, {"state": ACTIVE, "id": entry_id}, sync=False)

    def undone(self, entry_id: str, undoing: Undoing, how: str) -> None:
        """Write that the fault was undone, when, and what was still found of it."""
        line = {
            "state": UNDONE,
            "id": entry_id,
            "ended": undoing.ended,
            "residue": list(undoing.residue),
            "how": how,
            "error": undoing.error,
        }
        with self._locked() as file:
            self._append(file, line, sync=True)

    def fence(self, by: str) -> None:
        """Draw the line after which no fault of this run is accepted any more."""
        with self._locked() as file:
            self._append(file, {"state": FENCED, "by": by}, sync=True)

    def fenced(self) -> str:
        """Return who drew the line after which this run may inject nothing; empty while nobody has."""
        return next((str(row.get("by", "?")) for row in _rows(self._path) if row.get("state") == FENCED), "")

    def entries(self) -> list[Entry]:
        """Return every fault in the order of its intention; empty when there is no ledger."""
        return entries(self._path)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        try:
            file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise RecordUnusable(f"the ledger {self._path} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)

    def _append(self, file: int, line: dict[str, Any], *, sync: bool) -> None:
        stamped = {"t": self._clock.now(), "mono": self._clock.mono(), **line}
        data = (json.dumps(stamped, separators=(",", ":")) + "\n").encode()
        try:
            # One write call: with O_APPEND the line is there whole or, on a full disk, visibly torn.
            if os.write(file, data) != len(data):
                raise OSError(28, "no space left")
            if sync:
                os.fsync(file)
        except OSError as error:
            raise RecordUnusable(f"the ledger {self._path} cannot be written: {error.strerror}") from error


def entries(path: Path) -> list[Entry]:
    """Return every fault in the ledger at `path`, in order of intention, passing over a torn last line."""
    found: dict[str, Entry] = {}
    for row in _rows(path):
        state, moment = row.get("state"), float(row.get("t", 0.0))
        if state == INTENDED:
            found[row["id"]] = Entry(
                id=row["id"],
                kind=row["kind"],
                system=row["system"],
                target=row["target"],
                activity=row.get("activity", ""),
                hit=tuple(row.get("hit", ())),
                duration=float(row.get("duration", 0.0)),
                record=row.get("record", {}),
            )
        entry = found.get(row.get("id", ""))
        if entry is None or not isinstance(state, str):
            continue
        entry.steps.setdefault(state, moment)
        if state == ACTIVE and entry.state == INTENDED:
            entry.state, entry.started = ACTIVE, moment
        elif state == UNDONE:
            entry.state, entry.ended = UNDONE, float(row.get("ended", moment))
            entry.residue = tuple(row.get("residue", ()))
            entry.how, entry.error = row.get("how", ""), row.get("error", "")
    return list(found.values())


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row
