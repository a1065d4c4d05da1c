"""`status`: what is on, who has which target, what was lost, and how to stop it, from any terminal.

In an emergency it must answer at once and whatever else is broken: it reads the run folders and the locks,
asks the sandbox, and imports nothing heavier. It reads no policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import click

from chaosdrill import targets
from chaosdrill.cli import hold
from chaosdrill.cli.screen.layout import beside, print_json
from chaosdrill.cli.screen.stream import Stream, stdout
from chaosdrill.cli.screen.words import clean, fault_words, short_name
from chaosdrill.clock import SystemClock, from_iso
from chaosdrill.errors import ChaosdrillError, RecordUnusable
from chaosdrill.ports import Owner
from chaosdrill.record import journal, ledger, running
from chaosdrill.record.folder import JOURNAL, LEDGER, RunFolder
from chaosdrill.record.running import LiveRun
from chaosdrill.targets import locks
from chaosdrill.units import format_duration

#: What a run is doing before its first phase, by the last event that says so.
_BEFORE = {
    "run.opened": "clearing",
    "item.decided": "clearing",
    "ready.asked": "waiting for ready",
    "ready.answered": "clearing",
    "ready.expired": "clearing",
    "watchdog.armed": "starting",
    "signals.started": "starting",
    "engine.started": "starting",
}


@dataclass(frozen=True)
class OpenFault:
    """A fault that may be on; `seconds_left` counts to the end of its own time limit, negative after it."""

    id: str
    kind: str
    hit: tuple[str, ...]
    seconds_left: float | None


@dataclass(frozen=True)
class Situation:
    """A run that has not ended, as its folder tells it. Moments are ISO 8601, UTC.

    `watchdog` is the process that undoes the run when its own is gone; `watched` whether it lives.
    `answer` is what somebody has to type who is waited for.
    """

    id: str
    title: str
    folder: str
    pid: int
    watchdog: int
    watched: bool
    lost: bool
    actor: str
    started: str
    phase: str
    phase_since: str
    seconds_left: float | None
    aborting: str
    answer: str
    faults: tuple[OpenFault, ...]
    stop: str


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON on standard output.")
def status(as_json: bool) -> None:
    """Say what is on: the hold, runs, faults, since when, seconds left, and how to stop it.

    It knows every run of this user, whatever folder it was started in, whoever has a target, and the faults
    of the sandbox.
    """
    # The target first: a fault is written down before it is on, so its run is known to whoever looks later.
    taken, held, sandbox = targets.taken(), hold.current(), sandbox_facts()
    now = SystemClock().now()
    found = [situation(run, now) for run in running.live_runs()]
    if as_json:
        print_json(
            {
                "hold": hold.facts(held),
                "runs": [asdict(run) for run in found],
                "locks": [_lock_facts(one) for one in taken],
                "sandbox": sandbox,
            }
        )
        return
    out = stdout()
    if held is not None:
        word = out.paint("HOLD ON", fg="red", bold=True)
        out.line(f"{word}     {hold.words(held, now)}")
        out.line("            nothing starts until: chaosdrill hold off")
        out.line()
    for run in found:
        for line in _shown(run, now, out):
            out.line(line)
        out.line()
    for line in (*_lock_lines(taken, found, out), *_sandbox_lines(sandbox, found, taken)):
        out.line(line)


def situation(run: LiveRun, now: float) -> Situation:
    """Return what the folder of `run` says of this moment (`now` epoch seconds)."""
    folder = RunFolder(run.folder)
    try:
        facts = folder.facts()
    except RecordUnusable:
        facts = {}
    events = journal.read(folder.file(JOURNAL))
    abort = next((e for e in events if e["event"] == "abort.requested"), None)
    phase, since, left = _doing(events, now)
    return Situation(
        id=run.id,
        title=clean(facts.get("title", "")),
        folder=str(run.folder),
        pid=run.pid,
        watchdog=run.watchdog.pid,
        watched=run.watched,
        lost=run.lost,
        actor=str(facts.get("actor", "")),
        started=str(facts.get("started", "")),
        phase=phase,
        phase_since=since or str(facts.get("started", "")),
        seconds_left=left,
        aborting=f"{abort.get('by', '')}: {abort.get('rule', '')}" if abort else "",
        answer=clean((facts.get("waiting") or {}).get("command", "")),
        faults=tuple(_open_faults(folder, now)),
        stop=f"chaosdrill {'recover' if run.lost else 'abort'} {short_name(run.id)}",
    )


def _doing(events: list[journal.Event], now: float) -> tuple[str, str, float | None]:
    """Return what a run is doing, since when (ISO 8601), and for how many seconds more."""
    for event in reversed(events):
        if event["event"] == "phase.started":
            seconds = event.get("seconds")
            left = None if seconds is None else round(from_iso(event["t"]) + float(seconds) - now, 1)
            return str(event.get("phase")), str(event.get("t", "")), left
        if event["event"] in _BEFORE:
            return _BEFORE[event["event"]], str(event.get("t", "")), None
    return "starting", "", None


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
    facts: dict[str, Any] = {"up": found is not None, "faults": []}
    if found is not None:
        facts["shop_url"] = found.shop_url
    try:
        return {**facts, "faults": list(targets.open_strays("sandbox").strays())}
    except ChaosdrillError as error:
        return {**facts, "error": str(error)}


def _shown(run: Situation, now: float, out: Stream) -> Iterator[str]:
    word = out.paint("LOST", fg="red", bold=True) if run.lost else out.paint("ON", fg="yellow", bold=True)
    yield f"{word}{' ' * (12 - (4 if run.lost else 2))}{run.title or run.id}"
    yield beside("run", run.id, out)
    yield beside("where", run.folder, out)
    process = f"process {run.pid}{' is gone: the run is lost' if run.lost else ''}"
    yield beside("since", f"{_moment(run.started, now)}, by {run.actor or '?'}, {process}", out)
    if not run.lost:
        words = f"{run.phase} since {_moment(run.phase_since, now)}{_left(run.seconds_left)}"
        if run.aborting:
            words = f"UNDOING ({clean(run.aborting)}), {words}"
        yield beside("phase", words, out)
        if run.answer:
            yield beside("answer", run.answer, out)
    for fault in run.faults:
        yield beside("may be on" if run.lost else "fault", _fault(fault), out)
    if run.lost and run.watched:
        yield beside("what to do", f"wait: it is being undone by its watchdog (process {run.watchdog})", out)
    elif run.lost:
        yield beside("what to do", f"{run.stop} undoes what is left, and proves it", out)
    else:
        yield beside("stop it", run.stop, out)
        if not run.watched and run.watchdog:
            yield beside("watchdog", f"process {run.watchdog} is gone: the run is about to abort", out)


def _lock_facts(taken: targets.Taken) -> dict[str, Any]:
    return {"system": taken.system or None, "stale": taken.stale, **taken.owner._asdict()}


def _lock_lines(taken: list[targets.Taken], runs: list[Situation], out: Stream) -> Iterator[str]:
    """Say who has a target, where no run above says it: somebody else, or a run that died with it."""
    known = {run.id for run in runs}
    for one in taken:
        what = f"the {one.system}" if one.system else "an experiment file"
        if one.owner.run in known:
            continue
        if not one.stale:
            yield beside("TAKEN", f"{what} is taken by {_owner(one.owner)}", out)
        elif not one.owner.run:
            yield beside("LOST", f"nobody can tell which run had {what} last", out)
            yield beside("what to do", "chaosdrill recover", out)
        else:
            yield beside("LOST", f"{_owner(one.owner)} had {what}; nobody has proved what it left on", out)
            yield beside("what to do", f"chaosdrill recover {short_name(one.owner.run)}", out)


def _owner(owner: Owner) -> str:
    return locks.words(owner) if owner.run else "a run that is just starting"


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


def _sandbox_lines(
    sandbox: dict[str, Any], runs: list[Situation], taken: list[targets.Taken]
) -> Iterator[str]:
    known = {fault.id for run in runs for fault in run.faults}
    owners = {one.owner.run for one in taken if not one.stale and one.owner.run}
    unknown = [fault for fault in sandbox["faults"] if fault.get("id") not in known]
    strange = [fault for fault in unknown if fault.get("run") not in owners]
    for fault in unknown:
        left = format_duration(round(float(fault.get("seconds_left", 0.0))))
        whose = "of no live run" if fault in strange else f"of {clean(fault['run'])}"
        yield f"ON          {fault_words(fault)} in the sandbox, {whose}; ends by itself in {left}"
    if strange:
        yield "stop it     chaosdrill recover"
    busy = runs or unknown or taken
    if "error" in sandbox:
        yield f"sandbox     {clean(sandbox['error'])}"
    elif not sandbox["up"]:
        yield "the sandbox is not up" if busy else "nothing is on; the sandbox is not up"
    elif not busy:
        yield f"nothing is on; the sandbox is up at {sandbox['shop_url']}"
