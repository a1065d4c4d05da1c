"""The gate: every item of the checklist is decided, and each ends in a finding.

It fails closed: a check that crashes has failed. People are told last, when nothing else stands in the way,
because a message about a run that does not come is worse than none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from chaosdrill.errors import ChaosdrillError, RunFenced
from chaosdrill.model.checklist import BEFORE, ApprovalUse, Finding
from chaosdrill.preflight.health import monitoring
from chaosdrill.preflight.items import (
    blast_radius,
    customer_communication,
    expected_outcome,
    hypothesis,
    off_peak,
    success_criteria,
    waived,
)
from chaosdrill.preflight.reversal import rollback_plan
from chaosdrill.preflight.subject import Subject
from chaosdrill.preflight.team import ITEM as TEAM
from chaosdrill.preflight.team import team_notified

if TYPE_CHECKING:
    # Typed only: signatures are for policies that ask for them.
    from chaosdrill.preflight.approval import Question, Verified

#: After waiting for people for so long (seconds), what may have changed meanwhile is decided again.
STALE = 60.0
#: The one item that nobody can override: it is what overrides rest on.
APPROVAL = "executive-approval"

Told = Callable[[Finding], None]


class Decision(NamedTuple):
    """The findings in the order of the checklist, and the approvals that they rest on.

    `blocked` is what else would refuse a run now, in words; '' for nothing, or where nobody asked.
    """

    findings: tuple[Finding, ...]
    approvals: tuple[ApprovalUse, ...] = ()
    blocked: str = ""

    @property
    def cleared(self) -> bool:
        """Whether nothing stands in the way."""
        return not any(finding.stops for finding in self.findings)


_CHECKS: Mapping[str, Callable[[Subject], Finding]] = {
    "hypothesis": hypothesis,
    "expected-outcome": expected_outcome,
    "success-criteria": success_criteria,
    "blast-radius": blast_radius,
    "monitoring": monitoring,
    "rollback-plan": rollback_plan,
    "off-peak": off_peak,
    "customer-communication": customer_communication,
}


def decide(subject: Subject, told: Told = lambda _: None) -> Decision:
    """Return how each of the ten items was decided; `told` hears each one as soon as it is.

    Raises RunFenced when this process lost its run meanwhile; nothing else.
    """
    approvals = _Approvals(subject)
    found: dict[str, Finding] = {}

    def settle(item: str, check: Callable[[Subject], Finding]) -> None:
        decided = _safely(item, check, subject)
        found[item] = _safely(item, lambda _: approvals.overridden(decided), subject)
        told(found[item])

    for line in BEFORE:
        if line.key == APPROVAL:
            settle(APPROVAL, approvals.finding)
        elif line.key != TEAM:
            settle(line.key, _CHECKS[line.key])
    began = subject.around.clock.mono()
    settle(TEAM, _not_yet if any(finding.stops for finding in found.values()) else team_notified)
    if subject.around.clock.mono() - began > STALE and not found[TEAM].stops:
        for item in ("monitoring", "rollback-plan", "off-peak"):
            settle(item, _CHECKS[item])
    ordered = tuple(found[line.key] for line in BEFORE)
    return Decision(ordered, approvals.uses)


def question_of(subject: Subject) -> Question:
    """Return what has to be signed for."""
    from chaosdrill.preflight.approval import Question

    return Question(
        rules=subject.rules,
        requester=subject.asked.actor,
        faults=subject.planned,
        bind=subject.bind,
        now=subject.around.clock.now(),
        seconds=subject.seconds,
        folder=subject.asked.approvals,
        source=subject.asked.source,
        options=subject.asked.options,
        overrides=frozenset(subject.asked.overrides),
        config=subject.asked.config,
        account=subject.asked.account,
    )


def _safely(item: str, check: Callable[[Subject], Finding], subject: Subject) -> Finding:
    try:
        return check(subject)
    except RunFenced:
        raise
    except ChaosdrillError as error:
        return Finding(item, "failed", error.message, error.next_step)
    except Exception as bug:  # noqa: BLE001 - whatever a check does, what it did not prove is not proved
        said = f"the check crashed: {type(bug).__name__}: {bug}"
        return Finding(item, "failed", said, "nothing is injected on the word of a broken check; report it")


def _not_yet(subject: Subject) -> Finding:
    """Say what needs nobody to be told, and tell nobody: other items stand in the way."""
    silent = subject._replace(team=subject.team._replace(sends=False, record=None))
    finding = team_notified(silent)
    if finding.state != "pending":
        return finding
    return finding._replace(said="nobody was told yet: other items stand in the way")


class _Approvals:
    """The signatures that a run rests on, looked up once and only where they are asked for."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._verified: Verified | None = None

    @property
    def uses(self) -> tuple[ApprovalUse, ...]:
        """Return the approvals that count."""
        return self._verified.uses if self._verified is not None else ()

    def finding(self, subject: Subject) -> Finding:
        """Return how the item of the approvals was decided."""
        need = subject.rules.approvals.need
        if need == 0:
            said = f"{subject.policy} asks for none"
            return waived(subject, APPROVAL) or Finding(APPROVAL, "not needed", said)
        verified = self._look()
        check = verified.check
        by = ", ".join(use.approver for use in verified.uses)
        if check.ok:
            return Finding(APPROVAL, "proved", check.said, by=by, checks=(check,))
        return Finding(APPROVAL, "failed", check.said, check.next_step, checks=(check,))

    def overridden(self, finding: Finding) -> Finding:
        """Return the finding, overridden where it failed and somebody who may has signed for that."""
        reason = self._subject.asked.overrides.get(finding.item)
        if reason is None or finding.state != "failed":
            return finding
        if finding.item == APPROVAL:
            return finding._replace(next_step=finding.next_step or "approvals can't be overridden")
        by = self._look().overrides.get(finding.item)
        if by is None:
            hint = f"nobody who may has signed for overriding it (approve --override {finding.item})"
            return finding._replace(next_step=f"{hint}; {finding.next_step}".rstrip("; "))
        said = f"{finding.said}; overridden: {reason}"
        return finding._replace(state="overridden", said=said, next_step="", by=by)

    def _look(self) -> Verified:
        # Imported here: it starts ssh-keygen, and most environments ask for no signatures.
        from chaosdrill.preflight.approval import verified

        if self._verified is None:
            self._verified = verified(question_of(self._subject))
        return self._verified
