"""Waiting for the team to say that it is ready: `chaosdrill ready RUN --as NAME`.

Silence is no answer: what expires refuses. It knows the run's inbox and record, and nothing of who was told.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chaosdrill.clock import iso
from chaosdrill.model.checklist import Check
from chaosdrill.model.policy import Notified
from chaosdrill.ports import Clock
from chaosdrill.record.folder import INBOX, RunFolder
from chaosdrill.record.journal import Event, Inbox, Journal
from chaosdrill.units import format_duration

#: How often the inbox and `stop` are looked at, in seconds.
TURN = 0.1


@dataclass(frozen=True, slots=True)
class Waiting:
    """Whose answer is waited for (anybody's when `names` is empty), and for how many seconds."""

    names: tuple[str, ...]
    seconds: float

    @property
    def whom(self) -> str:
        """Who may answer, in words."""
        return " or ".join(self.names) if self.names else "anybody"

    def knows(self, name: str) -> bool:
        """Return whether the answer of this person counts; upper and lower case are the same."""
        return not self.names or name.casefold() in {known.casefold() for known in self.names}


def asked(notified: Notified, *, announced: bool) -> Waiting:
    """Return who has to answer: the responders, or the guardians alone when the drill is unannounced."""
    return Waiting(notified.responders if announced else notified.guardians, notified.answer_within)


def wait(
    waiting: Waiting, folder: RunFolder, journal: Journal, clock: Clock, stop: Callable[[], str]
) -> Check:
    """Wait until somebody who may say so is ready; `failed` when nobody is in time, or somebody is not.

    While it waits, `waiting` in run.json says for whom and until when, and the journal has `ready.asked` with
    the command to type, then `ready.answered` or `ready.expired`. `stop` is asked ten times a second and
    returns why the wait is over ('' to go on); `abort` in the inbox ends it too. Raises RecordUnusable.
    """
    began, deadline = clock.now(), clock.mono() + waiting.seconds
    # Of the run's id its last part is enough.
    command = f"chaosdrill ready {folder.id.rsplit('-', 1)[-1]} --as {_someone(waiting)}"
    until = iso(began + waiting.seconds)
    folder.update_facts(waiting={"names": list(waiting.names), "until": until, "command": command})
    journal.write(
        "ready.asked", names=list(waiting.names), until=until, seconds=waiting.seconds, command=command
    )
    try:
        check = _answer(waiting, _entries(folder, clock, deadline), stop, began)
        if check is None:
            journal.write("ready.expired", names=list(waiting.names), seconds=waiting.seconds)
            check = Check(
                "ready",
                False,
                f"{waiting.whom} did not answer within {format_duration(waiting.seconds)}",
                at=began,
                next_step=f"start again when they can type: chaosdrill ready RUN --as {_someone(waiting)}",
            )
        else:
            journal.write("ready.answered", ready=check.ok, said=check.said, **check.facts)
    finally:
        folder.update_facts(waiting=None)
    took = clock.now() - began
    return Check("ready", check.ok, check.said, began, round(took, 3), check.next_step, check.facts)


def _entries(folder: RunFolder, clock: Clock, deadline: float) -> Iterator[list[Event]]:
    """Yield what is handed in, turn by turn, until the deadline; at least once."""
    inbox, never = Inbox(folder.file(INBOX)), threading.Event()
    while True:
        yield inbox.take()
        left = deadline - clock.mono()
        if left <= 0:
            return
        clock.wait(never, min(TURN, left))


def _answer(
    waiting: Waiting, turns: Iterator[list[Event]], stop: Callable[[], str], began: float
) -> Check | None:
    """Return the first answer that counts, None when there was none in time."""
    for entries in turns:
        for entry in entries:
            by, words = str(entry.get("by", "")), str(entry.get("words", ""))
            facts = {"by": by, "words": words, "actor": str(entry.get("actor", ""))}
            quoted = f": {words}" if words else ""
            if entry["event"] == "abort":
                said = f"stopped by {by or 'somebody'}: {entry.get('reason') or 'chaosdrill abort'}"
                return Check("ready", False, said, at=began, facts=facts)
            if entry["event"] != "ready" or not waiting.knows(by):
                continue
            if entry.get("ready") is True:
                return Check("ready", True, f"{by} is ready{quoted}", at=began, facts=facts)
            said = f"{by} is not ready{quoted}"
            return Check("ready", False, said, at=began, next_step="start again when they are", facts=facts)
        why = stop()
        if why:
            return Check("ready", False, why, at=began)
    return None


def _someone(waiting: Waiting) -> str:
    return shlex.quote(waiting.names[0]) if waiting.names else "NAME"
