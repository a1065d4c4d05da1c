"""`hold`: everything stops, nothing starts, until somebody says so; with who and why.

It reads no policy and imports nothing heavy, because it is for the moment in which nothing else works. Every
start looks at the hold, and every runner does so several times a second; this command also tells each run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import click

from chaosdrill import targets
from chaosdrill.cli import place
from chaosdrill.cli.abort import ABORT_WAIT, LOOK_EVERY, End, StillOn, ask, end_lines, exit_code, wait_for
from chaosdrill.cli.screen.layout import print_json
from chaosdrill.cli.screen.stream import stdout
from chaosdrill.cli.screen.words import clean, count, names, short_name
from chaosdrill.clock import SystemClock, iso
from chaosdrill.errors import RecordUnusable
from chaosdrill.ports import Hold, Lever
from chaosdrill.record import running
from chaosdrill.units import format_duration

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON on standard output.")


@click.group()
def hold() -> None:
    """The emergency lever: stop every run and let none start.

    \b
    chaosdrill hold on --why "customers are affected"
    chaosdrill hold status
    chaosdrill hold off
    """


@hold.command()
@click.option("--why", required=True, metavar="TEXT", help="Why; whoever is refused will read it.")
@_AS_JSON
def on(why: str, as_json: bool) -> int:
    """Abort every run that is on and block every start; returns when everything is undone.

    Runs of other users and folders on the same systems stop too. When a hold is on already, it stays as it
    is, and what runs is stopped all the same.
    """
    clock, out = SystemClock(), stdout(forgiving=True)
    asked = clock.now()
    pulled = current() or Hold(place.actor(), asked, why)
    # Whatever fails here must not keep the rest from being stopped.
    problems = _everywhere(lambda lever: lever.pull(pulled))
    live = [run for run in running.live_runs() if not run.abandoned]
    for run in live:
        try:
            ask(run, f"hold: {why}")
        except RecordUnusable as problem:
            problems.append(str(problem))
    if not as_json:
        out.line(f"HOLD ON {words(pulled, asked)}")
        if live:
            out.line(f"asked {names(r.id for r in live)} to stop; waiting until everything is undone")
    ends = wait_for(live, asked)
    others = _wait_for_others(clock, asked + ABORT_WAIT)
    if as_json:
        print_json({**facts(pulled), "runs": [end.as_json() for end in ends], "problems": problems}, out)
    else:
        for end in ends:
            if len(ends) > 1:
                out.line(f"{end.run}:")
            for line in end_lines(end):
                out.line(line)
        out.line("nothing starts until: chaosdrill hold off")
    return _said(ends, others, problems)


def _said(ends: list[End], others: list[str], problems: list[str]) -> int:
    if others:
        raise StillOn(
            f"{names(others)} of somebody else has not ended within {ABORT_WAIT:g} s",
            next_step="see: chaosdrill status",
        )
    lost = [run.id for run in running.live_runs() if run.abandoned]
    if lost and not any(end.lost for end in ends):
        raise StillOn(
            f"{names(lost)} was lost before, and nobody undoes what it left on",
            next_step=f"chaosdrill recover {short_name(lost[0])}",
        )
    code = exit_code(ends)
    if problems:
        raise RecordUnusable("; ".join(problems))
    return code


@hold.command()
@_AS_JSON
def off(as_json: bool) -> None:
    """Take the hold off: runs may start again. Says who had set it, when and why."""
    found, now = current(), SystemClock().now()
    problems = _everywhere(lambda lever: lever.let_go())
    if as_json:
        print_json({"on": current() is not None, "was": facts(found)})
    elif found is None:
        stdout().line("no hold was on")
    elif not problems:
        stdout().line(f"the hold is off; it was on {words(found, now)}")
    if problems:
        raise RecordUnusable("; ".join(problems), next_step="delete what is named there")


@hold.command()
@_AS_JSON
def status(as_json: bool) -> None:
    """Say whether a hold is on, and by whom, since when and why."""
    found = current()
    if as_json:
        print_json(facts(found))
    elif found is None:
        stdout().line("no hold is on")
    else:
        stdout().line(f"HOLD ON {words(found, SystemClock().now())}")
        stdout().line("take it off: chaosdrill hold off")


def current() -> Hold | None:
    """Return the hold that is on for any system, None when there is none."""
    found = (targets.open_lever(system).hold() for system in targets.systems())
    return next((one for one in found if one is not None), None)


def facts(found: Hold | None) -> dict[str, Any]:
    """Return a hold as JSON: whether it is `on`, and by whom, since when (ISO 8601) and why."""
    if found is None:
        return {"on": False}
    return {"on": True, **found._asdict(), "since": iso(found.since) if found.since else None}


def words(found: Hold, now: float) -> str:
    """Return a hold in words: by whom, since when, and why."""
    since = f" since {iso(found.since)[:19].replace('T', ' ')}Z" if found.since else ""
    seconds = round(now - found.since) if found.since else 0
    ago = f" ({format_duration(seconds)} ago)" if seconds > 0 else ""
    return clean(f"by {found.by}{since}{ago}: {found.why}")


def _everywhere(do: Callable[[Lever], None]) -> list[str]:
    problems = []
    for system in targets.systems():
        try:
            do(targets.open_lever(system))
        except RecordUnusable as problem:
            problems.append(str(problem))
    return problems


def _wait_for_others(clock: SystemClock, until: float) -> list[str]:
    """Return the runs of other users that still have a target at `until` (epoch seconds)."""
    never = threading.Event()
    while True:
        left = [taken.owner.run or count(1, "run") for taken in targets.taken() if not taken.stale]
        if not left or clock.now() >= until:
            return left
        clock.wait(never, LOOK_EVERY)
