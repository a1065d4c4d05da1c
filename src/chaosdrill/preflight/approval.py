"""Whether somebody who may has signed for exactly this run: approvals, standing ones, and what they override.

An approval is trusted for the bytes that were signed and for nothing else: not for its file's name, not for
where it lies. What can't be checked is not an approval. This module knows neither the plan nor the pipeline:
they ask by a Question.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from chaosdrill.model.checklist import ApprovalUse, Binding, Check
from chaosdrill.model.policy import Rules


class Hit(Protocol):
    """What one fault will hit, for how long (seconds); a PlannedFault is one."""

    @property
    def kind(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def chosen(self) -> tuple[str, ...]: ...
    @property
    def candidates(self) -> int: ...
    @property
    def duration(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Question:
    """What has to be signed for: who asks to hit what, under which rules, bound to what.

    `seconds` is how long the run takes, `now` epoch seconds. `folder` is where approvals lie (see
    `record.approvals.folder`), `source` and `options` are the run's own (Request), for the command that an
    approver is given; `overrides` are the items that the run wants to go past.
    """

    rules: Rules
    requester: str
    faults: Sequence[Hit]
    bind: Callable[[str], Binding]
    now: float
    seconds: float
    folder: Path
    source: Path
    options: Mapping[str, object] = field(default_factory=dict)
    overrides: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """An approval that does not count, and why: 'configuration changed since alice@example.com approved it'."""

    id: str
    approver: str
    why: str


@dataclass(frozen=True, slots=True)
class Verified:
    """The approvals that count for a question, the ones that don't, and what it comes to.

    `check` is ok when as many people have signed as the rules ask for; `overrides` says of each item that may
    be gone past who allowed it.
    """

    uses: tuple[ApprovalUse, ...]
    rejected: tuple[Rejected, ...]
    check: Check
    overrides: Mapping[str, str] = field(default_factory=dict)


def verified(question: Question) -> Verified:
    """Return which approvals count for the question; never raises for what is wrong with an approval.

    Only called where rules.approvals.need > 0 or the run overrides something: it starts ssh-keygen.
    """
    check = Check("approvals", False, "approvals can't be checked yet", at=question.now)
    return Verified((), (), check)


def spend(question: Question, uses: Sequence[ApprovalUse], run: str) -> tuple[ApprovalUse, ...]:
    """Verify once more what a clearance rests on, and record that `run` uses it up; the last act before a start.

    Returns the uses with their numbers. Raises Refused when one no longer counts, or can't be recorded.
    """
    del question, run
    return tuple(uses)
