"""`chaosdrill ready`: the team that was notified says that it is ready, or that it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from chaosdrill.cli import place
from chaosdrill.cli.screen.layout import print_json
from chaosdrill.cli.screen.stream import stdout
from chaosdrill.cli.screen.words import names, short_name
from chaosdrill.errors import Exit, UsageError
from chaosdrill.record import folder as folders
from chaosdrill.record import journal, running
from chaosdrill.record.folder import INBOX, RunFolder


@click.command()
@click.argument("run", default="last")
@click.option("--as", "name", required=True, metavar="NAME", help="Who says so.")
@click.option("--words", default="", metavar="TEXT", help="What they say; it is recorded.")
@click.option("--not-ready", is_flag=True, help="Say that you are not: the run is refused at once.")
@click.option("--json", "as_json", is_flag=True, help="Print what was said as JSON on standard output.")
@click.pass_context
def ready(ctx: click.Context, run: str, name: str, words: str, not_ready: bool, as_json: bool) -> int:
    """Tell a run that waits for it that the team is ready.

    RUN is an id, a part of one, or `last`, the newest that waits; from any terminal and any folder.

    \b
    chaosdrill ready a1b2 --as alice
    chaosdrill ready a1b2 --as alice --not-ready --words "we are in an incident"
    """
    folder = _folder(place.home(ctx.obj["home"]), run)
    waiting = _waiting(folder)
    _check_name(folder, waiting, name)
    facts = {"by": name, "words": words, "ready": not not_ready, "actor": place.actor()}
    journal.hand_in(folder.file(INBOX), "ready", **facts)
    if as_json:
        print_json({"run": folder.id, **facts})
        return Exit.HELD
    said = "is not ready; it will not start" if not_ready else "is ready"
    stdout().line(f"told {short_name(folder.id)} that {name} {said}. Look: chaosdrill status")
    return Exit.HELD


def _folder(home: Path, run: str) -> RunFolder:
    """Return the run that is meant: one that is on, wherever it lies, else one under `home`."""
    live = [RunFolder(each.folder) for each in running.live_runs() if not each.lost]
    if run == "last":
        waiting = [folder for folder in live if folder.facts().get("waiting")]
        if not waiting:
            raise UsageError("no run waits for an answer", next_step="see: chaosdrill status")
        return waiting[-1]
    found = [folder for folder in live if run == folder.id] or [f for f in live if run in f.id]
    if len(found) > 1:
        matches = names(folder.id for folder in found)
        raise UsageError(f"{run!r} matches {len(found)} runs: {matches}", next_step="say more of it")
    return found[0] if found else folders.find(home, run)


def _waiting(folder: RunFolder) -> dict[str, Any]:
    """Return what the run says that it waits for. Raises UsageError when it waits for nothing."""
    facts = folder.facts()
    waiting = facts.get("waiting")
    if facts.get("state") == "sealed" or not isinstance(waiting, dict):
        over = "it has ended" if facts.get("state") == "sealed" else "nobody has to answer it now"
        raise UsageError(f"{folder.id} does not wait for an answer: {over}")
    return waiting


def _check_name(folder: RunFolder, waiting: dict[str, Any], name: str) -> None:
    known = [str(each) for each in waiting.get("names") or ()]
    if known and name.casefold() not in {each.casefold() for each in known}:
        raise UsageError(
            f"{folder.id} does not wait for {name!r}, but for {' or '.join(known)}",
            next_step=f"one of them types: {waiting.get('command', '')}",
        )
