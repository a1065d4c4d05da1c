"""The plain view of a run: one timestamped line per event, for logs, pipes and terminals without cursor."""

from __future__ import annotations

import textwrap

from chaosdrill.cli.screen.limits import Limits, limit_words, live_value
from chaosdrill.cli.screen.onlooker import Onlooker
from chaosdrill.cli.screen.stream import Stream
from chaosdrill.cli.screen.words import clean, important, offset, sentence, short_name, stamp
from chaosdrill.clock import iso
from chaosdrill.execute.runner import Snapshot
from chaosdrill.record.journal import Event

#: How often the signals get a line, in seconds.
SIGNAL_SECONDS = 10.0
#: '10:02:31Z T+00:20  '
INDENT = 20


def event_line(event: Event, origin: float, out: Stream) -> str | None:
    """Return one event as it stands in a log, wrapped for a terminal; None when it has no sentence."""
    text = sentence(event)
    if text is None:
        return None
    line = wrapped(f"{stamp(event, origin):<17}  ", text, out)
    return out.paint(line, bold=True) if important(event) else line


def wrapped(head: str, text: str, out: Stream) -> str:
    """Return `text` behind `head`; in a terminal it is wrapped beside it, in a log it stays one line."""
    if not out.terminal:
        return head + text
    room = out.columns - len(head)
    if room < 20:
        return textwrap.fill(head.strip() + " " + text, out.columns, subsequent_indent="  ")
    return textwrap.fill(text, out.columns, initial_indent=head, subsequent_indent=" " * len(head))


class Lines(Onlooker):
    """Writes a line when something happens, and the signals every ten seconds."""

    every = SIGNAL_SECONDS

    def __init__(self, out: Stream) -> None:
        super().__init__(out)
        self._limits = Limits()

    def began(self) -> None:
        """Say what runs, where it is recorded, and how to stop it."""
        self._limits = Limits.of(self.plan.block)
        at = {"t": iso(self.origin)}
        for text in (
            f"{clean(self.plan.title)} ({self.plan.environment})",
            f"run {self.folder.id}; stop it: chaosdrill abort {short_name(self.folder.id)}",
        ):
            self.out.line(wrapped(f"{stamp(at, self.origin):<17}  ", text, self.out))

    def tell(self, event: Event) -> None:
        """Write one event."""
        line = event_line(event, self.origin, self.out)
        if line is not None:
            self.out.line(line)

    def look(self, snapshot: Snapshot) -> None:
        """Write the newest value of every signal, and which of them are on the wrong side of their limit."""
        parts = []
        for reading in snapshot.readings:
            state, bound = self._limits.state(reading), self._limits.bound(reading)
            wrong = "" if state == "ok" else f" ({f'{state}: {limit_words(bound)}'.rstrip(': ')})"
            parts.append(f"{reading.signal} {live_value(reading)}{wrong}")
        if parts:
            head = f"{iso(snapshot.now)[11:19]}Z {offset(snapshot.now - self.origin):<8}  "
            self.out.line(wrapped(head, f"{snapshot.phase}: {', '.join(parts)}", self.out))
