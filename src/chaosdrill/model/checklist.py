"""The checklist that every run passes: its items, how each was decided, and the clearance that comes of it.

Standard library only, because a plain Chaos Toolkit file is cleared too and should not wait for more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

State = Literal["proved", "attested", "not needed", "failed", "overridden", "pending"]
Stage = Literal["before", "during", "after"]


class Item(NamedTuple):
    """One line of the checklist."""

    key: str
    title: str
    stage: Stage


#: The pre-flight checklist, in the order in which it is asked.
BEFORE = (
    Item("hypothesis", "Hypothesis defined", "before"),
    Item("expected-outcome", "Expected outcome documented", "before"),
    Item("success-criteria", "Success criteria established", "before"),
    Item("blast-radius", "Blast radius minimised", "before"),
    Item("monitoring", "Monitoring in place, system healthy", "before"),
    Item("rollback-plan", "Rollback plan ready", "before"),
    Item("team-notified", "Team notified and ready", "before"),
    Item("off-peak", "Off-peak hours", "before"),
    Item("executive-approval", "Executive approval", "before"),
    Item("customer-communication", "Customer communication plan", "before"),
)
DURING = (
    Item("monitored", "Monitored in real time", "during"),
    Item("ready-to-abort", "Ready to abort", "during"),
    Item("observations", "Observations documented", "during"),
    Item("status-communicated", "Status communicated", "during"),
)
AFTER = (
    Item("hypothesis-answered", "Hypothesis confirmed or rejected", "after"),
    Item("findings", "Findings documented", "after"),
    Item("improvements", "Improvements identified", "after"),
    Item("learnings-shared", "Learnings shared", "after"),
)
ITEMS: Mapping[str, Item] = {item.key: item for item in (*BEFORE, *DURING, *AFTER)}


class Answer(NamedTuple):
    """What a person says about an item: that it is done (`attested`), or why it is not needed.

    `by` is the person's name, `at` an ISO 8601 date or moment, `words` what they say; `where` names the file
    (or the command) that it was read from, `link` and `owner` go with findings and learnings.
    """

    item: str
    kind: Literal["attested", "not needed"]
    words: str
    by: str = ""
    at: str = ""
    where: str = ""
    link: str = ""
    owner: str = ""


class Check(NamedTuple):
    """One piece of machine evidence: what was looked at (`name`), how it came out, and in which words.

    `at` in epoch seconds, `took` in seconds; `facts` is JSON. `failed` may carry what to do in `next_step`.
    """

    name: str
    ok: bool
    said: str
    at: float = 0.0
    took: float = 0.0
    next_step: str = ""
    facts: Mapping[str, Any] = {}


class Finding(NamedTuple):
    """How one item was decided: its state, why in one line, what to do when it failed, and the evidence."""

    item: str
    state: State
    said: str
    next_step: str = ""
    by: str = ""
    at: str = ""
    checks: tuple[Check, ...] = ()

    @property
    def title(self) -> str:
        """The item's line on the checklist."""
        return ITEMS[self.item].title

    @property
    def stops(self) -> bool:
        """Whether nothing may be injected because of it; `pending` stops too, where nobody waits for it."""
        return self.state in ("failed", "pending")

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON, with its title."""
        return {"title": self.title, **self._asdict(), "checks": [check._asdict() for check in self.checks]}


class Binding(NamedTuple):
    """What a clearance or an approval is bound to, part by part, each a digest or a readable value.

    Parts: experiment, answers, policy, environment, configuration, secrets, options, files, scope. The salted
    ones (configuration, secrets) can only be compared under the same `salt`.
    """

    salt: str
    parts: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The SHA-256 over all parts and the salt, in hexadecimal."""
        return digest({"salt": self.salt, "parts": dict(self.parts)})

    def drift(self, other: Mapping[str, str]) -> tuple[str, ...]:
        """Return the names of the parts that differ from `other`, in order; a missing part differs."""
        names = sorted({*self.parts, *other})
        return tuple(name for name in names if self.parts.get(name) != other.get(name))


class ApprovalUse(NamedTuple):
    """An approval that a clearance rests on: who signed, when, until when, and what it overrides.

    `use` counts its starts, this one included; `key` is the signing key's SHA-256.
    """

    id: str
    approver: str
    requester: str
    kind: Literal["once", "standing"]
    issued: float
    expires: float
    overrides: tuple[str, ...] = ()
    words: str = ""
    use: int = 0
    key: str = ""


class Clearance(NamedTuple):
    """The value that lets a run start: what was decided, what it is bound to, and until when it holds."""

    run: str
    environment: str
    binding: Binding
    findings: tuple[Finding, ...]
    issued: float
    expires: float
    approvals: tuple[ApprovalUse, ...] = ()

    @property
    def overridden(self) -> tuple[Finding, ...]:
        """The items that failed and were overridden by somebody who may."""
        return tuple(f for f in self.findings if f.state == "overridden")

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON, for run.json and reports."""
        return {
            "environment": self.environment,
            "digest": self.binding.digest,
            # Under a salt that nobody knows, what was secret can't be guessed from its digest.
            "salt": self.binding.salt if self.binding.salt.startswith("scrypt:") else "",
            "parts": dict(self.binding.parts),
            "issued": self.issued,
            "expires": self.expires,
            "approvals": [use._asdict() for use in self.approvals],
            "findings": [finding.as_json() for finding in self.findings],
        }


def canonical(value: Any) -> bytes:
    """Return JSON that is the same for equal values: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str).encode()


def digest(value: Any) -> str:
    """Return the SHA-256 of `value` as canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def reasons(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return why nothing may be injected, one line an item, with what to do.

    What only waits for other items to pass is no reason of its own beside them.
    """
    failed = [finding for finding in findings if finding.state == "failed"]
    stopping = failed or [finding for finding in findings if finding.stops]
    return tuple(f"{f.title}: {f.said}" + (f"; {f.next_step}" if f.next_step else "") for f in stopping)
