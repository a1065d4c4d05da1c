"""What the flow is made of: what was asked for, where concrete parts come from, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from chaosdrill.execute.runner import EngineHandle, Lifeline, Runner
from chaosdrill.model.checklist import Answer, Binding, Check
from chaosdrill.model.policy import Rules
from chaosdrill.plan.experiment import ExperimentFile
from chaosdrill.ports import Clock, Fault, Lever, Locks, Notifier, Rollouts, Signal, StopCheck, Strays, Target
from chaosdrill.record.folder import RunFolder
from chaosdrill.record.journal import Event

if TYPE_CHECKING:
    # Typed only: a plain Chaos Toolkit file never waits for pydantic before it is played.
    from chaosdrill.execute.replay import RollbackEngine
    from chaosdrill.model.experiment import ChaosdrillBlock
    from chaosdrill.model.run import PlannedFault, Verdict


class PreparingEngine(EngineHandle, Protocol):
    """An engine that can still be asked to load a file."""

    def prepare(self, request: Mapping[str, Any]) -> Mapping[str, Any]: ...
    def fingerprint(self, salt: str) -> Mapping[str, str]: ...


class ArmedLifeline(Lifeline, Protocol):
    """The runner's line to its watchdog, before and while it is armed."""

    @property
    def pid(self) -> int: ...
    def arm(self, orders: Mapping[str, Any], descriptors: Sequence[int]) -> None: ...
    def armed(self) -> None: ...
    def rest(self) -> None: ...
    def done(self) -> None: ...


class Request(NamedTuple):
    """What a person asked for: a file, and how to play it.

    `config` is the policy to use instead of the one beside the experiment; `overrides` are items of the
    checklist to go past, each with a reason; `account` is the machine's name for whoever asks.
    """

    source: Path
    home: Path
    actor: str
    environment: str | None = None
    config: Path | None = None
    options: Mapping[str, Any] = {}
    overrides: Mapping[str, str] = {}
    formats: Sequence[str] = ("html", "md", "json", "junit")
    account: str = ""


class Workshop(NamedTuple):
    """Where concrete parts come from; `app` fills it."""

    clock: Clock
    engine: PreparingEngine
    lifeline: ArmedLifeline
    open_target: Callable[[str], Target]
    open_locks: Callable[[str], Locks]
    open_lever: Callable[[str], Lever]
    open_rollouts: Callable[[str], Rollouts]
    open_strays: Callable[[str], Strays]
    open_fault: Callable[[str, str], Fault]
    open_engine: Callable[[str], RollbackEngine]
    open_signals: Callable[[ChaosdrillBlock, Target], Mapping[str, Signal]]
    open_checks: Callable[[ChaosdrillBlock], Sequence[StopCheck]]
    open_notifier: Callable[[Sequence[str]], Notifier]
    firing_alerts: Callable[[str], Check]
    entropy: str
    versions: Mapping[str, str]


class Draft(NamedTuple):
    """A file that was read, with the rules it is under; nothing of it is resolved yet."""

    request: Request
    file: ExperimentFile
    environment: str
    rules: Rules
    answers: Mapping[str, Answer]
    answers_digest: str


class Plan(NamedTuple):
    """An experiment with everything resolved: what will be hit, and what will be watched.

    `bind(salt)` computes what a clearance or an approval is bound to.
    """

    draft: Draft
    title: str
    block: ChaosdrillBlock | None
    configuration: Mapping[str, Any]
    toolkit: Mapping[str, str]
    planned: tuple[PlannedFault, ...]
    target: Target | None
    orders: Mapping[str, Any]
    bind: Callable[[str], Binding]

    @property
    def file(self) -> ExperimentFile:
        """The file as it was read."""
        return self.draft.file

    @property
    def environment(self) -> str:
        """The environment's name."""
        return self.draft.environment

    @property
    def rules(self) -> Rules:
        """What the environment demands."""
        return self.draft.rules


class Outcome(NamedTuple):
    """What came of a run: its folder, its verdict, and what could not be done afterwards."""

    folder: RunFolder
    verdict: Verdict
    reports: tuple[Path, ...]
    warnings: tuple[str, ...] = ()


class Watcher(Protocol):
    """Somebody who is shown a run while it goes on."""

    def planned(self, plan: Plan) -> None: ...
    def opened(self, folder: RunFolder, runner: Runner) -> None: ...
    def heard(self, event: Event) -> None: ...
    def closed(self) -> None: ...
