"""The four items during and the four after a run: what its record proves, and what people say about it.

Answers are appended to `answers.jsonl` in the run folder, also when it is sealed long since; they are no part
of what was sealed, and nothing that was said is ever changed: a later answer to an item stands beside it. A
run is *open* until every item is proved, answered, or needed from nobody.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from chaosdrill import redact
from chaosdrill.clock import from_iso
from chaosdrill.errors import RecordUnusable
from chaosdrill.model.checklist import AFTER, DURING, ITEMS, Answer, Finding, Item
from chaosdrill.model.policy import SANDBOX
from chaosdrill.record import journal
from chaosdrill.record.folder import JOURNAL, SAMPLES, RunFolder

ANSWERS = "answers.jsonl"
#: The items that are decided here, in the order in which they are asked.
ASKED = (*DURING, *AFTER)
#: What an answer must carry besides its words.
NEEDS: Mapping[str, str] = {"findings": "owner", "learnings-shared": "link"}
_FIELDS = Answer._fields


def add(folder: RunFolder, answer: Answer) -> None:
    """Append an answer, secrets masked, synced before this returns. Raises RecordUnusable."""
    line = json.dumps(redact.known.tree(answer._asdict()), ensure_ascii=False) + "\n"
    path = folder.file(ANSWERS)
    try:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            os.write(file, line.encode())
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise RecordUnusable(f"the answer can't be kept: {path}: {error.strerror}") from error


def read(folder: RunFolder) -> list[Answer]:
    """Return every answer that was given, in order; none when nobody has answered.

    A line that is no answer, or one to an item that is not asked here, is passed over.
    """
    try:
        lines = folder.file(ANSWERS).read_text("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RecordUnusable(f"{folder.file(ANSWERS)} can't be read: {error.strerror}") from error
    return [answer for line in lines if (answer := _parsed(line)) is not None]


def findings(folder: RunFolder) -> list[Finding]:
    """Return how the four items during and the four after the run stand now; none for a run without them.

    Nothing is asked about a run that is going on, that was refused, or that nobody has judged yet. Raises
    RecordUnusable.
    """
    review = _Review(folder)
    return [review.finding(item) for item in ASKED] if review.applies else []


def open_items(folder: RunFolder) -> list[Finding]:
    """Return those that still want an answer; none: the run is closed. Raises RecordUnusable."""
    return [finding for finding in findings(folder) if finding.stops]


def is_open(folder: RunFolder) -> bool:
    """Return whether any item still wants an answer, at the least cost. Raises RecordUnusable."""
    review = _Review(folder)
    if not review.applies:
        return False
    # What people answer, last on the list, is asked first: the other items want a look at the samples.
    wanted = [item for item in reversed(ASKED) if item.key not in review.waived]
    return any(review.finding(item).stops for item in wanted)


@dataclass(frozen=True)
class _Review:
    """One run, read as far as a question needs it."""

    folder: RunFolder

    @cached_property
    def facts(self) -> dict[str, Any]:
        return self.folder.facts()

    @cached_property
    def events(self) -> list[journal.Event]:
        return journal.read(self.folder.file(JOURNAL))

    @cached_property
    def answers(self) -> list[Answer]:
        return read(self.folder)

    @property
    def applies(self) -> bool:
        return self.facts.get("state") == "sealed" and self.verdict("execution") != "refused"

    def verdict(self, line: str) -> str:
        found = (self.facts.get("verdict") or {}).get(line)
        return str(found.get("state", "")) if isinstance(found, dict) else ""

    @cached_property
    def waived(self) -> Mapping[str, str]:
        told = self.facts.get("waived")
        if isinstance(told, dict):
            return told
        # A record from before there were policies; only the sandbox could be acted on.
        return SANDBOX.waived if self.facts.get("environment") == "sandbox" else {}

    def finding(self, item: Item) -> Finding:
        """Return how one item stands: proved, else answered, else needed from nobody, else waiting."""
        judge = _PROOFS.get(item.key)
        proved, said = judge(self) if judge else (False, "nobody has answered it yet")
        mine = [answer for answer in self.answers if answer.item == item.key]
        words = "; ".join(_words(answer) for answer in mine)
        if proved:
            return Finding(item.key, "proved", f"{said}; {words}" if words else said)
        if mine:
            return Finding(item.key, "attested", words, by=mine[-1].by, at=mine[-1].at)
        if item.key in self.waived:
            return Finding(item.key, "not needed", self.waived[item.key])
        return Finding(item.key, "pending", said, command(self.folder.id, item.key))


def told_at_start(facts: Mapping[str, Any]) -> bool:
    """Return whether any message was delivered before the run, by the findings in run.json."""
    found = (facts.get("clearance") or {}).get("findings") or ()
    checks = [c for f in found if f.get("item") == "team-notified" for c in f.get("checks") or ()]
    return any(check.get("ok") and check.get("name") != "ready" for check in checks)


def command(run: str, item: str) -> str:
    """Return what to type to answer an item; of the run's id its last part is enough."""
    needs = f" --{NEEDS[item]} {NEEDS[item].upper()}" if item in NEEDS else ""
    return f"chaosdrill answer {run.rsplit('-', 1)[-1]} {item} TEXT --by NAME{needs}"


