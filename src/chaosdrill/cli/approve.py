"""`chaosdrill approve`: what is to be approved is planned, shown, and signed with one's SSH key."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chaosdrill.cli.run import engine_options, play_options

if TYPE_CHECKING:
    from chaosdrill.cli.screen.stream import Stream
    from chaosdrill.model.checklist import Check
    from chaosdrill.pipeline import Plan
    from chaosdrill.preflight.approval import Question
    from chaosdrill.preflight.issuing import Terms
    from chaosdrill.preflight.statement import Limits, Statement


@click.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False))
@click.option("--key", type=click.Path(dir_okay=False), help="Your SSH key; KEY.pub when an agent has it.")
@click.option("--as", "approver", metavar="NAME", help="Your name in the list of approvers, if it has more.")
@click.option("--for", "requester", metavar="WHO", help="Who will start the run; the refused run says it.")
@click.option("--environment", "-e", metavar="NAME", help="Overrides the file's own environment.")
@play_options
@click.option(
    "--valid-for", metavar="TIME", help="How long, such as '4 h' (default: what the policy allows)."
)
@click.option("--override", "overrides", multiple=True, metavar="ITEM", help="The run may go past this item.")
@click.option("--words", default="", metavar="TEXT", help="What you say to it; it is recorded.")
@click.option("--standing", is_flag=True, help="For a schedule: limits instead of these very targets.")
@click.option("--count", type=click.IntRange(min=1), help="Standing: how many runs may start.")
@click.option("--until", metavar="DATE", help="Standing: the last day, such as 2027-01-31.")
@click.option("--max-targets", type=click.IntRange(min=1), help="Standing: targets in all (default: as now).")
@click.option("--max-share", metavar="SHARE", help="Standing: share of a service (default: as now).")
@click.option("--window", "windows", multiple=True, metavar="SPAN", help="Standing: 'Tue-Thu 10:00-15:00'.")
@click.option("--timezone", default="UTC", show_default=True, metavar="ZONE", help="Standing: of --window.")
@click.option(
    "--list", "listing", is_flag=True, help="List the approvals there are, and what they are worth."
)
@click.option("--revoke", metavar="ID", help="Take an approval back, at once.")
@click.option("--why", default="", metavar="TEXT", help="Why it is taken back; it is recorded.")
@click.option("--yes", "-y", is_flag=True, help="Sign without asking once more.")
@click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON on standard output.")
@click.pass_context
def approve(ctx: click.Context, /, file: str | None, **options: Any) -> int:
    """Sign for a run that somebody else will start; or list approvals, or take one back.

    \b
    chaosdrill approve pod-failure.yaml -e production --for dora@laptop --key ~/.ssh/id_ed25519
    chaosdrill approve pod-failure.yaml -e production --for ci@runner --key ~/.ssh/id_ed25519 \\
        --standing --count 12 --until 2027-01-31 --window 'Tue-Thu 10:00-15:00'
    chaosdrill approve --list
    chaosdrill approve --revoke 3f2a --why "the release is today"

    An approval is bound to the file, its answers, variables, options and policy, to the targets that are
    shown before you sign, to who starts it, and to one start. It lies in approvals/ beside the policy.
    """
    if options["listing"] or options["revoke"]:
        from chaosdrill.cli import approvals

        if options["revoke"]:
            return approvals.revoke(ctx, file, options)
        return approvals.show_all(ctx, file, options)
    _complete(ctx, file, options)
    return _approve(ctx, Path(str(file)), options)


def _complete(ctx: click.Context, file: str | None, options: dict[str, Any]) -> None:
    """Raise UsageError for what is missing before anything is loaded."""
    needed = {"FILE": file, "--key KEY": options["key"], "--for WHO": options["requester"]}
    if options["standing"]:
        needed |= {"--count N": options["count"], "--until DATE": options["until"]}
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise click.UsageError(f"say also: {', '.join(missing)}.", ctx)
    extra = [name for name in ("count", "until", "max_targets", "max_share", "windows") if options[name]]
    if extra and not options["standing"]:
        raise click.UsageError(f"--{extra[0].rstrip('s').replace('_', '-')} goes with --standing.", ctx)
    if options["standing"] and options["valid_for"]:
        raise click.UsageError("a standing approval lasts until --until, not --valid-for.", ctx)


def _approve(ctx: click.Context, file: Path, options: dict[str, Any]) -> int:
    from chaosdrill.ctk.process import started

    engine = started()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        from chaosdrill import app
        from chaosdrill.cli import place
        from chaosdrill.cli.screen.stream import stderr, stdout
        from chaosdrill.pipeline import Request, draft, plan
        from chaosdrill.preflight.issuing import draw_up, issue
        from chaosdrill.watchdog import line

        request = Request(
            source=file,
            home=place.home(ctx.obj["home"]),
            actor=options["requester"],
            environment=options["environment"],
            config=Path(ctx.obj["config"]) if ctx.obj["config"] else None,
            options=engine_options(options),
        )
        workshop = app.workshop(engine, line.Line())
        planned = plan(draft(request), workshop)
        question = _question(planned, workshop.clock.now(), options)
        terms = _terms(planned, question, options)
        statement = draw_up(question, planned.title, terms, os.urandom(16).hex())
        out = stderr() if options["as_json"] else stdout()
        for text in _shown(statement, planned, out):
            out.line(text)
        if not _agreed(options):
            out.line("not signed")
            return 2
        path = issue(statement, question, Path(options["key"]).expanduser())
        _tell(statement, question, path, as_json=options["as_json"])
    finally:
        engine.end()
    return 0


def _question(planned: Plan, now: float, options: dict[str, Any]) -> Question:
    """Return what the run will ask when it is started by whom it is approved for."""
    from chaosdrill.preflight.approval import Question
    from chaosdrill.record import approvals

    request, policy = planned.draft.request, planned.rules.source
    return Question(
        rules=planned.rules,
        requester=request.actor,
        faults=planned.planned,
        bind=planned.bind,
        now=now,
        seconds=0.0,
        folder=approvals.folder(Path(policy) if policy else None, request.home),
        source=request.source,
        options=request.options,
        overrides=tuple(dict.fromkeys(options["overrides"])),
    )


def _terms(planned: Plan, question: Question, options: dict[str, Any]) -> Terms:
    from chaosdrill.preflight.issuing import Terms

    rules = question.rules.approvals
    if options["standing"]:
        lasts = _until(options["until"], options["timezone"]) - question.now
    else:
        lasts = _quantity("--valid-for", options["valid_for"]) or rules.valid_for
    return Terms(
        approver=options["approver"] or _name(Path(options["key"]).expanduser(), Path(rules.signers)),
        lasts=lasts,
        overrides=question.overrides,
        words=options["words"],
        limits=_limits(planned, options) if options["standing"] else None,
    )


def _name(key: Path, signers: Path) -> str:
    """Return the one name that the list of approvers has for a key. Raises UsageError unless it is one."""
    from chaosdrill.errors import UsageError
    from chaosdrill.preflight import signature

    found = signature.principals(key, signers)
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"{signers.name} has {len(found)} names for {key}: {', '.join(found)}",
            next_step="choose with --as",
        )
    # Nobody is named where the policy has no list; issuing says that better.
    if not signers.is_file():
        return "?"
    raise UsageError(
        f"{key} is not among the approvers in {signers}",
        next_step="say who you are with --as, or have your public key put into that file",
    )


def _limits(planned: Plan, options: dict[str, Any]) -> Limits:
    from chaosdrill.errors import UsageError
    from chaosdrill.model.policy import Windows, parse_span
    from chaosdrill.preflight.statement import Limits
    from chaosdrill.units import UnitError, parse_share

    hit = {(fault.target, name) for fault in planned.planned for name in fault.chosen}
    share = max((len(f.chosen) / f.candidates for f in planned.planned if f.candidates), default=1.0)
    try:
        spans = tuple(parse_span(text) for text in options["windows"])
        share = parse_share(options["max_share"]) if options["max_share"] else share
    except UnitError as error:
        raise UsageError(str(error)) from None
    _zone(options["timezone"])
    windows = Windows(options["timezone"], spans) if spans else None
    return Limits(options["count"], options["max_targets"] or max(1, len(hit)), share, windows)


def _quantity(flag: str, text: str | None) -> float | None:
    from chaosdrill.errors import UsageError
    from chaosdrill.units import UnitError, parse_duration

    try:
        return parse_duration(text) if text else None
    except UnitError as error:
        raise UsageError(f"{flag}: {error}") from None


def _until(text: str, timezone: str) -> float:
    """Return the end of a day in `timezone`, or the very moment if `text` says one, in epoch seconds."""
    from datetime import datetime, timedelta

    from chaosdrill.errors import UsageError

    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise UsageError(f"--until {text!r} is no day; write it like 2027-01-31") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=_zone(timezone))
    whole_day = len(text.strip()) <= len("2027-01-31")
    return (moment + timedelta(days=1) if whole_day else moment).timestamp()


def _zone(name: str) -> Any:
    from zoneinfo import ZoneInfo

    from chaosdrill.errors import UsageError

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise UsageError(f"there is no time zone {name!r}", next_step="write it like Europe/Berlin") from None


def _agreed(options: dict[str, Any]) -> bool:
    """Ask once more where somebody sits in front of it; a script has said what it wants."""
    if options["yes"] or options["as_json"] or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return True
    return click.confirm("Sign this?", default=False)


# ---- what is shown


def _shown(statement: Statement, planned: Plan, out: Stream) -> Iterator[str]:
    from chaosdrill.cli.screen.layout import beside, listed
    from chaosdrill.cli.screen.words import clean, fault_words
    from chaosdrill.units import format_duration

    yield beside("approve", clean(statement.title), out)
    yield beside("file", f"{planned.file.path} (sha256 {planned.file.digest[:12]}...)", out)
    yield beside("where", planned.rules.place, out)
    hits = [
        f"{fault_words({'kind': f.kind, 'chosen': f.chosen, 'target': f.target})}"
        f" ({len(f.chosen)} of {f.candidates} of {f.target}) for {format_duration(f.duration)}"
        for f in planned.planned
    ]
    yield from listed(
        "hits" if statement.limits is None else "now it hits", hits or ["no fault of ours"], out
    )
    yield from listed("reaches", _reach(statement), out)
    yield beside("asked by", clean(statement.requester), out)
    if statement.overrides:
        yield beside("OVERRIDES", ", ".join(statement.overrides), out)
    starts = "one start" if statement.starts == 1 else f"{statement.starts} starts"
    lasts = format_duration(statement.expires - statement.issued)
    yield beside("holds", f"until {_moment(statement.expires)} ({lasts}), for {starts}", out)
    yield beside("signed as", clean(statement.approver), out)
    if statement.words:
        yield beside("words", clean(statement.words), out)


def _reach(statement: Statement) -> Iterator[str]:
    from chaosdrill.units import format_duration, format_share

    limits = statement.limits
    if limits is None:
        return
    for aim in statement.aims:
        kind = aim.kind.replace("_", " ")
        yield f"{kind} of any of {aim.target}, up to {format_duration(aim.duration)} each"
    noun = "target" if limits.max_targets == 1 else "targets"
    yield f"at most {limits.max_targets} {noun} a run, at most {format_share(limits.max_share)} of a service"
    if limits.windows is None:
        yield "at any time that the policy allows"
    else:
        yield f"{', '.join(span.text for span in limits.windows.allow)} ({limits.windows.timezone})"


def _moment(moment: float) -> str:
    from chaosdrill.clock import iso

    return f"{iso(moment)[:16].replace('T', ' ')} UTC"


def _tell(statement: Statement, question: Question, path: Path, *, as_json: bool) -> None:
    import json

    from chaosdrill.cli.screen.layout import beside, print_json, shown
    from chaosdrill.cli.screen.stream import stdout
    from chaosdrill.preflight.approval import verified
    from chaosdrill.record import approvals

    # As the run will see it, with what else has been signed for it.
    check = verified(replace(question, now=max(question.now, statement.issued))).check
    identity = approvals.identity(statement.text())
    if as_json:
        said = json.loads(statement.text())
        print_json({"id": identity, "file": str(path), "statement": said, "enough": check.ok})
        return
    out = stdout()
    out.line()
    out.line(beside("signed", f"{identity}, in {shown(path)}", out))
    out.line(beside("worth", _worth(statement, check), out))
    out.line(beside("take back", f"chaosdrill approve --revoke {identity} --why TEXT", out))


def _worth(statement: Statement, check: Check) -> str:
    if statement.limits is not None:
        return "it counts as one approval for each run within its limits"
    if check.ok:
        return check.said
    return f"{check.facts['people']} of {check.facts['need']} approvals; somebody else has to sign too"
