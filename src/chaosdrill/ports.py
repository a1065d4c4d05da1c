"""What the stages need from the outside, each in one to three methods.

Adapters implement these; stages ask for them as arguments; app puts the two together. Only the standard
library here: the smallest processes import it too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

JSON = Any
UndoRecord = dict[str, JSON]


class FaultSpec(NamedTuple):
    """A fault as asked for: `arguments` are the action's own, substituted; `duration` in seconds."""

    kind: str
    target: str
    duration: float
    arguments: Mapping[str, JSON] = {}


class Scope(NamedTuple):
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


class Owner(NamedTuple):
    """Who holds a target: the run, where its folder lies, who started it, and since when (epoch seconds)."""

    run: str
    folder: str
    actor: str
    pid: int
    since: float


class Lock(Protocol):
    """One run's hold on its target, for as long as the process lives that has it, or one that inherits it."""

    descriptor: int

    def release(self) -> None:
        """Give the target back: everything was undone, and proved to be. Right when called twice."""


class Locks(Protocol):
    """One run per target; they live with the target, so that every folder and user sees them."""

    def take(self, owner: Owner) -> Lock:
        """Lock the target for `owner`.

        Raises Refused, naming who has it; and, when its owner died without having given it back, Refused
        with `chaosdrill recover` as the next step: nobody has proved that nothing is left on.
        """

    def owner(self) -> tuple[Owner, bool] | None:
        """Return who has it, and whether it is stale: its owner is gone. None when it is free."""

    def adopt(self, descriptor: int) -> Lock:
        """Return the lock behind a descriptor that another process has handed over."""

    def clear(self, run: str) -> None:
        """Free the stale lock of `run`, because it was proved that nothing of it is left on."""


class Hold(NamedTuple):
    """The emergency lever, pulled: by whom, when (epoch seconds), and why."""

    by: str
    since: float
    why: str


class Lever(Protocol):
    """Where the hold of one target lies; every start honours it, and every guard looks at it."""

    def hold(self) -> Hold | None:
        """Return the hold that is on, None when there is none; one that can't be read counts as on."""

    def pull(self, hold: Hold) -> None:
        """Put the hold on. Raises RecordUnusable when it can't be."""

    def let_go(self) -> None:
        """Take the hold off; right when none is on. Raises RecordUnusable when it can't be."""


class Rollouts(Protocol):
    """Whether the target is being changed by somebody else."""

    def deploying(self) -> Sequence[str]:
        """Return the deployments in progress, in words; none is empty. Raises TargetUnreachable."""


class Strays(Protocol):
    """What the target itself knows of faults, when no run folder does."""

    def strays(self) -> Sequence[Mapping[str, JSON]]:
        """Return every fault that is on: id, kind, hit, run, seconds_left. Raises TargetUnreachable."""

    def end(self, fault_id: str) -> None:
        """End one of them. Raises FaultFailed."""


class Delivery(NamedTuple):
    """What became of one message to one address; `address` has no secret in it."""

    address: str
    delivered: bool
    error: str = ""


class Notifier(Protocol):
    """How people are told."""

    def send(self, title: str, text: str) -> Sequence[Delivery]:
        """Send a message to every address and return what became of each; never raises."""


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


class CheckAnswer(NamedTuple):
    """What a check said: bad or not, None when it can't tell, and what was seen, in words."""

    bad: bool | None
    seen: str


class Rehearsal(NamedTuple):
    """What a check makes of made-up answers: a good and a bad one, and those that tell nothing."""

    good: CheckAnswer
    bad: CheckAnswer
    blind: tuple[CheckAnswer, ...] = ()


class StopCheck(Protocol):
    """A question that the guard asks, apart from the engine and from all samples."""

    def ask(self, seconds: float) -> CheckAnswer:
        """Ask once, for at most so long. Never raises."""

    def rehearse(self) -> Rehearsal:
        """Evaluate made-up answers exactly as real ones; nothing is contacted."""

    def close(self) -> None:
        """Give back what it holds."""
