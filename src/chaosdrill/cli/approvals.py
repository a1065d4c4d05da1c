"""The approvals that there are: what each is worth with no run to compare it with, and taking one back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from chaosdrill.cli import place
from chaosdrill.cli.screen.layout import print_json, shown, table
from chaosdrill.cli.screen.stream import stdout
from chaosdrill.cli.screen.words import clean
from chaosdrill.clock import SystemClock, iso
from chaosdrill.errors import ChaosdrillError, Refused, UsageError
from chaosdrill.plan.policy import find_policy, read_rules
from chaosdrill.preflight import signature
from chaosdrill.preflight.statement import Statement, parse
from chaosdrill.record import approvals
from chaosdrill.record.approvals import Book, Stored


@dataclass(frozen=True)
class _Place:
    """Where approvals lie, and the policy whose approvers sign there."""

    folder: Path
    policy: Path | None
    now: float


def show_all(ctx: click.Context, file: str | None, options: Mapping[str, Any]) -> int:
    """List every approval, the newest last; FILE only says where to look."""
    where = _place(ctx, file)
    rows = sorted((_row(each, where) for each in approvals.stored(where.folder)), key=lambda r: r["issued"])
    if options["as_json"]:
        print_json(rows)
        return 0
    out = stdout()
    if not rows:
        out.line(f"no approvals in {shown(where.folder)}")
        return 0
    head = ("id", "worth", "starts", "until (UTC)", "by", "for", "where", "file")
    keys = ("id", "worth", "starts", "until", "approver", "requester", "environment", "source")
    for text in table(head, [[clean(row[key]) for key in keys] for row in rows]):
        out.line(text)
    return 0


def revoke(ctx: click.Context, file: str | None, options: Mapping[str, Any]) -> int:
    """Take one approval back. Raises UsageError unless exactly one is meant and a reason is given."""
    where = _place(ctx, file)
    if not options["why"].strip():
        raise click.UsageError("say why, with --why TEXT.", ctx)
    found = [each for each in approvals.stored(where.folder) if each.id.startswith(options["revoke"])]
    if len(found) != 1:
        raise UsageError(
            f"{options['revoke']!r} is {len(found) or 'none'} of the approvals in {shown(where.folder)}",
            next_step="see: chaosdrill approve --list",
        )
    facts = {"id": found[0].id, "by": place.actor(), "why": options["why"], "at": iso(where.now)}
    path = approvals.revoke(where.folder, found[0].id, facts)
    if options["as_json"]:
        print_json({**facts, "file": str(path)})
    else:
        stdout().line(f"revoked {found[0].id}; no run starts on it any more. It says so in {shown(path)}")
    return 0


def _place(ctx: click.Context, file: str | None) -> _Place:
    config = Path(ctx.obj["config"]) if ctx.obj["config"] else None
    policy = find_policy(Path(file) if file else Path("any.yaml"), config)
    return _Place(approvals.folder(policy, place.home(ctx.obj["home"])), policy, SystemClock().now())


def _row(each: Stored, where: _Place) -> dict[str, Any]:
    row = {"id": each.id, "path": str(each.path), "worth": f"nothing: {each.broken}"}
    row |= dict.fromkeys(("starts", "until", "approver", "requester", "environment", "source", "issued"), "")
    if each.broken:
        return row
    try:
        read = parse(each.statement)
    except Refused as refusal:
        return {**row, "worth": f"nothing: {refusal}"}
    row |= {
        "until": iso(read.expires)[:16].replace("T", " "),
        "issued": iso(read.issued),
        "approver": read.approver,
        "requester": read.requester,
        "environment": read.environment,
        "source": read.file,
        "statement": json.loads(each.statement),
    }
    try:
        used = Book(where.folder).uses(each.statement)
        return {**row, "starts": f"{used} of {read.starts}", "worth": _worth(each, read, used, where)}
    except ChaosdrillError as problem:
        return {**row, "worth": f"nothing: {problem}"}


def _worth(each: Stored, read: Statement, used: int, where: _Place) -> str:
    if approvals.revoked(where.folder, each.id):
        return "revoked"
    if where.now >= read.expires:
        return "expired"
    if used >= read.starts:
        return "used up"
    signers = read_rules(where.policy, read.environment).approvals.signers
    if not signers:
        return "nothing: the policy names nobody who may approve"
    signature.signer(each.statement.encode(), each.signature, Path(signers), read.approver, where.now)
    return "standing" if read.limits else "one start"
