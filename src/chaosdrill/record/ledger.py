"""Every fault with its undo, written before the fault: what a clean-up needs when nobody is left to ask.

Standard library only, data and never code: the smallest process must be able to read it and to undo. A line
is on disk (fsync) before `intend`, `undone` and `fence` return; `active` needs no sync, for it only narrows
down what `intended` has said already.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from chaosdrill.errors import RecordUnusable, Refused, RunFenced
from chaosdrill.ports import Clock
from chaosdrill.record.failpoint import reached

#: Its name in a run folder.
NAME = "ledger.jsonl"
INTENDED, ACTIVE, UNDONE, FENCED = "intended", "active", "undone", "fenced"


class Entry(NamedTuple):
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
    steps: Mapping[str, float] = {}

    @property
    def open(self) -> bool:
        """Whether something of it may still be on."""
        return self.state != UNDONE or bool(self.residue)


class Fence(NamedTuple):
    """The line after which a run injects nothing: by whom, why, and when (epoch seconds)."""

    by: str
    why: str
    at: float


class Undoing(NamedTuple):
    """How an undo came out: when the fault was stopped (epoch seconds), and what was still found of it."""

    ended: float
    residue: tuple[str, ...] = ()
    error: str = ""


class Ledger:
    """The ledger of one run; safe to append to from several processes and threads.

    The file stays open once it was used, so that a run folder that is removed meanwhile hides nothing from
    whoever has to undo. `by` is whose ledger this is: once somebody else has drawn the line (`fence`),
    nothing that this one tells is taken any more.
    """

    def __init__(self, path: Path, clock: Clock, *, by: str = "runner") -> None:
        self._path = path
        self._clock = clock
        self._by = by
        self._file = -1
        self._turn = threading.Lock()

    def open(self) -> None:
        """Make the file, or open the one that is there, and keep it. Raises RecordUnusable."""
        if self._file >= 0:
            return
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise RecordUnusable(f"the ledger {self._path} cannot be written: {error.strerror}") from error

    def intend(self, entry: Entry) -> None:
        """Write that `entry` is about to be injected.

        Raises Refused when the run has been fenced, and RecordUnusable when the line can't be written, or
        would be where nobody finds it: in all cases nothing may be injected.
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
        reached("ledger.intending")
        with self._locked() as file:
            if _last_fence(_rows(file)):
                raise Refused(f"not injecting {entry.kind}: this run has been fenced and is being undone")
            if not self._findable():
                raise RecordUnusable(f"the ledger {self._path} is gone, so nobody could undo from it")
            self._append(file, line, sync=True)
        reached("ledger.intended")

    def active(self, entry_id: str) -> None:
        """Write that the fault was seen to be on. Raises RunFenced when somebody else has taken over."""
        reached("ledger.activating")
        with self._allowed() as file:
            self._append(file, {"state": ACTIVE, "id": entry_id}, sync=False)
        reached("ledger.active")

    def undone(self, entry_id: str, undoing: Undoing, how: str) -> None:
        """Write that it was undone, when, and what was still found of it. Raises RunFenced as `active`."""
        line = {
            "state": UNDONE,
            "id": entry_id,
            "ended": undoing.ended,
            "residue": list(undoing.residue),
            "how": how,
            "error": undoing.error,
        }
        reached("ledger.undoing")
        with self._allowed() as file:
            self._append(file, line, sync=True)
        reached("ledger.undone")

    def fence(self, by: str, why: str = "") -> None:
        """Draw the line after which no fault of this run is accepted, and nothing from those before `by`."""
        reached("ledger.fencing")
        with self._locked() as file:
            self._append(file, {"state": FENCED, "by": by, "why": why}, sync=True)
        reached("ledger.fenced")

    def fenced(self) -> str:
        """Return who has drawn the line after which this run may inject nothing; empty while nobody has."""
        return next((fence.by for fence in reversed(self.fences())), "")

    def fences(self) -> list[Fence]:
        """Return every fence in order; the last one's owner has the say."""
        return fences(self._path if self._file < 0 else self._file)

    def entries(self) -> list[Entry]:
        """Return every fault in the order of its intention; empty when there is no ledger."""
        return entries(self._path if self._file < 0 else self._file)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        with self._turn:
            self.open()
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield self._file
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    @contextmanager
    def _allowed(self) -> Iterator[int]:
        with self._locked() as file:
            owner = _last_fence(_rows(file))
            if owner not in ("", "runner", self._by):
                raise RunFenced(f"not writing: this run was taken over by {owner}, who undoes and records it")
            yield file

    def _findable(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file), self._path.stat())
        except OSError:
            return False

    def _append(self, file: int, line: dict[str, Any], *, sync: bool) -> None:
        stamped = {"t": self._clock.now(), "mono": self._clock.mono(), **line}
        data = (json.dumps(stamped, separators=(",", ":")) + "\n").encode()
        try:
            size = os.fstat(file).st_size
            if size and os.pread(file, 1, size - 1) != b"\n":
                # A line that was torn by a full disk or a kill must not swallow this one.
                data = b"\n" + data
            # One write call: with O_APPEND the line is there whole or, on a full disk, visibly torn.
            if os.write(file, data) != len(data):
                raise OSError(28, "no space left")
            if sync:
                os.fsync(file)
        except OSError as error:
            raise RecordUnusable(f"the ledger {self._path} cannot be written: {error.strerror}") from error


def fences(ledger: Path | int) -> list[Fence]:
    """Return every fence in the ledger at a path or descriptor, in order."""
    return [
        Fence(str(row.get("by", "?")), str(row.get("why", "")), float(row.get("t", 0.0)))
        for row in _rows(ledger)
        if row.get("state") == FENCED
    ]


def entries(ledger: Path | int) -> list[Entry]:
    """Return every fault in the ledger at a path or descriptor in order, passing over torn lines."""
    found: dict[str, Entry] = {}
    steps: dict[str, dict[str, float]] = {}
    for row in _rows(ledger):
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
                steps=steps.setdefault(row["id"], {}),
            )
        entry = found.get(row.get("id", ""))
        if entry is None or not isinstance(state, str):
            continue
        steps[entry.id].setdefault(state, moment)
        if state == ACTIVE and entry.state == INTENDED:
            found[entry.id] = entry._replace(state=ACTIVE, started=moment)
        elif state == UNDONE:
            found[entry.id] = entry._replace(
                state=UNDONE,
                ended=float(row.get("ended", moment)),
                residue=tuple(row.get("residue", ())),
                how=row.get("how", ""),
                error=row.get("error", ""),
            )
    return list(found.values())


def _last_fence(rows: Iterator[dict[str, Any]]) -> str:
    owner = ""
    for row in rows:
        if row.get("state") == FENCED:
            owner = str(row.get("by", "?"))
    return owner


def _rows(ledger: Path | int) -> Iterator[dict[str, Any]]:
    try:
        data = _contents(ledger) if isinstance(ledger, int) else ledger.read_bytes()
    except FileNotFoundError:
        return
    for line in data.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row


def _contents(descriptor: int) -> bytes:
    data = b""
    while block := os.pread(descriptor, 1 << 20, len(data)):
        data += block
    return data
