"""`status` and `abort`: what is on, and the lever that stops it, from any terminal of this user.

In an emergency these must answer at once and whatever else is broken: they read the run folders and ask the
sandbox, and import nothing heavier.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import click

from chaosdrill.cli import place
from chaosdrill.cli.screen.layout import beside, print_json
from chaosdrill.cli.screen.stream import Stream, stdout
from chaosdrill.cli.screen.words import clean, fault_words, names, short_name
from chaosdrill.clock import SystemClock, from_iso
from chaosdrill.errors import ChaosdrillError, Exit, RecordUnusable, UsageError
from chaosdrill.record import journal, ledger, running
from chaosdrill.record.folder import INBOX, JOURNAL, LEDGER, RunFolder
from chaosdrill.record.running import LiveRun
from chaosdrill.units import format_duration

#: How long `abort` waits for the undoing: what a run gives its engine, and time to write the reports.
ABORT_WAIT = 60.0
LOOK_EVERY = 0.1


@dataclass(frozen=True)
class OpenFault:
    """A fault that may be on; `seconds_left` counts to the end of its own time limit, negative after it."""

    id: str
    kind: str
    hit: tuple[str, ...]
    seconds_left: float | None


@dataclass(frozen=True)
class Situation:
    """A run that has not ended, as its folder tells it. Moments are ISO 8601, UTC."""

    id: str
    title: str
    folder: str
    pid: int
    lost: bool
    actor: str
    started: str
    phase: str
    phase_since: str
    seconds_left: float | None
    aborting: str
    faults: tuple[OpenFault, ...]
    stop: str


# ---- status


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON on standard output.")
def status(as_json: bool) -> None:
    """Say what is on: runs, faults, since when, seconds left, and how to stop it.

    It knows every run of this user, whatever folder it was started in, and the faults of the sandbox.
    """
    now = SystemClock().now()
    found = [situation(run, now) for run in running.live_runs()]
    sandbox = sandbox_facts()
    if as_json:
        print_json({"runs": [asdict(run) for run in found], "sandbox": sandbox})
        return
    out = stdout()
    for run in found:
        for line in _shown(run, now, out):
            out.line(line)
        out.line()
    for line in _sandbox_lines(sandbox, found):
        out.line(line)


def situation(run: LiveRun, now: float) -> Situation:
    """Return what the folder of `run` says of this moment (`now` epoch seconds)."""
    folder = RunFolder(run.folder)
    try:
        facts = folder.facts()
    except RecordUnusable:
        facts = {}
    events = journal.read(folder.file(JOURNAL))
    phase = next((e for e in reversed(events) if e["event"] == "phase.started"), {})
    abort = next((e for e in events if e["event"] == "abort.requested"), None)
    left = None
    if phase.get("seconds") is not None:
        left = round(from_iso(phase["t"]) + float(phase["seconds"]) - now, 1)
    return Situation(
        id=run.id,
        title=clean(facts.get("title", "")),
        folder=str(run.folder),
        pid=run.pid,
        lost=run.lost,
        actor=str(facts.get("actor", "")),
        started=str(facts.get("started", "")),
        phase=str(phase.get("phase", "starting")),
        phase_since=str(phase.get("t", facts.get("started", ""))),
        seconds_left=left,
        aborting=f"{abort.get('by', '')}: {abort.get('rule', '')}" if abort else "",
        faults=tuple(_open_faults(folder, now)),
        stop=f"chaosdrill abort {short_name(run.id)}",
    )


def _open_faults(folder: RunFolder, now: float) -> Iterator[OpenFault]:
    for entry in ledger.entries(folder.file(LEDGER)):
        if entry.open:
            began = entry.started or entry.steps.get(ledger.INTENDED)
            left = round(began + entry.duration - now, 1) if began else None
            yield OpenFault(str(entry.record.get("id", entry.id)), entry.kind, entry.hit, left)


def sandbox_facts() -> dict[str, Any]:
    """Return whether the sandbox is up, and which of its faults are on; `error` when it does not say."""
    from chaosdrill.sandbox import client

    found = client.find()
    if found is None:
        return {"up": False, "faults": []}
    facts: dict[str, Any] = {"up": True, "shop_url": found.shop_url, "faults": []}
    try:
        return {**facts, "faults": found.faults()}
    except ChaosdrillError as error:
        return {**facts, "error": str(error)}


def _shown(run: Situation, now: float, out: Stream) -> Iterator[str]:
    word = out.paint("LOST", fg="red", bold=True) if run.lost else out.paint("ON", fg="yellow", bold=True)
    yield f"{word}{' ' * (12 - (4 if run.lost else 2))}{run.title}"
    yield beside("run", run.id, out)
    yield beside("where", run.folder, out)
    process = f"process {run.pid}{' is gone: the run is lost' if run.lost else ''}"
    yield beside("since", f"{_moment(run.started, now)}, by {run.actor}, {process}", out)
    if not run.lost:
        words = f"{run.phase} since {_moment(run.phase_since, now)}{_left(run.seconds_left)}"
        if run.aborting:
            words = f"UNDOING ({clean(run.aborting)}), {words}"
        yield beside("phase", words, out)
    for fault in run.faults:
        yield beside("may be on" if run.lost else "fault", _fault(fault), out)
    if not run.lost:
        yield beside("stop it", run.stop, out)
    elif run.faults:
        yield beside("what to do", LOST_ADVICE, out)
    else:
        yield beside("what to do", f"nothing that it injected is on; {run.stop} forgets it", out)


LOST_ADVICE = "wait until its time is up, or take the sandbox down: chaosdrill sandbox down"


def _moment(text: str, now: float) -> str:
    try:
        return f"{text[11:19]}Z ({format_duration(max(0.0, round(now - from_iso(text))))} ago)"
    except ValueError:
        return "?"


def _left(seconds: float | None) -> str:
    return f", {format_duration(round(seconds))} left" if seconds and seconds > 0 else ""


def _fault(fault: OpenFault) -> str:
    words = fault_words({"kind": fault.kind, "hit": fault.hit})
    if fault.seconds_left is None:
        return words
    if fault.seconds_left <= 0:
        return f"{words}, its time was up {format_duration(round(-fault.seconds_left))} ago"
    return f"{words}, ends by itself in {format_duration(round(fault.seconds_left))}"


def _sandbox_lines(sandbox: dict[str, Any], runs: list[Situation]) -> Iterator[str]:
    known = {fault.id for run in runs for fault in run.faults}
    strange = [fault for fault in sandbox["faults"] if fault.get("id") not in known]
    for fault in strange:
        left = format_duration(round(float(fault.get("seconds_left", 0.0))))
        yield f"ON          {fault_words(fault)} in the sandbox, of no live run; ends by itself in {left}"
    if strange:
        yield "stop it     chaosdrill sandbox down"
    if "error" in sandbox:
        yield f"sandbox     {clean(sandbox['error'])}"
    elif not sandbox["up"]:
        yield "nothing is on; the sandbox is not up" if not runs else "the sandbox is not up"
    elif not runs and not strange:
        yield f"nothing is on; the sandbox is up at {sandbox['shop_url']}"


# ---- abort


@click.command()
@click.argument("run", required=False)
@click.option("--reason", default="", metavar="TEXT", help="Why; it is recorded.")
@click.option("--no-wait", is_flag=True, help="Do not wait until everything is undone.")
@click.option("--json", "as_json", is_flag=True, help="Print how it ended as JSON on standard output.")
def abort(run: str | None, reason: str, no_wait: bool, as_json: bool) -> int:
    """Stop a run from any terminal and any folder; its faults are undone.

    RUN is an id, a part of one, or `last`; it may be left out when one run is on.

    \b
    chaosdrill abort
    chaosdrill abort a1b2 --reason "a customer has called"
    """
    chosen = choose(running.live_runs(), run)
    out = stdout(forgiving=True)
    if chosen.lost:
        return _lost(chosen, as_json, out)
    clock = SystemClock()
    asked = clock.now()
    facts = {"by": place.actor(), "reason": reason}
    journal.hand_in(RunFolder(chosen.folder).file(INBOX), "abort", **facts)
    if no_wait:
        if not as_json:
            out.line(f"asked {chosen.id} to stop; look: chaosdrill status")
        return Exit.HELD
    if not as_json:
        out.line(f"asked {chosen.id} to stop; waiting until everything is undone")
    try:
        ended = _wait(chosen, clock, asked + ABORT_WAIT)
    except KeyboardInterrupt:
        out.line("not waiting any more; the run goes on undoing. Look: chaosdrill status")
        return Exit.HELD
    return _tell_end(chosen, ended, asked, as_json, out)


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


def _wait(run: LiveRun, clock: SystemClock, until: float) -> bool:
    """Wait until `run` is sealed, lost, or `until` (epoch seconds); return whether it was sealed."""
    folder, never = RunFolder(run.folder), threading.Event()
    while clock.now() < until:
        if folder.facts().get("state") == "sealed":
            return True
        if any(r.id == run.id and r.lost for r in running.live_runs()):
            return False
        clock.wait(never, LOOK_EVERY)
    return False


def _tell_end(run: LiveRun, ended: bool, asked: float, as_json: bool, out: Stream) -> int:
    folder = RunFolder(run.folder)
    entries = ledger.entries(folder.file(LEDGER))
    left = [
        what
        for e in entries
        if e.open
        for what in e.residue or (fault_words({"kind": e.kind, "hit": e.hit}),)
    ]
    undone = [e for e in entries if not e.open and e.ended is not None and e.ended >= asked]
    verdict = folder.facts().get("verdict") or {}
    if as_json:
        print_json(
            {
                "run": run.id,
                "ended": ended,
                "word": verdict.get("word"),
                "undone": [
                    {
                        "id": e.id,
                        "kind": e.kind,
                        "hit": e.hit,
                        "seconds": round((e.ended or asked) - asked, 3),
                    }
                    for e in undone
                ],
                "left": left,
            },
            out,
        )
    else:
        for line in _end_lines(run, ended, asked, undone, verdict):
            out.line(line)
        for what in left:
            out.line(f"STILL ON: {clean(what)}")
    if not ended:
        raise ChaosdrillError(
            f"{run.id} has not ended within {ABORT_WAIT:g} s", next_step="see what is on: chaosdrill status"
        )
    return Exit.RESIDUE if left else Exit.HELD


def _end_lines(
    run: LiveRun, ended: bool, asked: float, undone: list[ledger.Entry], verdict: dict[str, Any]
) -> Iterator[str]:
    for entry in undone:
        took = format_duration(round((entry.ended or asked) - asked, 2))
        yield f"undone after {took}: {fault_words({'kind': entry.kind, 'hit': entry.hit})}"
    if ended:
        if not undone:
            yield "no fault was on"
        yield f"ended: {str(verdict.get('word', '?')).upper()}: {clean(verdict.get('why', ''))}"
        yield f"what happened: chaosdrill show {run.folder}"


def _lost(run: LiveRun, as_json: bool, out: Stream) -> int:
    found = situation(run, SystemClock().now())
    if as_json:
        print_json({"run": run.id, "lost": True, "left": [asdict(fault) for fault in found.faults]}, out)
    if not found.faults:
        running.unregister(run.folder)
        if not as_json:
            out.line(f"{run.id} is lost: its process {run.pid} is gone; nothing that it injected is on")
        return Exit.HELD
    left = names(_fault(fault) for fault in found.faults)
    raise _StillOn(f"{run.id} is lost, nobody undoes it: {left}", next_step=LOST_ADVICE)


class _StillOn(ChaosdrillError):
    """Something may still be on, and nobody is there to undo it."""

    exit_code = Exit.RESIDUE
