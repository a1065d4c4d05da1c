"""Four of the five lines of a verdict, each from the evidence alone; the hypothesis has a file of its own.

Each function answers one question and knows nothing of the other lines: what happened, was everything undone,
was everything hit that was to be hit.
"""

from __future__ import annotations

from collections.abc import Sequence

from chaosdrill.model.run import EngineOutcome, Evidence, FaultOutcome, Line, PlannedFault
from chaosdrill.units import format_duration

#: A fault may end this share of its time early and still count as having lasted.
_EARLY = 0.1


def execution(evidence: Evidence) -> Line:
    """Return whether the file was played to its end, was stopped, broke, or was never let start."""
    if evidence.refused:
        return Line(state="refused", text=first(evidence.refused))
    engine, abort = evidence.engine, evidence.abort
    if abort is not None:
        took = "" if abort.undone is None else f"; undone {_after(abort.undone - abort.requested)}"
        # Lost while it was being stopped for another reason already.
        lost = f"; then the runner was lost: {evidence.lost}" if evidence.lost not in abort.rule else ""
        return Line(state="aborted", text=f"by {abort.by}: {abort.rule}{took}{lost}")
    if engine.status is None:
        return Line(
            state="errored", text=f"Chaos Toolkit did not finish: {engine.error or 'no reason known'}"
        )
    if engine.error:
        return Line(state="errored", text=engine.error)
    if engine.status == "interrupted":
        text = "by a control of the file or a signal to the engine (Chaos Toolkit: interrupted)"
        return Line(state="aborted", text=text)
    return _played(engine, failed_actions(engine))


def _played(engine: EngineOutcome, broken: Sequence[str]) -> Line:
    if broken:
        return Line(state="errored", text=f"the action {_list(broken)} failed")
    explained = engine.deviated or any(not probe.met for probe in engine.probes)
    if engine.status == "aborted" or (engine.status == "failed" and not explained):
        return Line(state="errored", text=f"Chaos Toolkit ended as {engine.status}")
    if gate_not_met(engine):
        return Line(state="completed", text="stopped at the gate; the method was not played")
    probes = [name for name in engine.failed_activities if name not in broken]
    if probes:
        return Line(state="completed", text=f"but the probe {_list(probes)} of the method failed")
    return Line(state="completed", text="the experiment was played to its end")


def failed_actions(engine: EngineOutcome) -> list[str]:
    """Return the activities that failed, except those known to be probes: a probe changes nothing."""
    probes = {a.get("name") for a in engine.activities if a.get("type") == "probe"}
    return [name for name in engine.failed_activities if name not in probes]


def gate_not_met(engine: EngineOutcome) -> bool:
    """Return whether the system was out of its steady state before the method, so that none was played."""
    return any(probe.moment == "before" and not probe.met for probe in engine.probes)


def not_proved_undone(faults: Sequence[FaultOutcome]) -> list[FaultOutcome]:
    """Return the faults that left something on, or of which nobody can say that they did not."""
    return [f for f in faults if f.residue or (f.started is not None and f.ended is None)]


def cleanup(evidence: Evidence) -> Line:
    """Return whether everything that was injected was proved to be gone."""
    faults = evidence.faults
    left = not_proved_undone(faults)
    if left:
        known = [f"{f.kind} on {f.target}: {', '.join(f.residue)}" for f in left if f.residue]
        known += evidence.unplayed
        unknown = [f"{f.kind} on {f.target} has no end on record" for f in left if not f.residue]
        return Line(state="failed" if known else "unverified", text="; ".join(known + unknown))
    if evidence.unplayed:
        return Line(state="failed", text="; ".join(evidence.unplayed))
    if faults:
        count = "the fault was" if len(faults) == 1 else f"all {len(faults)} faults were"
        return Line(state="verified", text=f"{count} looked for again and not found")
    if evidence.refused:
        return Line(state="verified", text="nothing was injected")
    if any(activity.get("type") == "action" for activity in evidence.engine.activities):
        return Line(
            state="unverified",
            text="nothing was injected by chaosdrill; what the file's own actions changed is not on record",
        )
    return Line(state="verified", text="nothing was injected")


def coverage(evidence: Evidence) -> Line:
    """Return how many of the planned targets were really hit, for as long as planned."""
    if evidence.refused and not evidence.faults:
        return Line(state="none", text="nothing was injected")
    if not evidence.planned:
        return Line(
            state="unknown", text="the file has no fault of chaosdrill's; what it hit is not on record"
        )
    spare = [f for f in evidence.faults if f.started is not None]
    hit = planned = 0
    missing: list[str] = []
    for plan in evidence.planned:
        outcome = next((f for f in spare if _belongs(f, plan)), None)
        planned += max(1, len(plan.chosen))
        if outcome is None:
            missing.append(f"{plan.kind} on {plan.target} never became active{_cause(evidence, plan)}")
            continue
        spare.remove(outcome)
        hit += len(set(outcome.hit) & set(plan.chosen)) if plan.chosen else 1
        lasted = _lasted(outcome)
        if lasted is not None and lasted < plan.duration * (1 - _EARLY):
            lengths = f"{format_duration(round(lasted, 1))} of {format_duration(plan.duration)}"
            missing.append(f"{plan.kind} on {plan.target} lasted {lengths}")
    text = "; ".join([f"{hit} of {planned} target{'' if planned == 1 else 's'} hit", *missing])
    if not hit:
        return Line(state="none", text=text)
    return Line(state="full" if hit == planned and not missing else "partial", text=text)


def _belongs(outcome: FaultOutcome, plan: PlannedFault) -> bool:
    same = (outcome.kind, outcome.target) == (plan.kind, plan.target)
    return same and outcome.activity in ("", plan.activity)


def _cause(evidence: Evidence, plan: PlannedFault) -> str:
    tried = (f.error for f in evidence.faults if f.started is None and f.error and _belongs(f, plan))
    error = next(tried, "")
    return f" ({error})" if error else ""


def _lasted(outcome: FaultOutcome) -> float | None:
    if outcome.started is None or outcome.ended is None:
        return None
    return outcome.ended - outcome.started


def _after(seconds: float) -> str:
    return f"{format_duration(round(seconds, 3))} later"


def first(reasons: Sequence[str]) -> str:
    """Return the first of several reasons, and how many more there are."""
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return reasons[0] + more


def _list(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))
