"""The second line: did the hypothesis hold for what was injected, by the file's probes *and* our criteria.

Never says more than was seen: without a fault, without a look after it, or in a run that was cut short,
nothing is held.
"""

from __future__ import annotations

from collections.abc import Sequence

from chaosdrill.model.run import CriterionResult, Evidence, Line, ProbeResult
from chaosdrill.units import format_duration
from chaosdrill.verdict.lines import failed_actions, first, gate_not_met


def hypothesis(evidence: Evidence, criteria: Sequence[CriterionResult]) -> Line:
    """Return held, deviated, inconclusive or not evaluated, and the sentence behind it."""
    if evidence.refused:
        return Line(state="not evaluated", text="the run was refused, so nothing was tried")
    engine = evidence.engine
    later = [probe for probe in engine.probes if probe.moment != "before"]
    active = any(fault.started is not None for fault in evidence.faults)
    if gate_not_met(engine) and not active:
        probe = next(p for p in engine.probes if p.moment == "before" and not p.met)
        text = f"the system was out of its steady state before any fault: {_unmet(probe)}"
        return Line(state="not evaluated", text=text)
    if not criteria and not engine.probes:
        text = "the experiment has neither probes nor criteria" if evidence.block else "the file states none"
        return Line(state="not evaluated", text=text)
    wrong = [c.text for c in criteria if c.state == "deviated"]
    wrong += list(dict.fromkeys(_unmet(p) for p in later if not p.met and (engine.deviated or not p.error)))
    if engine.deviated and not wrong:
        wrong = ["Chaos Toolkit found the steady state not met"]
    if wrong:
        return Line(state="deviated", text=first(wrong))
    doubt = _doubts(evidence, criteria, later, active)
    if doubt:
        return Line(state="inconclusive", text=first(doubt))
    return Line(state="held", text=_held(evidence, criteria, later))


def _doubts(
    evidence: Evidence, criteria: Sequence[CriterionResult], later: Sequence[ProbeResult], active: bool
) -> list[str]:
    """Return the reasons why nothing that was seen can count as held."""
    doubts = []
    if evidence.abort is not None or evidence.engine.status in (None, "interrupted"):
        doubts.append("the run was cut short")
    if evidence.planned and not active:
        doubts.append("no fault ever became active")
    doubts += [c.text for c in criteria if c.state == "inconclusive"]
    doubts += list(dict.fromkeys(_unmet(p) for p in later if not p.met))
    if evidence.engine.probes and not later:
        doubts.append("the probes were not looked at after the method")
    doubts += [f"the action {name} failed" for name in failed_actions(evidence.engine)]
    return doubts


def _held(evidence: Evidence, criteria: Sequence[CriterionResult], later: Sequence[ProbeResult]) -> str:
    faults = list(
        dict.fromkeys(
            f"{fault.kind.replace('_', ' ')} on {fault.target} for {format_duration(fault.duration)}"
            for fault in evidence.faults
            if fault.started is not None
        )
    )
    judged = []
    if criteria:
        word = "criterion" if len(criteria) == 1 else "criteria"
        judged.append(f"{len(criteria)} of {len(criteria)} {word}")
    names = {probe.name for probe in later}
    if names:
        judged.append(f"{len(names)} steady-state probe{'' if len(names) == 1 else 's'}")
    what = f"for {', '.join(faults)}" if faults else "for what this file did"
    return f"{what}: {' and '.join(judged)} met"


def _unmet(probe: ProbeResult) -> str:
    if probe.error:
        return f"the probe {probe.name} could not be read {probe.moment} the method: {probe.error}"
    seen = f"{probe.output} where {probe.tolerance} was expected"
    return f"the probe {probe.name} was not met {probe.moment} the method: {seen}"
