"""Before the start: the gate is asked about a plan, and its clearance is confirmed right before it is used.

Until a clearance is there nothing is injected; it is confirmed once more, because people may have taken a
quarter of an hour to say that they are ready.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaosdrill.errors import NotCleared, Refused
from chaosdrill.model.checklist import Clearance, Finding, reasons
from chaosdrill.model.fault import ACTIONS_MODULE
from chaosdrill.pipeline.parts import Plan, Workshop
from chaosdrill.plan.experiment import beside_of
from chaosdrill.plan.reader import Node
from chaosdrill.plan.resolve import fault_spec
from chaosdrill.ports import Scope, Signal
from chaosdrill.preflight import gate
from chaosdrill.preflight.gate import Decision
from chaosdrill.preflight.subject import Asked, Outline, Subject, Surroundings, Team
from chaosdrill.record import approvals
from chaosdrill.record.folder import RunFolder
from chaosdrill.record.journal import Journal

if TYPE_CHECKING:
    # Typed only: what plans faults is loaded with the first of them.
    from chaosdrill.model.run import PlannedFault

#: How long after the decision a run may start, in seconds.
CLEARED_FOR = 600.0
_GONE = "gone"


def clear(plan: Plan, workshop: Workshop, folder: RunFolder, journal: Journal) -> Clearance:
    """Decide every item of the checklist and return the clearance. Raises NotCleared with all reasons.

    Each item is journalled when it is decided, and run.json has all of them, also when the run is refused.
    """

    def stop() -> str:
        return _held(plan, workshop)

    def told(finding: Finding) -> None:
        facts: dict[str, Any] = {k: v for k, v in finding.as_json().items() if k != "checks" and v}
        # `at` is when the event happened, not when somebody attested the item.
        if "at" in facts:
            facts["said_at"] = facts.pop("at")
        journal.write("item.decided", **facts)

    team = Team(workshop.open_notifier, (folder, journal), stop)
    # Before anybody is waited for, so that what changes meanwhile is noticed.
    binding = plan.bind(f"hmac:{secrets.token_hex(16)}")
    # Nobody beats here: the watchdog counts silence only once something can be injected.
    decision = gate.decide(_subject(plan, workshop, team), told)
    now = workshop.clock.now()
    clearance = Clearance(
        run=folder.id,
        environment=plan.environment,
        binding=binding,
        findings=decision.findings,
        issued=now,
        expires=now + CLEARED_FOR,
        approvals=decision.approvals,
    )
    if decision.cleared:
        states = Counter(finding.state for finding in decision.findings)
        journal.write("run.cleared", states=dict(states))
    else:
        folder.update_facts(clearance={**clearance.as_json(), "cleared": False})
        raise NotCleared(reasons(decision.findings))
    return clearance


def examine(plan: Plan, workshop: Workshop, *, sends: bool = False) -> Decision:
    """Return how each item would be decided now; nothing is injected, and nobody told unless `sends`.

    Its `blocked` says what would refuse a run whatever the checklist says: a hold, or another run.
    """
    decision = gate.decide(_subject(plan, workshop, Team(workshop.open_notifier, sends=sends)))
    return decision._replace(blocked=_blocked(plan, workshop))


def _blocked(plan: Plan, workshop: Workshop) -> str:
    if hold := _held(plan, workshop):
        return f"{hold}; see: chaosdrill hold status"
    held = workshop.open_locks(plan.rules.system).owner() if plan.target is not None else None
    if held is None:
        return ""
    owner, stale = held
    if stale:
        return f"run {owner.run} of {owner.actor} was lost on this target; look: chaosdrill recover"
    return f"run {owner.run} of {owner.actor} is on this target; see: chaosdrill status"


def refuse_when_held(plan: Plan, workshop: Workshop) -> None:
    """Raise Refused, with who and why, when a hold is on for the plan's system."""
    if hold := _held(plan, workshop):
        raise Refused(f"not injecting: {hold}", next_step="see: chaosdrill hold status")


def _held(plan: Plan, workshop: Workshop) -> str:
    hold = workshop.open_lever(plan.rules.system).hold()
    return f"a hold is on, by {hold.by}: {hold.why}" if hold is not None else ""


