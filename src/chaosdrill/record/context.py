"""What a fault action knows about the run that it is part of.

One process plays one run, so there is one current context; it is None under plain `chaos run`. It carries the
ledger, the cleared faults, and whether the run is being stopped. Chaos Toolkit and our actions both read it,
and neither needs to know the other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from chaosdrill.record.ledger import Ledger


class RunContext:
    """One run, seen from the process that plays it."""

    def __init__(
        self,
        run_id: str,
        ledger: Ledger,
        cleared: list[dict[str, Any]],
        emit: Callable[[dict[str, Any]], None],
    ) -> None:
        self.id = run_id
        self.ledger = ledger
        self.emit = emit
        #: What is written down, with secrets masked; whoever plays the run knows them.
        self.masked: Callable[[Any], Any] = lambda value: value
        self.stopping = threading.Event()
        self._cleared = cleared
        self._taken: set[int] = set()
        self._lock = threading.Lock()
        self._faults_on_main = 0
        self._count = 0

    def take_cleared(self, matches: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
        """Return the cleared fault that `matches`, or None when nobody cleared it.

        Two equal actions are handed out one after the other; a repeated one gets the same again.
        """
        with self._lock:
            same = [i for i, cleared in enumerate(self._cleared) if matches(cleared)]
            if not same:
                return None
            fresh = next((i for i in same if i not in self._taken), same[-1])
            self._taken.add(fresh)
            return self._cleared[fresh]

    def next_fault_id(self) -> str:
        """Return a name for the next fault, unique in this run: 'f1', 'f2', ..."""
        with self._lock:
            self._count += 1
            return f"f{self._count}"

    @contextmanager
    def injecting(self) -> Iterator[None]:
        """Mark the main thread as being inside a fault action, which ends itself when the run is stopped."""
        on_main = threading.current_thread() is threading.main_thread()
        self._faults_on_main += on_main
        try:
            yield
        finally:
            self._faults_on_main -= on_main

    @property
    def main_thread_undoes_itself(self) -> bool:
        """Whether breaking into the main thread now would break into an undo."""
        return self._faults_on_main > 0


_current: RunContext | None = None


def enter(context: RunContext) -> None:
    """Make `context` the run that this process plays."""
    global _current  # noqa: PLW0603 - one process plays one run; this is that one
    _current = context


def current() -> RunContext | None:
    """Return the run that this process plays, or None outside one."""
    return _current