# ---- what the record proves: each returns whether, and in which words


def _monitored(review: _Review) -> tuple[bool, str]:
    span = _fault_span(review.events)
    if span is None:
        return False, "nothing was played, so there was nothing to watch"
    count = _samples_between(review.folder, *span)
    if not count:
        return False, "no sample was taken during the fault"
    return True, f"{count:,} samples were taken during the fault"


def _ready_to_abort(review: _Review) -> tuple[bool, str]:
    proved = _first(review.events, "guard.proved")
    armed = _first(review.events, "watchdog.armed")
    conditions = int((proved or {}).get("conditions") or 0)
    if armed is None:
        return False, "the record does not say that a watchdog was armed"
    if not conditions:
        return False, "no guard has proved that it would see a breach: the file has no stop condition"
    number = f"{conditions} stop condition{'' if conditions == 1 else 's'}"
    return True, f"the guard has proved {number} before the fault, and the watchdog was armed"


def _status_communicated(review: _Review) -> tuple[bool, str]:
    after = [e for e in review.events if e["event"] == "people.told" and e.get("moment") == "end"]
    if not told_at_start(review.facts):
        return False, "no message was sent at the start"
    if not after or after[-1].get("failed"):
        return False, "people were told at the start, but not all of them at the end"
    return (
        True,
        f"people were told at the start and at the end: {', '.join(after[-1].get('delivered') or ())}",
    )


def _hypothesis_answered(review: _Review) -> tuple[bool, str]:
    state = review.verdict("hypothesis")
    if state in ("held", "deviated"):
        return True, f"the hypothesis {state}"
    return False, f"the run left it open: the hypothesis is {state or 'not judged'}"


_PROOFS: Mapping[str, Callable[[_Review], tuple[bool, str]]] = {
    "monitored": _monitored,
    "ready-to-abort": _ready_to_abort,
    "status-communicated": _status_communicated,
    "hypothesis-answered": _hypothesis_answered,
}


def _fault_span(events: list[journal.Event]) -> tuple[float, float] | None:
    """Return from when to when the phase of the fault lasted, in epoch seconds."""
    phases = [event for event in events if event["event"] == "phase.started"]
    for this, after in pairwise(phases):
        if this.get("phase") == "fault":
            try:
                return from_iso(str(this.get("t"))), from_iso(str(after.get("t")))
            except ValueError:
                return None
    return None


def _samples_between(folder: RunFolder, start: float, end: float) -> int:
    """Return how many samples were due between two moments (epoch seconds)."""
    # Moments are written in one width: lines compare as they stand, at a fifth of the cost of numbers.
    first, last = f"{start:.5f}".encode(), f"{end:.5f}~".encode()
    try:
        with folder.file(SAMPLES).open("rb") as file:
            return sum(first <= line <= last for line in file)
    except OSError:
        return 0


def _first(events: list[journal.Event], name: str) -> journal.Event | None:
    return next((event for event in events if event["event"] == name), None)


# ---- what people say


def _words(answer: Answer) -> str:
    owner = f" (owner: {answer.owner})" if answer.owner else ""
    link = f" <{answer.link}>" if answer.link else ""
    return f"{answer.words}{owner}{link}"


def _parsed(line: str) -> Answer | None:
    """Return the answer in a line, None when it is none: torn, of another kind, or without what it needs."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict) or row.get("kind") != "attested":
        return None
    told = {key: row[key] for key in _FIELDS if isinstance(row.get(key), str)}
    if told.get("item") not in ITEMS or not told.get("words") or not told.get("by"):
        return None
    need = NEEDS.get(told["item"])
    if need and not told.get(need):
        return None
    return Answer(**told)