def confirm(clearance: Clearance, plan: Plan, workshop: Workshop) -> Clearance:
    """Return the clearance, its approvals spent; the last act before anything is injected.

    Raises Refused when it has expired, when a hold is on, or when anything it is bound to has changed since.
    """
    now = workshop.clock.now()
    if now > clearance.expires:
        raise Refused("not injecting: the clearance has expired", next_step="start again")
    refuse_when_held(plan, workshop)
    drift = (*clearance.binding.drift(plan.bind(clearance.binding.salt).parts), *_rewritten(plan))
    if drift:
        names = ", ".join(dict.fromkeys(drift))
        raise Refused(f"not injecting: {names} changed since the run was cleared", next_step="start again")
    for moved in _moved(plan):
        raise Refused(f"not injecting: {moved}", next_step="start again: the targets are chosen anew")
    if not clearance.approvals:
        return clearance
    from chaosdrill.preflight.approval import spend

    question = gate.question_of(_subject(plan, workshop, Team(workshop.open_notifier, sends=False)))
    return clearance._replace(approvals=spend(question, clearance.approvals, clearance.run))


def signals_of(plan: Plan, workshop: Workshop) -> Mapping[str, Signal]:
    """Return the signals of the block, not yet started; none for a plain file."""
    if plan.block is None or plan.target is None:
        return {}
    return workshop.open_signals(plan.block, plan.target)


# ---- what the gate looks at


def _subject(plan: Plan, workshop: Workshop, team: Team) -> Subject:
    request = plan.draft.request
    source = Path(plan.rules.source) if plan.rules.source else None
    system = plan.rules.system

    def prepare(planned: PlannedFault) -> object:
        fault = workshop.open_fault(planned.kind, planned.system)
        spec = fault_spec(planned.kind, dict(planned.arguments))
        return fault.prepare(spec, Scope(planned.chosen, planned.candidates))

    return Subject(
        title=plan.title,
        rules=plan.rules,
        asked=Asked(
            actor=request.actor,
            source=request.source,
            home=request.home,
            approvals=approvals.folder(source, request.home),
            options=request.options,
            overrides=request.overrides,
            config=request.config,
            account=request.account,
        ),
        block=plan.block,
        outline=_outline(plan.file.document.root),
        planned=plan.planned,
        answers=plan.draft.answers,
        bind=plan.bind,
        around=Surroundings(
            clock=workshop.clock,
            touched=plan.target is not None,
            prepare=prepare,
            signals=lambda: signals_of(plan, workshop),
            strays=lambda: workshop.open_strays(system).strays(),
            deploying=lambda: workshop.open_rollouts(system).deploying(),
            firing=workshop.firing_alerts,
        ),
        team=team,
    )


def _outline(root: Node) -> Outline:
    stated = root.get("steady-state-hypothesis")
    title = stated.get("title") if stated is not None else None
    probes = stated.get("probes") if stated is not None else None
    rollbacks = root.get("rollbacks")
    return Outline(
        title=" ".join(title.text.split()) if title is not None else "",
        probes=len(probes.items) if probes is not None else 0,
        foreign=tuple(_foreign(root)),
        rollbacks=len(rollbacks.items) if rollbacks is not None else 0,
    )


def _foreign(root: Node) -> Iterator[str]:
    """Yield the names of actions that are not ours."""
    method = root.get("method")
    for activity in method.items if method is not None else ():
        kind, provider = activity.get("type"), activity.get("provider")
        module = provider.get("module") if provider is not None else None
        ours = module is not None and module.text == ACTIONS_MODULE
        if kind is not None and kind.text == "action" and not ours:
            name = activity.get("name")
            yield " ".join(name.text.split()) if name is not None else "an action"


# ---- what may have changed since


def _rewritten(plan: Plan) -> Iterator[str]:
    """Yield which of the files that were read say something else by now."""
    file, rules = plan.file, plan.rules
    if _sum(file.document.source) != file.digest:
        yield "experiment"
    if rules.source and _sum(Path(rules.source)) != rules.digest:
        yield "policy"
    if _sum(beside_of(file.document.source)) != (plan.draft.answers_digest or _GONE):
        yield "answers"


def _sum(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return _GONE


def _moved(plan: Plan) -> Iterator[str]:
    """Yield, in words, which of the pinned targets are not what they were."""
    for fault in plan.planned if plan.target is not None else ():
        assert plan.target is not None
        there = plan.target.candidates(fault_spec(fault.kind, dict(fault.arguments)))
        names = {candidate.id for candidate in there}
        gone = [name for name in fault.chosen if name not in names]
        if gone:
            yield f"{', '.join(gone)} of {fault.target} can't be hit any more"
        elif len(names) < fault.candidates:
            yield f"{fault.target} has {len(names)} to choose from, {fault.candidates} when it was cleared"
