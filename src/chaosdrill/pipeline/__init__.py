"""The flow on one screen: draft, plan, record, clear, execute and unwind, judge, report.

Each step adds to what the next one needs; each may refuse, and until `execute` nothing has been injected. A
refusal is recorded as a run is.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from chaosdrill.errors import Exit, RecordUnusable, Refused, RunUnrecorded
from chaosdrill.execute.runner import Parts, Runner
from chaosdrill.execute.sampling import Sampling
from chaosdrill.execute.unwind import Tell
from chaosdrill.model.checklist import Clearance
from chaosdrill.pipeline.clearing import clear, confirm, examine, refuse_when_held, signals_of
from chaosdrill.pipeline.parts import Draft, Outcome, Plan, Request, Watcher, Workshop
from chaosdrill.pipeline.planning import draft, plan
from chaosdrill.pipeline.recording import conclude, judge, open_record, refuse
from chaosdrill.pipeline.telling import teller
from chaosdrill.ports import Lock, Owner, Signal
from chaosdrill.record import running
from chaosdrill.record.folder import JOURNAL, LEDGER, SAMPLES, RunFolder
from chaosdrill.record.journal import Journal
from chaosdrill.record.ledger import Ledger
from chaosdrill.record.samples import SampleWriter

__all__ = [
    "Draft",
    "Outcome",
    "Plan",
    "Request",
    "Watcher",
    "Workshop",
    "conduct",
    "draft",
    "examine",
    "judge",
    "plan",
]


def conduct(request: Request, workshop: Workshop, watcher: Watcher) -> Outcome:
    """Carry out one experiment from its file to its report.

    Raises InvalidFile and UsageError for what makes no sense, and Refused, with a record, before anything is
    injected; afterwards whatever happens is a verdict.
    """
    # What the end needs takes as long to load as the beginning: it loads while the engine does, and plays.
    threading.Thread(target=_load_conclusion, args=(request.formats,), name="loading", daemon=True).start()
    drafted = draft(request)
    try:
        planned = plan(drafted, workshop)
    except Refused as refusal:
        refuse(open_record(drafted, None, workshop), refusal, workshop.clock)
        raise
    watcher.planned(planned)
    folder = open_record(drafted, planned, workshop)
    return _carry_out(planned, folder, workshop, watcher)


def _carry_out(plan: Plan, folder: RunFolder, workshop: Workshop, watcher: Watcher) -> Outcome:
    lock: Lock | None = None
    running.register(folder.path, engine=workshop.engine.pid, watchdog=workshop.lifeline.pid)
    journal = Journal(folder.file(JOURNAL), workshop.clock)
    try:
        journal.write("run.opened", id=folder.id, title=plan.title)
        # From here on, for whoever watches has to learn whom the run waits for.
        journal.listen(watcher.heard)
        lock = _lock(plan, folder, workshop)
        folder.update_facts(recovery=_for_recovery(plan))
        workshop.lifeline.arm(_orders(plan, folder, workshop), [lock.descriptor])
        signals = signals_of(plan, workshop)
        clearance = clear(plan, workshop, folder, journal)
        workshop.lifeline.armed()
        journal.write("watchdog.armed", pid=workshop.lifeline.pid)
        clearance = confirm(clearance, plan, workshop)
        folder.update_facts(clearance={**clearance.as_json(), "cleared": True})
        execute(clearance, plan, signals, (folder, journal), workshop, watcher)
        workshop.lifeline.rest()
    except (Refused, KeyboardInterrupt) as stopped:
        # Nothing was injected: refused by us, or by somebody who changed their mind in time.
        journal.close()
        refusal = stopped if isinstance(stopped, Refused) else Refused(f"interrupted {stopped}".rstrip())
        refuse(folder, refusal, workshop.clock, teller(plan, folder, workshop))
        _leave(folder, workshop, lock)
        raise
    except RunUnrecorded as failure:
        _leave(folder, workshop, lock if failure.exit_code != Exit.RESIDUE else None)
        raise
    finally:
        journal.close()
        watcher.closed()
    try:
        formats, tell = plan.draft.request.formats, teller(plan, folder, workshop)
        outcome = conclude(folder, formats, workshop.clock, tell)
    except RecordUnusable as error:
        _leave(folder, workshop, lock)
        raise RunUnrecorded(str(error), ()) from error
    _leave(folder, workshop, lock if outcome.verdict.cleanup.state != "failed" else None)
    return outcome


def _leave(folder: RunFolder, workshop: Workshop, lock: Lock | None) -> None:
    """Let the watchdog go, and give the target back, unless something is left on it.

    Whoever leaves in another way, by a mistake of ours or because the run was taken over, leaves the rest to
    the watchdog.
    """
    workshop.lifeline.done()
    if lock is not None:
        lock.release()
    running.unregister(folder.path)


def _lock(plan: Plan, folder: RunFolder, workshop: Workshop) -> Lock:
    """Return the lock on the plan's target, once no hold is on. Raises Refused."""
    refuse_when_held(plan, workshop)
    owner = Owner(folder.id, str(folder.path), plan.draft.request.actor, os.getpid(), workshop.clock.now())
    return workshop.open_locks(_territory(plan)).take(owner)


