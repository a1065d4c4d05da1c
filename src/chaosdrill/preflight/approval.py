"""Whether somebody who may has signed for exactly this run: approvals, standing ones, and what they override.

An approval is trusted for the bytes that were signed and for nothing else: not for its file's name, not for
where it lies. What can't be checked is not an approval. This module knows neither the plan nor the pipeline:
they ask by a Question.
"""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from chaosdrill.clock import iso
from chaosdrill.errors import Refused
from chaosdrill.model.checklist import ApprovalUse, Binding, Check
from chaosdrill.model.policy import Rules
from chaosdrill.preflight import signature, windows
from chaosdrill.preflight.statement import SCOPE, Limits, Statement, parse
from chaosdrill.record import approvals
from chaosdrill.record.approvals import Book, Stored
from chaosdrill.units import format_duration, format_share

#: How long a standing approval may last, in seconds: a quarter, after which somebody has to look again.
LONGEST_STANDING = 92 * 86_400.0
#: How far the clocks of two machines may be apart, in seconds, before an approval is from the future.
SKEW = 5.0
_PARTS_IN_WORDS = {"files": "a control, variable or settings file"}
#: What has to be hashed slowly under the statement's own salt is compared last, and the scope with it: a
#: changed variable often changes the scope too, and it is the variable that people look for.
_LAST = frozenset({"configuration", "secrets", SCOPE})


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
    approver is given, and so is `config`, the policy where it was named; `overrides` are the items that the
    run wants to go past. `account` is the machine's own name for the requester, who may call themselves
    anything.
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
    config: Path | None = None
    account: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """An approval that does not count, and why: 'configuration changed since alice@example.com approved it'.

    `near` says whether it was meant for this file in this environment, which makes it news; `issued`
    is in epoch seconds, 0 where nobody can tell.
    """

    id: str
    approver: str
    why: str
    near: bool
    issued: float = 0.0


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
    good: list[ApprovalUse] = []
    bad: list[Rejected] = []
    for file in approvals.stored(question.folder):
        try:
            good.append(_use(file, question))
        except Refused as refusal:
            bad.append(_rejected(file, question, str(refusal)))
    bad.sort(key=lambda one: one.issued)
    uses = tuple(_enough(good, question))
    allowed = {item: use.approver for use in uses for item in use.overrides if item in question.overrides}
    return Verified(uses, tuple(bad), _check(uses, bad, question), allowed)


def spend(question: Question, uses: Sequence[ApprovalUse], run: str) -> tuple[ApprovalUse, ...]:
    """Verify once more what a clearance rests on, and record that `run` uses it; the last act before a start.

    Returns the uses with their numbers. Raises Refused when one no longer counts, or can't be recorded.
    """
    if not uses:
        return ()
    book = Book(question.folder)
    hit = tuple(dict.fromkeys(name for fault in question.faults for name in fault.chosen))
    with book.locked():
        files = {file.id: file for file in approvals.stored(question.folder) if not file.broken}
        fresh = []
        for use in uses:
            if use.id not in files:
                raise Refused(f"not injecting: the approval {use.id} of {use.approver} is gone")
            try:
                fresh.append(_use(files[use.id], question))
            except Refused as refusal:
                why = f"not injecting: the approval {use.id} of {use.approver} no longer counts: {refusal}"
                raise Refused(why) from None
        for use in fresh:
            whole = approvals.digest(files[use.id].statement)
            book.add(approvals.Use(whole, run, question.now, hit))
    return tuple(fresh)


def same_person(one: str, other: str) -> bool:
    """Return whether two names may mean one person: alike but for case, or alike before the @ (or the +).

    alice@laptop and Alice@example.com are taken for one: in doubt, nobody approves their own run.
    """
    return bool(_names(one) & _names(other))


