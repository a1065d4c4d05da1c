"""What a run is made of, and what is told of it while it goes on; all data, no decisions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from chaosdrill.execute.sampling import Reading, Sampling
from chaosdrill.execute.unwind import OpenFault, Tell
from chaosdrill.model.checklist import Clearance
from chaosdrill.ports import Clock, Lever, StopCheck
from chaosdrill.record.folder import RunFolder
from chaosdrill.record.journal import Journal
from chaosdrill.record.ledger import Ledger


class EngineHandle(Protocol):
    """The engine as the runner sees it: already prepared."""

    gone: threading.Event

    @property
    def pid(self) -> int: ...
    @property
    def code(self) -> int | None: ...
    def listen(self, listener: Callable[[dict[str, Any]], None]) -> None: ...
    def play(self, folder: str, cleared: Sequence[Mapping[str, Any]]) -> None: ...
    def abort(self) -> None: ...
    def end(self, grace: float = 2.0) -> None: ...


class Lifeline(Protocol):
    """The runner's line to the watchdog, which takes over when the line goes quiet."""

    @property
    def alive(self) -> bool:
        """Whether somebody is there to take over."""

    def beat(self, patience: float = ...) -> None:
        """Say that this process lives and decides; the next beat may take `patience` seconds.

        Raises RunFenced when it was taken for dead meanwhile.
        """


class Parts(NamedTuple):
    """Everything concrete that a run is made of; without a clearance there is no run."""

    clock: Clock
    folder: RunFolder
    journal: Journal
    ledger: Ledger
    engine: EngineHandle
    lifeline: Lifeline
    lever: Lever
    open_fault: OpenFault
    clearance: Clearance
    sampling: Sampling | None = None
    checks: Sequence[StopCheck] = ()
    #: Plays the rollbacks that a dead engine has left unplayed; returns what is residue, in words.
    replay: Callable[[Tell, Callable[[], None]], Sequence[str]] | None = None


class ActiveFault(NamedTuple):
    """A fault that is on: when it ends by itself, in epoch seconds."""

    id: str
    kind: str
    hit: tuple[str, ...]
    ends: float


class Snapshot(NamedTuple):
    """What is going on this moment, for people who watch. Moments are epoch seconds."""

    now: float
    phase: str
    phase_started: float
    phase_seconds: float | None
    doing: str
    faults: tuple[ActiveFault, ...] = ()
    readings: tuple[Reading, ...] = ()
    aborting: str = ""


class Ending(NamedTuple):
    """What is left of a run: what is still on, in words, and why its record is incomplete, if it is."""

    residue: tuple[str, ...] = ()
    record_failure: str = ""


@dataclass
class Progress:
    """Where a run is: its phase, what is on, and whether it is being stopped (by whom, and why)."""

    phase: str = "starting"
    phase_started: float = 0.0
    phase_seconds: float | None = None
    doing: str = ""
    active: dict[str, ActiveFault] = field(default_factory=dict)
    undone: int = 0
    abort: tuple[str, str] | None = None
    ended: dict[str, Any] | None = None
