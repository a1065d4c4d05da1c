"""How an approval comes to be: the statement is drawn up, somebody signs it, it is checked as a run would.

The other half of `approval`, kept apart so that a run never loads what can sign. It asks nobody anything and
shows nothing: that is the command's part.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from chaosdrill.errors import UsageError
from chaosdrill.preflight import signature
from chaosdrill.preflight.approval import LONGEST_STANDING, Question, same_person
from chaosdrill.preflight.statement import OVERRIDABLE, PARTS, SALT, SCOPE, Aim, Limits, Statement, parse
from chaosdrill.record import approvals
from chaosdrill.units import format_duration


@dataclass(frozen=True, slots=True)
class Terms:
    """What an approver decides: as whom, for how long (seconds), past which items, how far if standing."""

    approver: str
    lasts: float
    overrides: Collection[str] = ()
    words: str = ""
    limits: Limits | None = None


def draw_up(question: Question, title: str, terms: Terms, entropy: str) -> Statement:
    """Return the statement to sign for what the question asks; `entropy` are 32 random hexadecimal digits.

    Raises UsageError for what no run would accept.
    """
    _acceptable(question, terms)
    salt = f"{SALT}{entropy}"
    standing = terms.limits is not None
    bound = question.bind(salt).parts
    wanted = PARTS if standing else PARTS | {SCOPE}
    statement = Statement(
        kind="standing" if standing else "once",
        title=title,
        file=question.source.name,
        requester=question.requester,
        approver=terms.approver,
        # To the millisecond, as it is written.
        issued=int(question.now * 1000) / 1000,
        expires=int((question.now + terms.lasts) * 1000) / 1000,
        salt=salt,
        parts={name: value for name, value in bound.items() if name in wanted},
        aims=_aims(question, standing=standing),
        limits=terms.limits,
        overrides=tuple(sorted(terms.overrides)),
        words=terms.words,
    )
    # What would not be read must not be signed.
    return parse(statement.text())


def issue(statement: Statement, question: Question, key: Path) -> Path:
    """Have `key` sign the statement, check it as a run would, write it, and return its file.

    Raises UsageError when there is no signature, Refused when it would not count, RecordUnusable.
    """
    text = statement.text()
    signed = signature.sign(text.encode(), key)
    signers = Path(question.rules.approvals.signers)
    signature.signer(text.encode(), signed, signers, statement.approver, statement.issued)
    return approvals.write(question.folder, text, signed, statement.approver)


def check_overrides(items: Collection[str]) -> None:
    """Raise UsageError for an item that does not exist, or that nobody may go past."""
    for item in items:
        if item not in OVERRIDABLE:
            near = get_close_matches(item, OVERRIDABLE, n=1)
            raise UsageError(
                f"{item!r} can't be overridden",
                next_step=f"did you mean {near[0]}?" if near else f"choose from {', '.join(OVERRIDABLE)}",
            )


def _acceptable(question: Question, terms: Terms) -> None:
    rules, standing = question.rules, terms.limits is not None
    check_overrides(terms.overrides)
    if not rules.approvals.signers:
        raise UsageError(
            f"{rules.place} names nobody who may approve",
            next_step=f"give environments.{rules.environment}.approvals.signers an allowed-signers file",
        )
    if not rules.approvals.need and not terms.overrides:
        raise UsageError(
            f"{rules.place} asks for no approval", next_step=f"start it: chaosdrill run {question.source}"
        )
    if same_person(terms.approver, question.requester):
        raise UsageError(
            f"{terms.approver} can't approve what {question.requester} asks for: they may be one person",
            next_step="have somebody else approve it",
        )
    allowed = LONGEST_STANDING if standing else rules.approvals.valid_for
    if not 1 <= terms.lasts <= allowed:
        raise UsageError(
            f"an approval for {format_duration(terms.lasts)}: {format_duration(allowed)} are allowed at most",
            next_step="say less with --until" if standing else "say less with --valid-for",
        )


def _aims(question: Question, *, standing: bool) -> tuple[Aim, ...]:
    if not standing:
        return tuple(
            Aim(f.kind, f.target, float(f.duration), tuple(f.chosen), f.candidates) for f in question.faults
        )
    longest: dict[tuple[str, str], float] = {}
    for fault in question.faults:
        name = (fault.kind, fault.target)
        longest[name] = max(longest.get(name, 0.0), float(fault.duration))
    return tuple(Aim(kind, target, seconds) for (kind, target), seconds in longest.items())