def command(question: Question) -> str:
    """Return what to give to an approver: the very command that approves this run."""
    policy = ["--config", str(question.config)] if question.config else []
    words = ["chaosdrill", *policy, "approve", str(question.source), "-e", question.rules.environment]
    for name, values in question.options.items():
        flag = "--rollback-strategy" if name == "rollbacks_strategy" else f"--{name.replace('_', '-')}"
        if values is True:
            words.append(flag)
        elif isinstance(values, (list, tuple)):
            words += [word for value in values for word in (flag, str(value))]
        elif values:
            words += [flag, str(values)]
    words += [word for item in sorted(question.overrides) for word in ("--override", item)]
    return shlex.join([*words, "--for", question.requester, "--key"]) + " YOUR-KEY"


# ---- one approval


def _use(file: Stored, question: Question) -> ApprovalUse:
    """Return what an approval is good for. Raises Refused, saying why it does not count.

    What costs nothing comes first. Nothing of it is believed until the signature was checked: before that it
    can only be refused.
    """
    if file.broken:
        raise Refused(file.broken)
    read = parse(file.statement)
    plain = question.bind("hmac:none").parts
    _same(read, {name: value for name, value in plain.items() if name not in _LAST})
    _timely(read, question)
    _by_another(read, question)
    if why := approvals.revoked(question.folder, file.id):
        raise Refused(why)
    used = Book(question.folder).uses(file.statement)
    if used >= read.starts:
        raise Refused(
            "it was used already" if read.starts == 1 else f"all its {read.starts} starts were used"
        )
    if not question.rules.approvals.signers:
        raise Refused("the policy names nobody who may approve")
    signers = Path(question.rules.approvals.signers)
    who = signature.signer(file.statement.encode(), file.signature, signers, read.approver, question.now)
    _same(read, question.bind(read.salt).parts)
    _within(read, question)
    return ApprovalUse(
        id=file.id,
        approver=read.approver,
        requester=read.requester,
        kind=read.kind,
        issued=read.issued,
        expires=read.expires,
        overrides=read.overrides,
        words=read.words,
        use=used + 1,
        key=who.key,
    )


def _same(read: Statement, parts: Mapping[str, str]) -> None:
    """Raise Refused, naming them, for parts that are not what was approved."""
    if read.environment != parts["environment"]:
        raise Refused(f"it is for {read.environment}, not for {parts['environment']}")
    free = {SCOPE} if read.kind == "standing" else set()
    names = [name for name in sorted({*parts} - free) if read.parts.get(name) != parts[name]]
    if names:
        listed = ", ".join(_PARTS_IN_WORDS.get(name, name) for name in names)
        raise Refused(f"{listed} changed since {read.approver} approved it")


def _timely(read: Statement, question: Question) -> None:
    lasts = read.expires - read.issued
    allowed = question.rules.approvals.valid_for if read.kind == "once" else LONGEST_STANDING
    if question.now < read.issued - SKEW:
        raise Refused(f"it is not valid before {iso(read.issued)}; is a clock wrong?")
    if question.now >= read.expires:
        raise Refused(f"it expired at {iso(read.expires)}")
    if lasts > allowed + 0.001:
        raise Refused(f"it is meant for {format_duration(lasts)}, {format_duration(allowed)} are allowed")


def _by_another(read: Statement, question: Question) -> None:
    if read.requester.casefold() != question.requester.casefold():
        raise Refused(f"it is for {read.requester}, not for {question.requester}")
    for asking in (read.requester, question.requester, question.account):
        if asking and same_person(read.approver, asking):
            raise Refused(f"{read.approver} can't approve what {asking} asks for: one person")