def _territory(plan: Plan) -> str:
    """Return what is locked: the system, or, for a file that names none, the file itself."""
    return plan.rules.system if plan.target is not None else f"file:{plan.file.path.absolute()}"


def _for_recovery(plan: Plan) -> Mapping[str, object]:
    """Return what is needed to finish the run when every process of it is gone, say after a reboot."""
    return {
        "cwd": os.getcwd(),  # noqa: PTH109
        "territory": _territory(plan),
        "request": dict(plan.orders),
        "rollbacks": _rollbacks(plan),
    }


def _rollbacks(plan: Plan) -> int:
    """Return how many rollbacks the file declares."""
    node = plan.file.document.root.get("rollbacks")
    return len(node.items) if node is not None else 0


def _orders(plan: Plan, folder: RunFolder, workshop: Workshop) -> Mapping[str, object]:
    """Return what the watchdog needs to finish the run without us."""
    return {
        "folder": str(folder.path.absolute()),
        "territory": _territory(plan),
        "engine": workshop.engine.pid,
        "faults": sorted({(fault.kind, fault.system) for fault in plan.planned}),
        "request": dict(plan.orders),
    }


def execute(
    clearance: Clearance,
    plan: Plan,
    signals: Mapping[str, Signal],
    record: tuple[RunFolder, Journal],
    workshop: Workshop,
    watcher: Watcher,
) -> None:
    """Play a cleared experiment, watched; end with everything undone or named as residue in the ledger."""
    folder, journal = record
    sampling = None
    if plan.block is not None and signals:
        sampling = Sampling(signals, plan.block, SampleWriter(folder.file(SAMPLES)))
    ledger = Ledger(folder.file(LEDGER), workshop.clock)
    ledger.open()
    parts = Parts(
        clock=workshop.clock,
        folder=folder,
        journal=journal,
        ledger=ledger,
        engine=workshop.engine,
        lifeline=workshop.lifeline,
        lever=workshop.open_lever(plan.rules.system),
        open_fault=workshop.open_fault,
        clearance=clearance,
        sampling=sampling,
        checks=workshop.open_checks(plan.block) if plan.block is not None else (),
        replay=lambda tell, turn: _replay(plan, folder, workshop, tell, turn),
    )
    runner = Runner(parts, plan.block, plan.planned)
    watcher.opened(folder, runner)
    for fault in plan.planned:
        facts = {k: v for k, v in fault.as_json().items() if k not in ("arguments", "system")}
        journal.write("scope.pinned", **facts)
    ending = runner.run()
    if ending.record_failure:
        # A verdict on half a record would be a guess.
        raise RunUnrecorded(ending.record_failure, ending.residue)


def _replay(
    plan: Plan, folder: RunFolder, workshop: Workshop, tell: Tell, turn: Callable[[], None]
) -> Sequence[str]:
    if not _rollbacks(plan):
        return ()
    # Loaded only when an engine has died.
    from chaosdrill.execute.replay import Replay

    replay = Replay(folder, workshop.open_engine, workshop.clock, tell)
    return replay.play(plan.orders, os.getcwd(), turn)[1]  # noqa: PTH109


def _load_conclusion(formats: Sequence[str]) -> None:
    for name in ("chaosdrill.verdict", "chaosdrill.record.evidence"):
        import_module(name)
    report = import_module("chaosdrill.report")
    report.load(formats)
