"""What the stages need from the outside, each in one to three methods.

Adapters implement these; stages ask for them as arguments; app puts the two together. Only the standard
library here: the smallest processes import it too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

JSON = Any
UndoRecord = dict[str, JSON]


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """A fault as asked for: `arguments` are the action's own, substituted; `duration` in seconds."""

    kind: str
    target: str
    duration: float
    arguments: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scope:
    """The exact things to hit (`chosen`, by id), out of how many they were chosen from."""

    chosen: tuple[str, ...]
    candidates: int

    @property
    def share(self) -> float:
        """Chosen over candidates, 0 when there are none."""
        return len(self.chosen) / self.candidates if self.candidates else 0.0


class Candidate(NamedTuple):
    """Something a fault could hit: a stable id, and what it is in words."""

    id: str
    description: str


class Clock(Protocol):
    """Time as an argument; see chaosdrill.clock."""

    def now(self) -> float: ...
    def mono(self) -> float: ...
    def wait(self, event: threading.Event, seconds: float) -> bool: ...


class Target(Protocol):
    """How to reach a system."""

    def check(self) -> None:
        """Raise TargetUnreachable, with the next step, unless the system answers now."""

    def candidates(self, spec: FaultSpec) -> Sequence[Candidate]:
        """Return what this fault could hit now, in a stable order; empty when nothing matches."""

    def environment(self) -> Mapping[str, str]:
        """Return the variables that experiment files read, such as CHAOSDRILL_SHOP_URL."""

    def series(self, service: str) -> Mapping[str, float | None]:
        """Return the gauges of one service by name ('ready': 3.0), None for one that can't be told now.

        Raises TargetUnreachable when the system does not answer.
        """


class Fault(Protocol):
    """One way to break something, with its undo."""

    def prepare(self, spec: FaultSpec, scope: Scope) -> UndoRecord:
        """Return everything that `start` and `stop` need, as JSON; reads only.

        Raises Refused for arguments that make no sense and for targets that are gone.
        """

    def start(self, record: UndoRecord) -> None:
        """Inject; the target itself ends it after the record's duration. Raises FaultFailed."""

    def stop(self, record: UndoRecord) -> None:
        """Undo; right also when never started, already stopped, or called from another process."""

    def residue(self, record: UndoRecord) -> list[str]:
        """Return what is still on, in words; empty when clean. What can't be checked counts as on."""


class Signal(Protocol):
    """A source of samples."""

    def check(self) -> None:
        """Take one reading now; raise TargetUnreachable unless it answers."""

    def start(self, sink: Callable[[Any], None]) -> None:
        """Begin to hand samples to `sink`, from threads of its own."""

    def stop(self) -> None:
        """Hand over what is in flight, then end. Right when called twice."""
