"""`abort`: the lever that stops one run, from any terminal of this user; `hold` pulls it for all of them.

In an emergency it must answer at once and whatever else is broken: it writes into the run's inbox, reads its
folder, and imports nothing heavier.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click

from chaosdrill.cli import place
from chaosdrill.cli.screen.layout import print_json
from chaosdrill.cli.screen.stream import stdout
from chaosdrill.cli.screen.words import clean, fault_words, names, short_name
from chaosdrill.clock import SystemClock
from chaosdrill.errors import ChaosdrillError, Exit, RecordUnusable, UsageError
from chaosdrill.record import journal, ledger, running
from chaosdrill.record.folder import INBOX, LEDGER, RunFolder
from chaosdrill.record.running import LiveRun
from chaosdrill.units import format_duration

#: How long is waited for the undoing: what a run gives its engine, and time to write the reports.
ABORT_WAIT = 60.0
LOOK_EVERY = 0.1


class StillOn(ChaosdrillError):
    """Something is still on, or nobody can tell that it is not."""

    exit_code = Exit.RESIDUE


@dataclass(frozen=True)
class Undone:
    """A fault that was undone after somebody asked: so many `seconds` later."""

    id: str
    kind: str
    hit: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class End:
    """How a run that was asked to stop came out; `left` is what is still on, in words."""

    run: str
    folder: str
    ended: bool
    lost: bool
    word: str
    why: str
    undone: tuple[Undone, ...]
    left: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        undone = [{"id": u.id, "kind": u.kind, "hit": u.hit, "seconds": u.seconds} for u in self.undone]
        return {
            "run": self.run,
            "ended": self.ended,
            "lost": self.lost,
            "word": self.word or None,
            "undone": undone,
            "left": list(self.left),
        }


@click.command()
@click.argument("run", required=False)
@click.option("--reason", default="", metavar="TEXT", help="Why; it is recorded.")
@click.option("--no-wait", is_flag=True, help="Do not wait until everything is undone.")
@click.option("--json", "as_json", is_flag=True, help="Print how it ended as JSON on standard output.")
def abort(run: str | None, reason: str, no_wait: bool, as_json: bool) -> int:
    """Stop a run from any terminal and any folder; its faults are undone.

    RUN is an id, a part of one, or `last`; it may be left out when one run is on. A run whose process is gone
    is brought to its end, as `recover` does it.

    \b
    chaosdrill abort
    chaosdrill abort a1b2 --reason "a customer has called"
    """
    chosen = choose(running.live_runs(), run)
    if chosen.abandoned:
        from chaosdrill.cli.recover import recover_one

        return recover_one(chosen.id, as_json=as_json)
    out = stdout(forgiving=True)
    asked = SystemClock().now()
    if not chosen.lost:
        ask(chosen, reason)
    said = (
        f"{chosen.id} is lost; its watchdog (process {chosen.watchdog.pid}) is undoing it"
        if chosen.lost
        else f"asked {chosen.id} to stop"
    )
    if no_wait:
        if not as_json:
            out.line(f"{said}; look: chaosdrill status")
        return Exit.HELD
    if not as_json:
        out.line(f"{said}; waiting until everything is undone")
    try:
        (end,) = wait_for([chosen], asked)
    except KeyboardInterrupt:
        out.line("not waiting any more; the run goes on undoing. Look: chaosdrill status")
        return Exit.HELD
    if as_json:
        print_json(end.as_json(), out)
    else:
        for line in end_lines(end):
            out.line(line)
    return exit_code([end])


def choose(live: list[LiveRun], name: str | None) -> LiveRun:
    """Return the live run that `name` means. Raises UsageError, which lists what there is to choose from."""
    if not live:
        raise UsageError("nothing to stop: no run is on", next_step="see: chaosdrill status")
    if name == "last":
        return live[-1]
    found = [r for r in live if name is None or name in (r.id, str(r.folder))] or [
        r for r in live if name is not None and name in r.id
    ]
    if not found:
        raise UsageError(f"no run that is on matches {name!r}", next_step=f"on: {names(r.id for r in live)}")
    if len(found) > 1:
        raise UsageError(f"{len(found)} runs are on", next_step=f"say which: {names(r.id for r in found)}")
    return found[0]


def ask(run: LiveRun, reason: str) -> None:
    """Tell `run` to stop, and why. Raises RecordUnusable when its folder takes nothing any more."""
    journal.hand_in(RunFolder(run.folder).file(INBOX), "abort", by=place.actor(), reason=reason)


def wait_for(runs: list[LiveRun], asked: float) -> list[End]:
    """Wait until every run has ended, nobody is left to end it, or ABORT_WAIT after `asked`."""
    clock, never = SystemClock(), threading.Event()
    left = {run.id for run in runs}
    while left and clock.now() < asked + ABORT_WAIT:
        # A run that was judged still writes its reports, and gives its target back after them.
        left &= {run.id for run in running.live_runs() if not run.abandoned}
        if left:
            clock.wait(never, LOOK_EVERY)
    abandoned = {run.id for run in running.live_runs() if run.abandoned}
    return [_end(run, asked, lost=run.id in abandoned) for run in runs]


def _end(run: LiveRun, asked: float, *, lost: bool) -> End:
    folder = RunFolder(run.folder)
    try:
        facts = folder.facts()
    except RecordUnusable:
        facts = {}
    entries = ledger.entries(folder.file(LEDGER))
    verdict = facts.get("verdict") or {}
    return End(
        run=run.id,
        folder=str(run.folder),
        ended=facts.get("state") == "sealed",
        lost=lost,
        word=str(verdict.get("word", "")),
        why=str(verdict.get("why", "")),
        undone=tuple(
            Undone(e.id, e.kind, e.hit, round(e.ended - asked, 3))
            for e in entries
            if not e.open and e.ended is not None and e.ended >= asked
        ),
        left=tuple(
            what
            for e in entries
            if e.open
            for what in e.residue or (fault_words({"kind": e.kind, "hit": e.hit}),)
        ),
    )


def end_lines(end: End) -> Iterator[str]:
    """Return how a run came out, in words."""
    for fault in end.undone:
        took = format_duration(round(fault.seconds, 2))
        yield f"undone after {took}: {fault_words({'kind': fault.kind, 'hit': fault.hit})}"
    if end.ended:
        if not end.undone and not end.left:
            yield "no fault was on"
        yield f"ended: {(end.word or '?').upper()}: {clean(end.why)}"
        yield f"what happened: chaosdrill show {end.folder}"
    for what in end.left:
        yield f"STILL ON: {clean(what)}"


def exit_code(ends: list[End]) -> int:
    """Return 0, or 6 when something is left on. Raises StillOn when one of them has not ended."""
    for end in ends:
        if end.lost:
            raise StillOn(
                f"{end.run} was lost, and so was its watchdog",
                next_step=f"chaosdrill recover {short_name(end.run)}",
            )
        if not end.ended:
            raise StillOn(
                f"{end.run} has not ended within {ABORT_WAIT:g} s",
                next_step="see what is on: chaosdrill status",
            )
    return Exit.RESIDUE if any(end.left for end in ends) else Exit.HELD
