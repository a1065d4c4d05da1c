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
from chaosdrill.errors import ChaosdrillError, Exit, Refused, UsageError
from chaosdrill.record import folder as folders
from chaosdrill.record import running
from chaosdrill.record.folder import RunFolder

if TYPE_CHECKING:
    # Typed only: what a recovery needs is imported when there is something to recover.
    from chaosdrill.pipeline.recovering import Recovery

WATCHDOG = "watchdog"


@click.command()
@click.argument("run", required=False)
@click.option("--clean", metavar="TEXT", default="", help="What you put right by hand; it is recorded.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found and done as JSON.")
@click.option("--by", hidden=True, default="", help="Who does it; the watchdog says so.")
@click.pass_context
def recover(ctx: click.Context, run: str | None, clean: str, as_json: bool, by: str) -> int:
    """Undo what runs left on whose process is gone, prove it, and record how they ended.

    RUN is an id, a part of one, or a run folder; without it, every lost run is recovered, and faults on the
    target that belong to no live run are ended. Afterwards new runs may start again. Exit code 0 when
    nothing is left on, else 6.

    \b
    chaosdrill recover
    chaosdrill recover a1b2
    chaosdrill recover a1b2 --clean "removed the rule by hand"
    """
    if clean and run is None:
        raise UsageError(
            "--clean is about one run", next_step="say which: chaosdrill recover RUN --clean TEXT"
        )
    told = _told(sys.stdin.read()) if by == WATCHDOG else {}
    work = _Recovering(stdout(forgiving=True), as_json=as_json, by=by, told={**told, "clean": clean})
    if run is not None:
        work.one(_find(run, place.home(ctx.obj["home"])))
        return work.say()
    for folder in _lost():
        work.one(folder)
    work.sweep()
    return work.say()


def recover_one(name: str, *, as_json: bool) -> int:
    """Recover one run by its name or folder, print what was done, and return the exit code.

    Raises UsageError when there is no such run, Refused when it is alive, and StillOn.
    """
    work = _Recovering(stdout(forgiving=True), as_json=as_json)
    work.one(_find(name, place.home()))
    return work.say()


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


# ---- what is done, and what was found


@dataclass
class _Recovering:
    """One call of this command: `runs` and `ended` say what was done, `left` what is still on, in words."""

    out: Stream
    as_json: bool
    by: str = ""
    told: Mapping[str, Any] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def one(self, folder: Path) -> None:
        """Bring the run in `folder` to its end. Raises Refused when it is alive."""
        if self.by != WATCHDOG:
            self._leave_it_to_the_watchdog(folder)
        try:
            done = self._brought_to_its_end(folder)
        except Exception as problem:
            # Whatever it is, it must not keep the next one from being undone.
            if isinstance(problem, Refused) and _is_alive(folder):
                raise
            why = str(problem) if isinstance(problem, ChaosdrillError) else repr(problem)
            self.left.append(f"{folder.name}: {why}")
            self.runs.append({"run": folder.name, "folder": str(folder), "error": why})
            self._line(f"{folder.name}: {clean(why)}")
            return
        if not done.residue:
            for taken in targets.taken():
                if taken.stale and taken.owner.run == done.run:
                    taken.locks.clear(done.run)
        self.left += [f"{done.run}: {what}" for what in done.residue]
        self.runs.append(_as_json(done, folder))
        for line in _lines(done, folder):
            self._line(line)

    def _brought_to_its_end(self, folder: Path) -> Recovery:
        from chaosdrill import app
        from chaosdrill.pipeline.recovering import Told
        from chaosdrill.pipeline.recovering import recover as bring_to_its_end

        told = Told(
            why=str(self.told.get("why", "")),
            request=self.told.get("request"),
            clean=str(self.told.get("clean", "")),
        )
        return bring_to_its_end(
            RunFolder(folder), app.recovery_tools(), by=self.by or place.actor(), told=told
        )

    def _leave_it_to_the_watchdog(self, folder: Path) -> None:
        """Wait while a watchdog is at it: it was there first, and knows more."""
        clock, never = SystemClock(), threading.Event()
        until, said = clock.now() + ABORT_WAIT, False
        while clock.now() < until:
            found = next((run for run in running.live_runs() if run.folder == folder), None)
            if found is None or found.abandoned or not found.lost:
                return
            if not said:
                said = True
                watchdog = f"its watchdog (process {found.watchdog.pid})"
                self._line(f"{found.id}: {watchdog} is undoing it; waiting for it")
            clock.wait(never, LOOK_EVERY)

    def sweep(self) -> None:
        """End the faults of no live run, and free the locks in which no run can be read."""
        for system in targets.systems():
            left = self._end_strays(system)
            self.left += left
            for taken in targets.taken():
                if taken.system == system and taken.stale and not taken.owner.run and not left:
                    taken.locks.clear("")
        for taken in targets.taken():
            if not taken.system and taken.stale and not taken.owner.run:
                # Of plain files: which rollbacks are missing stands in a run folder, not here.
                taken.locks.clear("")

    def _end_strays(self, system: str) -> list[str]:
        alive = {run.id for run in running.live_runs() if not run.lost}
        alive |= {taken.owner.run for taken in targets.taken() if not taken.stale}
        # What a run could not end is said with that run.
        alive |= {str(run["run"]) for run in self.runs}
        left: list[str] = []
        try:
            target = targets.open_strays(system)
            for fault in [one for one in target.strays() if one.get("run") not in alive]:
                what = f"{fault_words(fault)} in the {system}, of no live run"
                try:
                    target.end(str(fault["id"]))
                except ChaosdrillError as problem:
                    left.append(f"{what}: {problem}")
                else:
                    self.ended.append(what)
            if not left:
                still = [one for one in target.strays() if one.get("run") not in alive]
                left += [f"{fault_words(one)} in the {system}, of no live run" for one in still]
        except ChaosdrillError as problem:
            left.append(f"which faults are on in the {system} can't be told: {problem}")
        return left

    def say(self) -> int:
        """Print what is left to be said and return the exit code. Raises StillOn."""
        if self.as_json:
            print_json({"runs": self.runs, "ended": self.ended, "left": self.left}, self.out)
        for what in self.ended:
            self._line(f"ended: {clean(what)}")
        if not self.runs and not self.ended and not self.left:
            self._line("no run was lost; nothing to recover")
        if not self.left:
            return Exit.HELD
        which = short_name(self.runs[0]["run"]) if len(self.runs) == 1 else "RUN"
        raise StillOn(
            f"{count(len(self.left), 'thing')} may still be on: {names(self.left)}",
            next_step="end it by hand, or take the system down; then again: chaosdrill recover "
            f"{which}; or give your word: --clean TEXT",
        )

    def _line(self, text: str) -> None:
        if not self.as_json:
            self.out.line(text)


def _is_alive(folder: Path) -> bool:
    return any(run.folder == folder and not run.lost for run in running.live_runs())


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
        if done.verdict is not None:
            yield f"  ended: {done.verdict.word.upper()}: {clean(done.verdict.why)}"
        for what in done.notes:
            yield f"  {clean(what)}"
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
