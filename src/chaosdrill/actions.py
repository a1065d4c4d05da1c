"""The fault actions that experiment files name; each blocks until its fault has ended and been undone.

Inside a run of chaosdrill the fault must be among the cleared ones, its targets are the pinned ones, and the
ledger knows of it before it happens. Under plain `chaos run` the same actions act on the sandbox only: there
nobody has cleared anything.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from chaoslib.exceptions import ActivityFailed

from chaosdrill import faults, targets
from chaosdrill.clock import SystemClock
from chaosdrill.errors import ChaosdrillError, FaultFailed, Refused
from chaosdrill.execute.unwind import undo
from chaosdrill.plan.resolve import fault_spec
from chaosdrill.plan.scope import choose
from chaosdrill.ports import Fault, Scope
from chaosdrill.record import context
from chaosdrill.record.context import RunContext
from chaosdrill.record.ledger import Entry

__all__ = ["cpu_stress", "instance_failure", "network_cut", "network_latency", "network_loss"]

Outcome = dict[str, Any]


def instance_failure(
    target: str, duration: str, count: int | str | None = None, share: str | None = None
) -> Outcome:
    """Kill instances of the service `target` and hold them down for `duration` ('30 s').

    How many: `count` (1 by default) or `share` ('34 %'). Returns what was hit. A fault that
    was not cleared, or that could not be injected or undone, raises ActivityFailed and ends the run.
    """
    return _inject("instance_failure", target=target, duration=duration, count=count, share=share)


def network_latency(
    duration: str, delay: str, jitter: str | None = None, target: str = "database"
) -> Outcome:
    """Delay the traffic towards `target` by `delay` ('100 ms'), give or take `jitter`, for `duration`.

    Returns what was hit; fails as instance_failure does.
    """
    return _inject("network_latency", target=target, duration=duration, delay=delay, jitter=jitter)


def network_loss(duration: str, loss: str, target: str = "database") -> Outcome:
    """Lose the share `loss` ('10 %') of the traffic towards `target` for `duration`.

    Returns what was hit; fails as instance_failure does.
    """
    return _inject("network_loss", target=target, duration=duration, loss=loss)


def network_cut(duration: str, target: str = "database") -> Outcome:
    """Cut every connection towards `target` and refuse new ones for `duration`.

    Returns what was hit; fails as instance_failure does.
    """
    return _inject("network_cut", target=target, duration=duration)


def cpu_stress(
    target: str,
    duration: str,
    workers: int | str | None = None,
    load: str | None = None,
    count: int | str | None = None,
    share: str | None = None,
) -> Outcome:
    """Burn CPU in instances of `target`: `workers` times `load` ('80 %') of a core each, for `duration`.

    Returns what was hit; fails as instance_failure does.
    """
    return _inject(
        "cpu_stress", target=target, duration=duration, workers=workers, load=load, count=count, share=share
    )


def _inject(kind: str, **arguments: Any) -> Outcome:
    given = {name: value for name, value in arguments.items() if value is not None}
    run = context.current()
    try:
        if run is None:
            return _inject_alone(kind, given)
        with run.injecting():
            return _inject_cleared(run, kind, given)
    except ChaosdrillError as error:
        raise _stopping(run, f"{kind}: {error}") from error
    except Exception as bug:
        # A mistake of ours must stop the run too: Chaos Toolkit would note it and play the next action.
        raise _stopping(run, f"{kind}: {type(bug).__name__}: {bug}") from bug


def _stopping(run: RunContext | None, message: str) -> ActivityFailed:
    """Have the run end after this activity, and return what the activity ends with.

    An exception alone would not: whatever an action raises, Chaos Toolkit notes it and plays the next one.
    """
    if run is None:
        # What chaoslib.exit.exit_gracefully does: the main thread leaves, whichever thread this is.
        os.kill(os.getpid(), signal.SIGUSR1)
    else:
        run.emit({"event": "run.stopping", "reason": message})
        run.stopping.set()
    return ActivityFailed(message)


def _inject_alone(kind: str, arguments: dict[str, Any]) -> Outcome:
    spec = fault_spec(kind, arguments)
    clock = SystemClock()
    system = targets.open("sandbox")
    system.check()
    scope = choose(spec, system.candidates(spec))
    fault = faults.open(kind, "sandbox")
    record = fault.prepare(spec, scope)
    try:
        fault.start(record)
        threading.Event().wait(spec.duration)
    finally:
        undoing = undo(fault, record, clock)
    if undoing.residue:
        raise FaultFailed(f"still on: {'; '.join(undoing.residue)}")
    return {"hit": list(scope.chosen), "seconds": spec.duration}


def _inject_cleared(run: RunContext, kind: str, arguments: dict[str, Any]) -> Outcome:
    if run.stopping.is_set():
        raise Refused("not injecting: the run is being stopped")
    spec = fault_spec(kind, arguments)
    # As specs, so that a default written out is the same fault as one left out.
    cleared = run.take_cleared(lambda c: c["kind"] == kind and fault_spec(kind, c["arguments"]) == spec)
    if cleared is None:
        raise Refused("not injecting: it is not among the faults that were cleared")
    scope = Scope(tuple(cleared["chosen"]), int(cleared["candidates"]))
    fault = faults.open(kind, cleared["system"])
    record = {**fault.prepare(spec, scope), "run": run.id}
    if run.masked(record) != record:
        raise Refused(
            "not injecting: its undo would have to be written down with a secret in it",
            next_step="take the secret out of the arguments of the fault",
        )
    entry = Entry(
        id=run.next_fault_id(),
        kind=kind,
        system=cleared["system"],
        target=spec.target,
        activity=cleared["activity"],
        hit=scope.chosen,
        duration=spec.duration,
        record=record,
    )
    run.ledger.intend(entry)
    _tell(run, "fault.intended", entry)
    return _play(run, fault, entry)


def _play(run: RunContext, fault: Fault, entry: Entry) -> Outcome:
    clock = SystemClock()
    started = clock.mono()
    error = ""
    try:
        fault.start(entry.record)
        run.ledger.active(entry.id)
        _tell(run, "fault.active", entry)
        run.stopping.wait(max(0.0, entry.duration - (clock.mono() - started)))
    except ChaosdrillError as failure:
        error = str(failure)
        _tell(run, "fault.failed", entry, error=error)
        raise
    finally:
        how = "abort" if run.stopping.is_set() else "time limit"
        undoing = undo(fault, entry.record, clock)
        run.ledger.undone(entry.id, undoing._replace(error=undoing.error or error), how)
        facts = {"residue": list(undoing.residue), "how": how, "error": undoing.error or error}
        _tell(run, "fault.undone", entry, at=undoing.ended, **facts)
    if undoing.residue:
        raise FaultFailed(f"still on: {'; '.join(undoing.residue)}")
    if run.stopping.is_set():
        raise FaultFailed("ended early, because the run is being stopped")
    return {"hit": list(entry.hit), "seconds": round(undoing.ended - clock.epoch_anchor, 3)}


def _tell(run: RunContext, event: str, entry: Entry, **facts: Any) -> None:
    base = {"id": entry.id, "kind": entry.kind, "target": entry.target, "activity": entry.activity}
    run.emit({"event": event, **base, "hit": list(entry.hit), "duration": entry.duration, **facts})
