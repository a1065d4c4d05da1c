"""`chaosdrill answer`: what people found, learnt and shared, said about a run that is over."""

from __future__ import annotations

import click

from chaosdrill.cli import place
from chaosdrill.cli.screen.layout import print_json
from chaosdrill.cli.screen.stream import stdout
from chaosdrill.cli.screen.words import clean, short_name
from chaosdrill.clock import SystemClock, iso
from chaosdrill.errors import UsageError
from chaosdrill.model.checklist import ITEMS, Answer
from chaosdrill.record import answers
from chaosdrill.record import folder as folders
from chaosdrill.record.folder import RunFolder

_KEYS = tuple(item.key for item in answers.ASKED)


@click.command()
@click.argument("run")
@click.argument("item", type=click.Choice(_KEYS), metavar="ITEM")
@click.argument("text")
@click.option("--by", required=True, metavar="NAME", help="Who says so.")
@click.option("--owner", default="", metavar="NAME", help="Who follows it up; findings need one.")
@click.option("--link", default="", metavar="URL", help="Where to read more; learnings-shared needs one.")
@click.option("--json", "as_json", is_flag=True, help="Print what is still open as JSON on standard output.")
@click.pass_context
def answer(ctx: click.Context, /, run: str, item: str, text: str, as_json: bool, **more: str) -> None:
    """Answer an item of the checklist about a run that is over.

    RUN is an id, a part of one, a path, or `last`. ITEM is one of monitored, ready-to-abort, observations,
    status-communicated, hypothesis-answered, findings, improvements and learnings-shared. TEXT is kept beside
    the sealed record, with the name and the time; a further answer stands beside it.

    \b
    chaosdrill answer a1b2 findings "retries hide the first 2 s" --by alice --owner bob
    chaosdrill answer a1b2 learnings-shared "review of Tuesday" --by alice --link https://wiki/drills/7
    """
    folder = folders.find(place.home(ctx.obj["home"]), run)
    given = Answer(
        item=item,
        kind="attested",
        words=" ".join(text.split()),
        by=more["by"].strip(),
        at=iso(SystemClock().now()),
        where=f"chaosdrill answer, as {place.actor()}",
        link=more["link"].strip(),
        owner=more["owner"].strip(),
    )
    _check(folder, given)
    answers.add(folder, given)
    left = answers.open_items(folder)
    if as_json:
        print_json({"run": folder.id, "item": item, "open": [finding.item for finding in left]})
        return
    out = stdout()
    out.line(f"{ITEMS[item].title}: {clean(given.words)} ({clean(given.by)})")
    name = short_name(folder.id)
    if left:
        out.line(f"still open: {', '.join(finding.item for finding in left)}")
    else:
        out.line(f"every item of {name} has its answer")
    out.line(f"The report shows it when it is written again: chaosdrill report {name}")


def _check(folder: RunFolder, given: Answer) -> None:
    """Raise UsageError for a run that is asked nothing, and for an answer without what belongs to it."""
    if not given.words or not given.by:
        raise UsageError("an answer has words and a name; one of them is empty")
    need = answers.NEEDS.get(given.item)
    if need and not getattr(given, need):
        raise UsageError(
            f"{ITEMS[given.item].title}: say --{need} too",
            next_step=f"type: {answers.command(folder.id, given.item)}",
        )
    if given.link and not given.link.startswith(("http://", "https://")):
        raise UsageError(f"{given.link!r} is no link; it begins with https:// or http://")
    if not answers.findings(folder):
        state = folder.facts().get("state")
        why = "nothing was injected" if state == "sealed" else "it is not over yet"
        raise UsageError(f"{folder.id} has nothing to answer: {why}")
