"""The flow on one screen: plan, clear, record, execute and unwind, judge, report.

Each step adds to what the next one needs; each may refuse, and until `execute` nothing has been injected.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from chaosdrill.clock import iso
from chaosdrill.errors import ChaosdrillError, RunUnrecorded, TargetUnreachable
from chaosdrill.execute.runner import EngineHandle, Parts, Runner
from chaosdrill.execute.sampling import Sampling
from chaosdrill.plan.experiment import ExperimentFile, check_variables, read_experiment
from chaosdrill.plan.resolve import fault_spec, resolve_block, resolve_faults
from chaosdrill.plan.scope import choose
from chaosdrill.ports import Clock, Fault, FaultSpec, Scope, Signal, Target
from chaosdrill.record import folder as folders
from chaosdrill.record import running
from chaosdrill.record.folder import JOURNAL, LEDGER, SAMPLES, RunFolder
from chaosdrill.record.journal import Event, Journal
from chaosdrill.record.ledger import Ledger
from chaosdrill.record.samples import SampleWriter, read_samples

if TYPE_CHECKING:
    # Typed only: a plain Chaos Toolkit file never waits for pydantic before it is played.
    from chaosdrill.model.experiment import ChaosdrillBlock
    from chaosdrill.model.run import PlannedFault, Verdict


class PreparingEngine(EngineHandle, Protocol):
    """An engine that can still be asked to load a file."""

    def prepare(self, request: Mapping[str, Any]) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Request:
    """What a person asked for: a file, and how to play it."""

    source: Path
    home: Path
    actor: str
    environment: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    formats: Sequence[str] = ("html", "md", "json", "junit")


@dataclass(frozen=True)
class Workshop:
    """Where concrete parts come from; `app` fills it."""

    clock: Clock
    engine: PreparingEngine
    open_target: Callable[[str], Target]
    open_fault: Callable[[str, str], Fault]
    open_signals: Callable[[ChaosdrillBlock, Target], Mapping[str, Signal]]
    entropy: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """An experiment with everything resolved: what will be hit, and what will be watched."""

    file: ExperimentFile
    title: str
    block: ChaosdrillBlock | None
    environment: str
    configuration: Mapping[str, Any]
    toolkit: Mapping[str, str]
    planned: tuple[PlannedFault, ...]
    target: Target | None


@dataclass(frozen=True)
class Outcome:
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


def conduct(request: Request, workshop: Workshop, watcher: Watcher) -> Outcome:
    """Carry out one experiment from its file to its report.

    Raises InvalidFile and Refused before anything is injected; afterwards whatever happens is a verdict.
    """
    # What the end needs takes as long to load as the beginning: it loads while the engine does, and plays.
    threading.Thread(target=_load_conclusion, name="loading", daemon=True).start()
    planned = plan(request, workshop)
    watcher.planned(planned)
    signals = clear(planned, workshop)
    folder = open_record(request, planned, workshop)
    try:
        try:
            execute(planned, signals, folder, workshop, watcher)
        finally:
            watcher.closed()
        return conclude(folder, request.formats, workshop.clock)
    finally:
        running.unregister(folder.path)


def plan(request: Request, workshop: Workshop) -> Plan:
    """Read the file, have Chaos Toolkit expand it, and pin what its faults will hit."""
    file = read_experiment(request.source)
    check_variables(file, request.options.get("var") or ())
    environment = request.environment or file.environment or "sandbox"
    # A file that touches nothing of ours needs no system, and does not pay for one.
    touches = bool(file.faults) or file.block_node is not None or request.environment is not None
    target = workshop.open_target(environment) if touches else None
    expanded = workshop.engine.prepare(
        {
            "source": str(file.path),
            "digest": file.digest,
            "options": dict(request.options),
            "environment": _environment(file, target) if target else {},
        }
    )
    block = resolve_block(file, expanded["configuration"])
    if target and (expanded["faults"] or (block and any(s.target for s in block.signals.values()))):
        target.check()
    specs = resolve_faults(file, expanded["faults"], expanded["configuration"], block)
    used = {k: v for k, v in expanded["configuration"].items() if k in file.variables}
    return Plan(
        file=file,
        title=str(expanded["title"]),
        block=block,
        environment=environment,
        configuration=used,
        toolkit=expanded["versions"],
        planned=tuple(
            _pin(spec, fault, block, target, environment)
            for spec, fault in zip(specs, expanded["faults"], strict=True)
            if target
        ),
        target=target,
    )


def _environment(file: ExperimentFile, target: Target) -> dict[str, str]:
    """Return the target's variables for the file; only a file with faults can't do without them."""
    try:
        return dict(target.environment())
    except TargetUnreachable:
        if file.faults:
            raise
        return {}


def _pin(
    spec: FaultSpec, fault: Mapping[str, Any], block: ChaosdrillBlock | None, target: Target, system: str
) -> PlannedFault:
    from chaosdrill.model.run import PlannedFault

    limits = block.blast_radius if block else None
    scope = choose(spec, target.candidates(spec), limits, seed=block.seed if block else 0)
    return PlannedFault(
        activity=fault["activity"],
        kind=spec.kind,
        system=system,
        target=spec.target,
        arguments=dict(fault["arguments"]),
        duration=spec.duration,
        chosen=scope.chosen,
        candidates=scope.candidates,
    )


def clear(plan: Plan, workshop: Workshop) -> Mapping[str, Signal]:
    """Prove that what the run relies on answers now; return its signals, not yet started.

    Raises Refused, naming what does not answer.
    """
    for planned in plan.planned:
        # Arguments that a fault can't carry out are found here, while refusing still costs nothing.
        fault = workshop.open_fault(planned.kind, planned.system)
        spec = fault_spec(planned.kind, dict(planned.arguments))
        fault.prepare(spec, Scope(planned.chosen, planned.candidates))
    if plan.block is None or plan.target is None:
        return {}
    signals = workshop.open_signals(plan.block, plan.target)
    for signal in signals.values():
        signal.check()
    return signals


def open_record(request: Request, plan: Plan, workshop: Workshop) -> RunFolder:
    """Open the run folder with intent: who runs what, from which bytes, on which targets."""
    now = workshop.clock.now()
    name = folders.run_id(plan.title, now, workshop.entropy)
    copy = f"experiment{plan.file.path.suffix}"
    block = plan.block
    folder = folders.create(
        request.home,
        name,
        {
            "version": 1,
            "id": name,
            "state": "open",
            "title": plan.title,
            "service": block.service if block else None,
            "environment": plan.environment,
            "hypothesis": block.hypothesis if block else None,
            "expected_outcome": block.expected_outcome if block else None,
            "source": {"path": str(request.source), "file": copy, "digest": f"sha256:{plan.file.digest}"},
            "actor": request.actor,
            "pid": os.getpid(),
            "versions": {**workshop.versions, **plan.toolkit},
            "started": iso(now),
            "ended": None,
            "block": block.model_dump(mode="json", by_alias=True) if block else None,
            "configuration": dict(plan.configuration),
            "planned": [p.model_dump(mode="json") for p in plan.planned],
            "warnings": [str(w) for w in plan.file.warnings],
            "options": {k: v for k, v in request.options.items() if v},
            "verdict": None,
            "checksums": {},
        },
    )
    folder.file(copy).write_bytes(plan.file.content)
    return folder


def execute(
    plan: Plan,
    signals: Mapping[str, Signal],
    folder: RunFolder,
    workshop: Workshop,
    watcher: Watcher,
) -> None:
    """Play the experiment, watched; end with everything undone or named as residue in the ledger."""
    clock = workshop.clock
    journal = Journal(folder.file(JOURNAL), clock)
    try:
        journal.write("run.opened", id=folder.id, title=plan.title)
        sampling = None
        if plan.block is not None and signals:
            sampling = Sampling(signals, plan.block, SampleWriter(folder.file(SAMPLES)))
        parts = Parts(
            clock=clock,
            folder=folder,
            journal=journal,
            ledger=Ledger(folder.file(LEDGER), clock),
            engine=workshop.engine,
            open_fault=workshop.open_fault,
            sampling=sampling,
        )
        runner = Runner(parts, plan.block, plan.planned)
        running.register(folder.path)
        watcher.opened(folder, runner)
        journal.listen(watcher.heard)
        for fault in plan.planned:
            facts = fault.model_dump(mode="json", exclude={"arguments", "system"})
            journal.write("scope.pinned", **facts)
        ending = runner.run()
        if ending.record_failure:
            # A verdict on half a record would be a guess.
            raise RunUnrecorded(ending.record_failure, ending.residue)
    finally:
        journal.close()


def conclude(folder: RunFolder, formats: Sequence[str], clock: Clock) -> Outcome:
    """Judge what the folder holds, seal it, and write the reports.

    A report that can't be written is a warning: it never changes a verdict.
    """
    judged = judge(folder)
    journal = Journal(folder.file(JOURNAL), clock)
    journal.write("run.judged", word=judged.word, exit_code=judged.exit_code, why=judged.why)
    journal.write("run.sealed")
    journal.close()
    folder.update_facts(
        state="sealed",
        ended=iso(clock.now()),
        verdict=judged.model_dump(mode="json"),
        checksums=folder.checksums(),
    )
    warnings: list[str] = []
    reports: list[Path] = []
    try:
        from chaosdrill import report

        reports = report.write(folder, formats)
    except (ChaosdrillError, OSError) as error:
        warnings.append(f"no report could be written: {error}")
    except Exception as bug:  # noqa: BLE001 - the verdict stands, whatever a mistake of ours does to its picture
        warnings.append(f"no report could be written: {type(bug).__name__}: {bug}")
    return Outcome(folder, judged, tuple(reports), tuple(warnings))


def judge(folder: RunFolder) -> Verdict:
    """Return the verdict on what the folder holds; the same folder gives the same verdict, whenever asked."""
    from chaosdrill import verdict
    from chaosdrill.record.evidence import evidence

    return verdict.judge(evidence(folder), read_samples(folder.file(SAMPLES)))


def _load_conclusion() -> None:
    import_module("chaosdrill.verdict")
    import_module("chaosdrill.report.document")
