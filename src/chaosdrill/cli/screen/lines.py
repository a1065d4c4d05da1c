"""The plain view of a run: one timestamped line per event, for logs, pipes and terminals without cursor."""

from __future__ import annotations

from chaosdrill.cli.screen.layout import fill
from chaosdrill.cli.screen.limits import Limits, limit_words, live_value
from chaosdrill.cli.screen.onlooker import Onlooker
from chaosdrill.cli.screen.stream import Stream
from chaosdrill.cli.screen.words import clean, important, sentence, short_name, stamp
from chaosdrill.clock import iso
from chaosdrill.execute.runner import Snapshot
from chaosdrill.record.journal import Event

#: How often the signals get a line, in seconds.
SIGNAL_SECONDS = 10.0
#: Below so many columns a text goes under its moment instead of beside it.
NARROWEST = 20


def event_line(event: Event, origin: float, out: Stream) -> str | None:
    """Return one event as it stands in a log, wrapped for a terminal; None when it has no sentence."""
    text = sentence(event)
    if text is None:
        return None
    line = wrapped(stamp(event, origin), text, out)
    return out.paint(line, bold=True) if important(event) else line


def wrapped(when: str, text: str, out: Stream) -> str:
    """Return `text` behind its moment; in a terminal it is wrapped beside it, in a log it stays one line."""
    head = f"{when}  "
    if not out.terminal:
        return head + text
    if out.columns - len(head) < NARROWEST:
        return fill(head + text, out.columns)
    return fill(text, out.columns, head)


class Lines(Onlooker):
    """Writes a line when something happens, and the signals every ten seconds."""

    every = SIGNAL_SECONDS

    def __init__(self, out: Stream) -> None:
        super().__init__(out)
        self._limits = Limits()

    def began(self) -> None:
        """Say what runs, where it is recorded, and how to stop it."""
        self._limits = Limits.of(self.plan.block)
        name = self.folder.id
        self._say(self.origin, f"{clean(self.plan.title)} ({self.plan.environment})")
        self._say(self.origin, f"run {name}; stop it: chaosdrill abort {short_name(name)}")

    def tell(self, event: Event) -> None:
        """Write one event."""
        line = event_line(event, self.origin, self.out)
        if line is not None:
            self.out.line(line)

    def look(self, snapshot: Snapshot) -> None:
        """Write the newest value of every signal, and which of them are on the wrong side of their limit."""
        parts = []
        limits = self._limits.during(snapshot.phase)
        for reading in snapshot.readings:
            state, bound = limits.state(reading), limits.bound(reading)
            wrong = "" if state == "ok" else f" ({f'{state}: {limit_words(bound)}'.rstrip(': ')})"
            parts.append(f"{reading.signal} {live_value(reading)}{wrong}")
        if parts:
            self._say(snapshot.now, f"{snapshot.phase}: {', '.join(parts)}")

    def _say(self, moment: float, text: str) -> None:
        self.out.line(wrapped(stamp({"t": iso(moment)}, self.origin), text, self.out))
