"""Everything that is on gets undone, whatever fails on the way."""

from __future__ import annotations

from pathlib import Path

from chaosdrill.clock import ManualClock
from chaosdrill.errors import FaultFailed, RecordUnusable, Refused
from chaosdrill.execute.unwind import unwind
from chaosdrill.ports import FaultSpec, Scope, UndoRecord
from chaosdrill.record import journal
from chaosdrill.record.ledger import Entry, Ledger, Undoing


class Switch:
    """A fault on a light: it is on, or it is off."""

    def __init__(self, lights: dict[str, bool], *, broken: str = "") -> None:
        self._lights = lights
        self._broken = broken

    def prepare(self, spec: FaultSpec, scope: Scope) -> UndoRecord:
        del scope
        return {"light": spec.target}

    def start(self, record: UndoRecord) -> None:
        self._lights[record["light"]] = True

    def stop(self, record: UndoRecord) -> None:
        if self._broken == record["light"]:
            raise FaultFailed("the switch fell off")
        self._lights[record["light"]] = False

    def residue(self, record: UndoRecord) -> list[str]:
        return [f"{record['light']} is on"] if self._lights.get(record["light"]) else []


def _world(tmp_path: Path) -> tuple[Ledger, journal.Journal, dict[str, bool]]:
    clock = ManualClock()
    book = Ledger(tmp_path / "ledger.jsonl", clock)
    for name in ("hall", "cellar", "attic"):
        book.intend(Entry(name, "light", "house", name, "", (name,), 5.0, {"light": name}))
        book.active(name)
    return (
        book,
        journal.Journal(tmp_path / "journal.jsonl", clock),
        dict.fromkeys(("hall", "cellar", "attic"), True),
    )


def test_the_newest_fault_is_undone_first(tmp_path: Path) -> None:
    book, events, lights = _world(tmp_path)
    assert unwind(book, events.write, lambda *_: Switch(lights), ManualClock()) == []
    events.close()
    undone = [e["id"] for e in journal.read(tmp_path / "journal.jsonl") if e["event"] == "fault.undone"]
    assert undone == ["attic", "cellar", "hall"]
    assert not any(lights.values())


def test_an_undo_that_fails_is_residue_and_stops_nothing(tmp_path: Path) -> None:
    book, events, lights = _world(tmp_path)
    residue = unwind(book, events.write, lambda *_: Switch(lights, broken="attic"), ManualClock())
    events.close()
    assert residue == ["light on attic: the undo failed: the switch fell off"]
    assert lights == {"hall": False, "cellar": False, "attic": True}
    assert [e.open for e in book.entries()] == [False, False, True]


def test_an_adapter_that_is_missing_is_residue(tmp_path: Path) -> None:
    book, events, _ = _world(tmp_path)

    def nothing(kind: str, system: str) -> Switch:
        raise Refused(f"there is no {system}/{kind}")

    assert len(unwind(book, events.write, nothing, ManualClock())) == 3
    events.close()


def test_unwinding_twice_undoes_nothing_twice(tmp_path: Path) -> None:
    book, events, lights = _world(tmp_path)
    unwind(book, events.write, lambda *_: Switch(lights), ManualClock())
    lights["hall"] = True  # Somebody else's doing: not ours to switch off.
    assert unwind(book, events.write, lambda *_: Switch(lights), ManualClock()) == []
    events.close()
    assert lights["hall"]


class FullLedger(Ledger):
    """A ledger on a disk that takes no more: it can be read, and not written."""

    def fence(self, by: str) -> None:
        raise RecordUnusable(f"no space left to fence for {by}")

    def undone(self, entry_id: str, undoing: Undoing, how: str) -> None:
        raise RecordUnusable(f"no space left for {entry_id}, {undoing}, {how}")


def test_a_ledger_that_takes_no_more_keeps_nothing_from_being_undone(tmp_path: Path) -> None:
    _, events, lights = _world(tmp_path)
    full = FullLedger(tmp_path / "ledger.jsonl", ManualClock())
    assert unwind(full, events.write, lambda *_: Switch(lights), ManualClock()) == []
    events.close()
    assert not any(lights.values())
    said = [e["text"] for e in journal.read(tmp_path / "journal.jsonl") if e["event"] == "note"]
    assert len(said) == 4
