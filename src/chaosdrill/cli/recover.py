"""`recover`: bring runs whose process is gone to their end, and prove that nothing of them is left on.

The watchdog calls it too, right after it has undone the faults; then what the engine was asked to prepare
comes on standard input, because secrets are in no file. It needs no policy: what is on must go off, whatever
anybody may have allowed.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chaosdrill import targets
from chaosdrill.cli import place
from chaosdrill.cli.abort import ABORT_WAIT, LOOK_EVERY, StillOn
from chaosdrill.cli.screen.layout import print_json
from chaosdrill.cli.screen.stream import Stream, stdout
from chaosdrill.cli.screen.words import clean, count, fault_words, names, short_name
from chaosdrill.clock import SystemClock
from chaosdrill.errors import ChaosdrillError, Exit, RecordUnusable, Refused, UsageError
from chaosdrill.record import folder as folders
from chaosdrill.record import running
from chaosdrill.record.folder import RunFolder

if TYPE_CHECKING:
    # Typed only: what a recovery needs is imported when there is something to recover.
    from chaosdrill.pipeline.recovering import Recovery

WATCHDOG = "watchdog"


@dataclass
class _Findings:
    """What was found and done: per run, and on the targets themselves; `left` is still on, in words."""

    runs: list[dict[str, Any]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


@click.command()
@click.argument("run", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print what was found and done as JSON.")
@click.option("--by", hidden=True, default="", help="Who does it; the watchdog says so.")
@click.pass_context
def recover(ctx: click.Context, run: str | None, as_json: bool, by: str) -> int:
    """Undo what runs left on whose process is gone, prove it, and record how they ended.

    RUN is an id, a part of one, or a run folder; without it, every lost run is recovered, and faults on the
    target that belong to no live run are ended. Afterwards new runs may start again. Exit code 0 when
    nothing is left on, else 6.

    \b
    chaosdrill recover
    chaosdrill recover a1b2
    """
    if by == WATCHDOG:
        told = _told(sys.stdin.read())
        return recover_one(run or "", as_json=as_json, by=by, told=told)
    if run is not None:
        return recover_one(run, as_json=as_json, home=place.home(ctx.obj["home"]))
    out, findings = stdout(forgiving=True), _Findings()
    for folder in _lost():
        _one(folder, findings, out, as_json=as_json)
    _sweep(findings)
    return _say(findings, out, as_json=as_json)


def recover_one(
    name: str,
    *,
    as_json: bool,
    by: str = "",
    told: Mapping[str, Any] | None = None,
    home: Path | None = None,
) -> int:
    """Recover one run by its name or folder, print what was done, and return the exit code.

    Raises UsageError when there is no such run, Refused when it is alive, and StillOn.
    """
    out, findings = stdout(forgiving=True), _Findings()
    _one(_find(name, home or place.home()), findings, out, as_json=as_json, by=by, told=told or {})
    return _say(findings, out, as_json=as_json)


def _told(text: str) -> Mapping[str, Any]:
    """Return what the watchdog says: `request`, what the engine was asked to prepare, and `why`."""
    try:
        told = json.loads(text) if text.strip() else {}
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


# ---- which runs


def _lost() -> list[Path]:
    """Return the folders of every run that died, from the registry and from the locks that it left."""
    found = {run.id: run.folder for run in running.live_runs() if run.lost}
    for taken in targets.taken():
        if taken.stale and taken.owner.run:
            found.setdefault(taken.owner.run, Path(taken.owner.folder))
    return list(found.values())


def _find(name: str, home: Path) -> Path:
    known = {run.id: run.folder for run in running.live_runs()}
    for taken in targets.taken():
        if taken.owner.run:
            known.setdefault(taken.owner.run, Path(taken.owner.folder))
    found = [folder for run, folder in known.items() if name == run] or [
        folder for run, folder in known.items() if name in run or Path(name).absolute() == folder
    ]
    if len(found) > 1:
        raise UsageError(f"{name!r} matches {len(found)} runs", next_step=f"say which: {names(known)}")
    return found[0] if found else folders.find(home, name).path


# ---- one run


def _one(
    folder: Path,
    findings: _Findings,
    out: Stream,
    *,
    as_json: bool,
    by: str = "",
    told: Mapping[str, Any] | None = None,
) -> None:
    from chaosdrill import app
    from chaosdrill.pipeline.recovering import recover as bring_to_end

    if by != WATCHDOG:
        _leave_it_to_the_watchdog(folder, out, as_json=as_json)
    told = told or {}
    try:
        done = bring_to_end(
            RunFolder(folder),
            app.recovery_tools(),
            by=by or place.actor(),
            request=told.get("request"),
            why=str(told.get("why", "")),
        )
    except (Refused, RecordUnusable) as problem:
        if isinstance(problem, Refused) and any(
            r.folder == folder and not r.lost for r in running.live_runs()
        ):
            raise
        # One that can't be brought to its end must not keep the next from it.
        findings.left.append(f"{folder.name}: {problem}")
        findings.runs.append({"run": folder.name, "folder": str(folder), "error": str(problem)})
        if not as_json:
            out.line(f"{folder.name}: {clean(problem)}")
        return
    if not done.residue:
        for taken in targets.taken():
            if taken.stale and taken.owner.run == done.run:
                taken.locks.clear(done.run)
    findings.left += [f"{done.run}: {what}" for what in done.residue]
    findings.runs.append(_as_json(done, folder))
    if not as_json:
        for line in _lines(done, folder):
            out.line(line)


def _leave_it_to_the_watchdog(folder: Path, out: Stream, *, as_json: bool) -> None:
    """Wait while a watchdog is at it: it was there first, and knows more."""
    clock, never = SystemClock(), threading.Event()
    until = clock.now() + ABORT_WAIT
    said = as_json
    while clock.now() < until:
        found = next((run for run in running.live_runs() if run.folder == folder), None)
        if found is None or found.abandoned or not found.lost:
            return
        if not said:
            said = True
            out.line(f"{found.id}: its watchdog (process {found.watchdog.pid}) is undoing it; waiting for it")
        clock.wait(never, LOOK_EVERY)


def _as_json(done: Recovery, folder: Path) -> dict[str, Any]:
    return {
        "run": done.run,
        "folder": str(folder),
        "needed": done.needed,
        "why": done.why,
        "undone": list(done.undone),
        "played": list(done.played),
        "residue": list(done.residue),
        "notes": list(done.notes),
        "word": done.verdict.word if done.verdict else None,
    }


def _lines(done: Recovery, folder: Path) -> Iterator[str]:
    if not done.needed and not done.residue:
        yield f"{done.run}: it was recorded to its end already; nothing to recover"
        return
    yield f"{done.run}: {clean(done.why) or 'its process is gone'}"
    for what in done.undone:
        yield f"  undone: {clean(what)}"
    for what in done.played:
        yield f"  rollback played: {clean(what)}"
    for what in done.residue:
        yield f"  STILL ON: {clean(what)}"
    for what in done.notes:
        yield f"  {clean(what)}"
    if not done.residue:
        yield "  nothing of it is left on" if done.undone or done.played else "  nothing of it was left on"
    if done.verdict is not None:
        yield f"  ended: {done.verdict.word.upper()}: {clean(done.verdict.why)}"
        yield f"  what happened: chaosdrill show {folder}"


# ---- what is left on the targets themselves


def _sweep(findings: _Findings) -> None:
    """End the faults of no live run, and free the locks in which no run can be read."""
    for system in targets.systems():
        left = _end_strays(system, findings)
        for taken in targets.taken():
            if taken.system == system and taken.stale and not taken.owner.run and not left:
                taken.locks.clear("")
        findings.left += left
    for taken in targets.taken():
        if not taken.system and taken.stale and not taken.owner.run:
            # Plain files: which rollbacks are missing stands in a run folder, and was played from there.
            taken.locks.clear("")


def _end_strays(system: str, findings: _Findings) -> list[str]:
    alive = {run.id for run in running.live_runs() if not run.lost}
    alive |= {taken.owner.run for taken in targets.taken() if not taken.stale}
    target = targets.open_strays(system)
    left = []
    try:
        for fault in target.strays():
            if fault.get("run") in alive:
                continue
            what = f"{fault_words(fault)} in the {system}, of no live run"
            try:
                target.end(str(fault["id"]))
            except ChaosdrillError as problem:
                left.append(f"{what}: {problem}")
            else:
                findings.ended.append(what)
        ended = {str(fault["id"]) for fault in target.strays() if fault.get("run") not in alive}
        left += [f"fault {name} in the {system}" for name in sorted(ended)] if not left else []
    except ChaosdrillError as problem:
        left.append(f"which faults are on in the {system} can't be told: {problem}")
    return left


def _say(findings: _Findings, out: Stream, *, as_json: bool) -> int:
    if as_json:
        facts = {"runs": findings.runs, "ended": findings.ended, "left": findings.left}
        print_json(facts, out)
    else:
        for what in findings.ended:
            out.line(f"ended: {clean(what)}")
        if not findings.runs and not findings.ended and not findings.left:
            out.line("no run was lost; nothing to recover")
    if not findings.left:
        return Exit.HELD
    again = f" {short_name(findings.runs[0]['run'])}" if len(findings.runs) == 1 else ""
    raise StillOn(
        f"{count(len(findings.left), 'thing')} may still be on: {names(findings.left)}",
        next_step=f"end it by hand, or take the system down; then again: chaosdrill recover{again}",
    )
