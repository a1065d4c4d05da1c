"""Events in words: nothing important is silent, nothing hostile reaches a terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import chaosdrill
from chaosdrill.cli.screen.words import clean, important, names, offset, sentence, stamp

#: What nobody who watches needs to read: another event says it, or it is bookkeeping.
SILENT = {
    "engine.started",
    "fault.intended",
    "hypothesis.started",
    "method.started",
    "method.ended",
    "rollbacks.started",
    "rollbacks.ended",
    "run.sealed",
    "run.stopping",
    "watchdog.armed",
    "rollbacks.replayed",
}
FACTS = {
    "id": "f1",
    "kind": "instance_failure",
    "target": "payment-api",
    "hit": ["payment-api-2"],
    "chosen": ["payment-api-2"],
    "candidates": 3,
    "duration": 30.0,
    "name": "fail-one",
    "type": "action",
    "section": "method",
    "status": "failed",
    "error": "no such thing",
    "moment": "before",
    "met": True,
    "phase": "baseline",
    "seconds": 10.0,
    "rule": "pay.availability below 95 % for 5 s",
    "value": "91.2 %",
    "by": "guard",
    "count": 1,
    "residue": [],
    "how": "time limit",
    "sources": ["pay"],
    "samples": 3500,
    "text": "a note",
    "word": "held",
    "why": "4 of 4 criteria held",
    "title": "Off-peak hours",
    "state": "failed",
    "conditions": 1,
}


_ROOMS = ("execute", "ctk", "pipeline", "preflight")


def _written() -> set[str]:
    """Return every event that our code writes into a journal, found in the source itself."""
    calls = r"(?:\.write\(|\"event\": |_?tell\((?:\w+, )?)\s*\"([a-z]+\.[a-z]+|note)\""
    sources = Path(chaosdrill.__file__).parent
    texts = [
        path.read_text() for room in ("execute", "ctk", "pipeline") for path in sources.glob(f"{room}/*.py")
    ]
    texts.append((sources / "actions.py").read_text())
    return {event for text in texts for event in re.findall(calls, text)}


def test_every_event_that_is_written_is_told_or_left_out_on_purpose() -> None:
    written = _written()
    assert {"fault.active", "abort.requested", "unwind.ended"} <= written
    untold = {event for event in written if sentence({"event": event, **FACTS}) is None}
    assert untold - {"engine.gone", "engine.ended"} <= SILENT


@pytest.mark.parametrize("event", sorted(_written()))
def test_an_event_without_its_facts_is_still_readable(event: str) -> None:
    told = sentence({"event": event})
    assert told is None or told.strip()


def test_an_unknown_event_is_left_out() -> None:
    assert sentence({"event": "moon.rises"}) is None


def test_a_fault_says_what_it_hits_and_for_how_long() -> None:
    assert (
        sentence({"event": "fault.active", **FACTS}) == "FAULT ON: instance failure on payment-api-2 for 30 s"
    )


def test_what_is_still_on_is_said_aloud() -> None:
    event = {"event": "fault.undone", **FACTS, "residue": ["payment-api-2 is held down"], "error": ""}
    assert (
        sentence(event)
        == "STILL ON after its undo: instance failure on payment-api-2: payment-api-2 is held down"
    )
    assert important(event)


def test_nothing_from_a_file_can_steer_the_terminal() -> None:
    hostile = "a\x1b[2Jb\r\nc\x9b31md\x07\u202e"
    told = sentence({"event": "note", "text": hostile})
    assert told is not None
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202e]", told)
    assert clean(hostile) == "a[2Jb c31md"


def test_long_lists_are_cut_with_their_number() -> None:
    assert names(["a"]) == "a"
    assert names(["a", "b"]) == "a and b"
    assert names(list("abcdefgh")) == "a, b, c and 5 more"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0, "T+00:00"), (-0.4, "T+00:00"), (-1.2, "T-00:01"), (83.9, "T+01:23"), (3723.0, "T+1:02:03")],
)
def test_moments_are_counted_from_the_start(seconds: float, said: str) -> None:
    assert offset(seconds) == said


def test_a_moment_is_utc_and_since_the_start() -> None:
    origin = 1_795_255_331.0  # 2026-11-21T10:02:11Z
    assert stamp({"t": "2026-11-21T10:02:31.500Z"}, origin) == "10:02:31Z T+00:20"
    assert stamp({"t": "nonsense"}, origin) == "??:??:??Z T+??:??"
