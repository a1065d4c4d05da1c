"""Somebody who watches a run from a thread of their own.

The run's thread only hands events over and never waits: a terminal that was paused with Ctrl-S, or a pager
that nobody scrolls, would otherwise hold up the guard and the undoing.
"""

from __future__ import annotations

import queue
import threading
from typing import Protocol

from chaosdrill.cli.screen.stream import Stream, stderr
from chaosdrill.cli.screen.words import sentence
from chaosdrill.clock import SystemClock, from_iso
from chaosdrill.execute.runner import Snapshot
from chaosdrill.pipeline import Plan
from chaosdrill.record.folder import RunFolder
from chaosdrill.record.journal import Event

#: How long the end of a run waits, in seconds, for a place that takes no more text.
PATIENCE = 2.0


class Watched(Protocol):
    """A run that can be asked what is going on; the runner is one."""

    def snapshot(self) -> Snapshot: ...


class Silence:
    """The watcher of a run that nobody watches; only that somebody is waited for is said, on stderr."""

    def planned(self, plan: Plan) -> None:
        """Say nothing."""

    def opened(self, folder: RunFolder, runner: Watched) -> None:
        """Say nothing."""

    def heard(self, event: Event) -> None:
        """Say whom the run waits for: for a quarter of an hour nothing else would."""
        if event.get("event") == "ready.asked":
            stderr().line(f"chaosdrill: {sentence(event)}")

    def closed(self) -> None:
        """Say nothing."""


class Onlooker:
    """What every watcher does alike: takes events over, and shows them and the run from its own thread.

    A subclass says how: `began`, `tell`, `look` (every `every` seconds) and `ended`, all in that thread.
    """

    every: float

    def __init__(self, out: Stream) -> None:
        self.out = out
        self.plan: Plan
        self.folder: RunFolder
        self.run: Watched
        self.origin = 0.0
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    # ---- what the run calls, in its own thread

    def planned(self, plan: Plan) -> None:
        """Take note of what is going to be done."""
        self.plan = plan

    def opened(self, folder: RunFolder, runner: Watched) -> None:
        """Begin to show."""
        self.folder, self.run = folder, runner
        self.origin = from_iso(folder.facts()["started"])
        self._thread = threading.Thread(target=self._show, name="onlooker", daemon=True)
        self._thread.start()

    def heard(self, event: Event) -> None:
        """Take one event over; it is shown as soon as the place to show it is free.

        Before the run is opened there is no view yet, and only that somebody is waited for is said at once.
        """
        if self._thread is not None:
            self._events.put(event)
        elif str(event.get("event")).startswith("ready."):
            self.out.line(str(sentence(event)))

    def closed(self) -> None:
        """Show what is left and end; a place that takes no text any more is not waited for."""
        self._events.put(None)
        if self._thread is not None:
            self._thread.join(PATIENCE)

    @property
    def finished(self) -> bool:
        """Whether everything has been shown, or given up."""
        return self._thread is None or not self._thread.is_alive()

    # ---- what a subclass shows

    def began(self) -> None:
        """Show that the run has begun."""

    def tell(self, event: Event) -> None:
        """Show one event."""

    def look(self, snapshot: Snapshot) -> None:
        """Show what is going on now."""

    def ended(self) -> None:
        """Leave the place as it was found."""

    def _show(self) -> None:
        broken = ""
        try:
            self.began()
            self._take_turns()
        except Exception as bug:  # noqa: BLE001 - a mistake in the view is no reason to frighten whoever watches
            broken = f"the view broke ({type(bug).__name__}: {bug}); the run goes on"
        finally:
            self.ended()
        if broken:
            self.out.line(broken)

    def _take_turns(self) -> None:
        clock = SystemClock()
        due = clock.mono() + self.every
        while True:
            try:
                event = self._events.get(timeout=max(0.0, due - clock.mono()))
            except queue.Empty:
                self.look(self.run.snapshot())
                # Turns that a blocked terminal has cost are not made up for.
                due = max(due + self.every, clock.mono())
                continue
            if event is None:
                return
            self.tell(event)
