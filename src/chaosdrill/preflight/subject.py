"""What the items of the checklist look at: one run as it is planned, and ways to ask what is around it.

The pipeline fills it; items read it. It holds no answers of its own, and nothing in it changes anything,
apart from the two that say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from chaosdrill.model.checklist import Answer, Binding, Check
from chaosdrill.model.policy import Rules
from chaosdrill.ports import Clock, Notifier, Signal
from chaosdrill.record.folder import RunFolder
from chaosdrill.record.journal import Journal

if TYPE_CHECKING:
    # Typed only: a plain Chaos Toolkit file never waits for pydantic before it is played.
    from chaosdrill.model.experiment import ChaosdrillBlock
    from chaosdrill.model.run import PlannedFault

#: How long a run of a file is taken to last that does not say it, in seconds.
UNKNOWN_LENGTH = 60.0


class Outline(NamedTuple):
    """What stands in the Chaos Toolkit part of the file: its hypothesis, and actions that are not ours."""

    title: str = ""
    probes: int = 0
    foreign: tuple[str, ...] = ()
    rollbacks: int = 0


class Asked(NamedTuple):
    """Who asked for the run, of which file and with which options, and which items to go past, and why."""

    actor: str
    source: Path
    home: Path
    approvals: Path
    options: Mapping[str, Any] = {}
    overrides: Mapping[str, str] = {}
    config: Path | None = None
    account: str = ""


class Team(NamedTuple):
    """How people are told and waited for. `record` is None where nothing may be sent, and nobody waits.

    `stop` returns why waiting is over, '' to go on; it is asked ten times a second.
    """

    notifier: Callable[[Sequence[str]], Notifier]
    record: tuple[RunFolder, Journal] | None = None
    stop: Callable[[], str] = lambda: ""
    sends: bool = True


class Surroundings(NamedTuple):
    """How the system to act on is asked. `touched` is False for a file that names no system of ours."""

    clock: Clock
    touched: bool
    prepare: Callable[[PlannedFault], object]
    signals: Callable[[], Mapping[str, Signal]]
    strays: Callable[[], Sequence[Mapping[str, Any]]]
    deploying: Callable[[], Sequence[str]]
    firing: Callable[[str], Check]


class Subject(NamedTuple):
    """One planned run, and what is around it."""

    title: str
    rules: Rules
    asked: Asked
    block: ChaosdrillBlock | None
    outline: Outline
    planned: tuple[PlannedFault, ...]
    answers: Mapping[str, Answer]
    bind: Callable[[str], Binding]
    around: Surroundings
    team: Team

    @property
    def seconds(self) -> float:
        """How long the run will take: its phases, its faults one after the other, its longest deadline."""
        if self.block is None:
            return sum((fault.duration for fault in self.planned), 0.0) or UNKNOWN_LENGTH
        deadlines = (c.within or 0.0 for c in self.block.criteria if c.after == "fault-end")
        after = max(self.block.phases.recovery, *deadlines, 0.0)
        whole = self.block.phases.baseline + sum(fault.duration for fault in self.planned) + after
        return min(whole, self.block.time_limit)

    @property
    def policy(self) -> str:
        """Whose rules these are, in words: 'the policy of staging'."""
        if not self.rules.source and not self.rules.strict:
            return "the sandbox's built-in policy"
        return f"the policy of {self.rules.environment}"