def _within(read: Statement, question: Question) -> None:
    """Raise Refused for targets that the approval does not reach."""
    planned = [(fault.kind, fault.target, fault.chosen, fault.candidates) for fault in question.faults]
    if read.limits is None:
        # The digest of the scope has been compared; this is what the approver has read.
        if [(aim.kind, aim.target, aim.chosen, aim.candidates) for aim in read.aims] != planned:
            raise Refused(f"the targets changed since {read.approver} approved it")
        return
    longest = {(aim.kind, aim.target): aim.duration for aim in read.aims}
    for fault in question.faults:
        what = f"{fault.kind} of {fault.target}"
        if (fault.kind, fault.target) not in longest:
            raise Refused(f"{what} is not among what {read.approver} allows")
        if fault.duration > longest[fault.kind, fault.target]:
            most = format_duration(longest[fault.kind, fault.target])
            raise Refused(f"{what} for {format_duration(fault.duration)}, {most} are allowed")
    _small(read.limits, question)


def _small(limits: Limits, question: Question) -> None:
    hit = {(fault.target, name) for fault in question.faults for name in fault.chosen}
    if len(hit) > limits.max_targets:
        raise Refused(f"{len(hit)} targets, {limits.max_targets} are allowed")
    for fault in question.faults:
        share = len(fault.chosen) / fault.candidates if fault.candidates else 1.0
        if share > limits.max_share:
            raise Refused(
                f"{len(fault.chosen)} of {fault.candidates} targets of {fault.target} are"
                f" {format_share(share)}, {format_share(limits.max_share)} are allowed"
            )
    if limits.windows is not None:
        check, _ = windows.check(limits.windows, question.now, question.seconds)
        if not check.ok:
            raise Refused(check.said, next_step=check.next_step)


# ---- all of them


def _enough(good: Sequence[ApprovalUse], question: Question) -> Iterator[ApprovalUse]:
    """Return the approvals to use: all overrides covered, then as many people as are needed, and no more.

    Two names with one key are one person, and so are two names that may mean one.
    """
    chosen: list[ApprovalUse] = []
    waiting = sorted(good, key=lambda use: (use.kind == "standing", use.expires, use.id))
    for item in sorted(question.overrides):
        covering = [use for use in waiting if item in use.overrides]
        if covering and not any(item in use.overrides for use in chosen):
            chosen.append(covering[0])
    for use in waiting:
        if _people(chosen) >= question.rules.approvals.need:
            break
        if use not in chosen and _people([*chosen, use]) > _people(chosen):
            chosen.append(use)
    return iter(chosen)


def _people(uses: Sequence[ApprovalUse]) -> int:
    counted: list[ApprovalUse] = []
    for use in uses:
        if not any(use.key == one.key or same_person(use.approver, one.approver) for one in counted):
            counted.append(use)
    return len(counted)


def _check(uses: Sequence[ApprovalUse], bad: Sequence[Rejected], question: Question) -> Check:
    need, people = question.rules.approvals.need, _people(uses)
    facts = {
        "need": need,
        "people": people,
        "uses": [use._asdict() for use in uses],
        "rejected": [asdict(one) for one in bad],
    }
    if people >= need:
        said = "; ".join(f"{use.approver} until {iso(use.expires)[:16]}Z ({use.id})" for use in uses)
        said = f"approved by {said}" if uses else f"{question.rules.environment} asks for no approval"
        return Check("approvals", True, said, at=question.now, facts=facts)
    said = f"{people} of {need} approvals"
    if near := [f"{one.id}: {one.why}" for one in bad if one.near]:
        said += f" ({'; '.join(near[-2:])})"
    step = f"have somebody who may approve type: {command(question)}"
    return Check("approvals", False, said, at=question.now, next_step=step, facts=facts)


def _rejected(file: Stored, question: Question, why: str) -> Rejected:
    try:
        read = parse(file.statement)
    except Refused:
        return Rejected(file.id, "", why, near=True)
    near = read.file == question.source.name and read.environment == question.rules.environment
    return Rejected(file.id, read.approver, why, near, read.issued)


def _names(name: str) -> set[str]:
    whole = unicodedata.normalize("NFKC", name).casefold().strip()
    local = whole.partition("@")[0].partition("+")[0].strip()
    return {whole, local}
