"""A run whose runner is gone, brought to its end from its folder: fenced, undone, judged, sealed.

Whoever does it, the watchdog or a person days later, does the same, and may do it twice. Knows nothing of how
it was found out that the runner is gone.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chaosdrill.clock import iso
from chaosdrill.errors import ChaosdrillError, RecordUnusable, Refused
from chaosdrill.execute.orphan import end_engine
from chaosdrill.execute.replay import Replay, RollbackEngine
from chaosdrill.execute.unwind import OpenFault, undo, undone_facts, unwind
from chaosdrill.pipeline.recording import conclude
from chaosdrill.pipeline.telling import teller_of_lost
from chaosdrill.ports import Clock, Locks, Notifier, Strays
from chaosdrill.record import journal, running
from chaosdrill.record.folder import JOURNAL, LEDGER, RUN, SAMPLES, RunFolder
from chaosdrill.record.journal import Journal
from chaosdrill.record.ledger import Entry, Ledger, Undoing

if TYPE_CHECKING:
    from chaosdrill.model.run import Verdict

WATCHDOG, RUNNER = "watchdog", "runner"
_FORMATS = ("html", "md", "json", "junit")


@dataclass(frozen=True)
class Tools:
    """What a recovery is carried out with; `app.recovery_tools()` fills it.

    `open_engine(cwd)` starts an engine of its own, in that folder, for the file's rollbacks. `open_notifier`
    is for those who were told that the run starts.
    """

    clock: Clock
    open_fault: OpenFault
    open_strays: Callable[[str], Strays]
    open_locks: Callable[[str], Locks]
    open_engine: Callable[[str], RollbackEngine]
    open_notifier: Callable[[Sequence[str]], Notifier]


@dataclass(frozen=True)
class Recovery:
    """What a recovery found and did: `undone` and `played` in words, `residue` what is still on.

    `needed` is False when the run had been recorded to its end already; `verdict` is None when there is no
    folder to judge. `notes` are things worth saying that are no residue.
    """

    run: str
    needed: bool
    why: str = ""
    undone: tuple[str, ...] = ()
    played: tuple[str, ...] = ()
    residue: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Told:
    """What whoever asks for a recovery knows: `why` the runner was lost, and what the folder can't say.

    `request` is what the engine was asked to prepare (the folder's own has no secrets); `clean` a person's
    word that what could not be undone was put right by hand.
    """

    why: str = ""
    request: Mapping[str, Any] | None = None
    clean: str = ""


def recover(folder: RunFolder, tools: Tools, *, by: str, told: Told = Told()) -> Recovery:
    """Bring the run in `folder` to its end: everything undone, or named as residue; judged and sealed.

    In this order: fence the ledger; end the orphaned engine; undo what the ledger says is open; end what the
    target itself knows of this run; play the rollbacks that have not ended; judge, seal and report as aborted
    (runner lost); forget the run in the registry and clear its stale lock, when it is clean. Right when
    called twice, and at the same time from two processes: the second waits, and finds it done (`needed`
    False). A run that was recorded with something left on is tried once more: its faults, and its rollbacks
    that failed.

    `by` is who does it: 'watchdog', or a person's name. A folder that is gone is not an error: then the
    target alone is asked.

    Raises Refused when the run's own process is alive and the watchdog has not fenced it (abort it instead),
    and RecordUnusable when the folder can't be read or written.
    """
    with _alone(folder):
        if not folder.file(RUN).is_file():
            return _Recovering(folder, tools, by, {}).without_folder()
        facts = folder.facts()
        recovering = _Recovering(folder, tools, by, facts)
        if facts.get("state") == "sealed":
            return recovering.again(told)
        found = recovering.through(told.request, told.why)
        if found.residue and told.clean:
            return _Recovering(folder, tools, by, folder.facts()).again(told)
        return found


class _Recovering:
    """One recovery; the methods are its steps."""

    def __init__(self, folder: RunFolder, tools: Tools, by: str, facts: Mapping[str, Any]) -> None:
        self._folder = folder
        self._tools = tools
        self._facts = facts
        self._told: Mapping[str, Any] = facts.get("recovery") or {}
        # Nobody's name can be mistaken for one of the processes that write ledgers.
        self._by = by if by == WATCHDOG else f"{by} (recover)"
        self._ledger = Ledger(folder.file(LEDGER), tools.clock, by=self._by)
        self._live = next((run for run in running.live_runs() if run.id == folder.id), None)

    def through(self, request: Mapping[str, Any] | None, why: str) -> Recovery:
        """Take a run that was never recorded through all steps."""
        self._fence(why)
        if self._live is not None:
            end_engine(self._live.engine)
        for name in (JOURNAL, SAMPLES):
            journal.renew(self._folder.file(name))
        written = Journal(self._folder.file(JOURNAL), self._tools.clock)
        self._journal = written
        reason = self._say_lost()
        self._catch_up()
        undone = [f"{entry.kind} on {entry.target}" for entry in self._ledger.entries()]
        residue = unwind(self._ledger, self._tell, self._tools.open_fault, self._tools.clock, by=self._by)
        strays, left = self._strays()
        played, unplayed = self._replay(request)
        residue = [*residue, *left, *unplayed]
        self._tell("run.recovered", by=self._by, residue=residue)
        self._tell("phase.started", phase="ended")
        written.close()
        tell = teller_of_lost(self._folder, self._tools.open_notifier)
        outcome = conclude(self._folder, _FORMATS, self._tools.clock, tell)
        self._settle(clean=not residue and outcome.verdict.cleanup.state != "failed")
        return Recovery(
            run=self._folder.id,
            needed=True,
            why=reason,
            undone=(*undone, *strays),
            played=tuple(played),
            residue=tuple(residue),
            notes=outcome.warnings,
            verdict=outcome.verdict,
        )

    def again(self, told: Told) -> Recovery:
        """Look at a run that was recorded to its end: only what was left on then is to be undone."""
        from chaosdrill.model.run import Verdict

        self._not_alive()
        undone, residue = [], []
        for entry in self._ledger.entries():
            if not entry.open:
                continue
            try:
                undoing = undo(
                    self._tools.open_fault(entry.kind, entry.system), entry.record, self._tools.clock
                )
                left = undoing.residue
            except ChaosdrillError as error:
                left = (f"nobody knows how to undo it: {error}",)
            words = f"{entry.kind} on {entry.target}"
            undone.append(words)
            residue += [f"{words}: {what}" for what in left]
        strays, left_on = self._strays()
        verdict = Verdict.read(self._facts["verdict"]) if self._facts.get("verdict") else None
        failed = verdict is not None and verdict.cleanup.state == "failed" and not self._settled()
        played, unplayed = self._replay(told.request, once_more=True) if failed else ([], [])
        residue = [*residue, *left_on, *unplayed]
        if undone or strays or failed:
            done = {"by": self._by, "at": iso(self._tools.clock.now()), "undone": [*undone, *strays, *played]}
            # Beside the seal, which stays as it was: run.json is in no checksum.
            self._folder.update_facts(recovered={**done, "residue": residue, "clean": told.clean})
        notes = (f"when it was recorded: {verdict.cleanup.text}",) if verdict and failed else ()
        if residue and told.clean:
            notes = (*notes, *(f"put right by hand ({told.clean}): {what}" for what in residue))
            residue = []
        self._settle(clean=not residue)
        return Recovery(
            run=self._folder.id,
            needed=bool(undone or strays or failed),
            undone=(*undone, *strays),
            played=tuple(played),
            residue=tuple(residue),
            notes=notes,
            verdict=verdict,
        )

    def without_folder(self) -> Recovery:
        """End what the target knows of a run whose folder is gone."""
        self._not_alive()
        if self._live is not None:
            end_engine(self._live.engine)
        undone, residue = self._strays()
        self._settle(clean=not residue)
        note = f"the run folder {self._folder.path} is gone, so nothing is left to judge"
        return Recovery(
            run=self._folder.id, needed=True, undone=tuple(undone), residue=tuple(residue), notes=(note,)
        )

    def _settled(self) -> bool:
        """Return whether an earlier recovery has proved the run clean, or a person has given their word."""
        before = self._facts.get("recovered") or {}
        return bool(before) and (not before.get("residue") or bool(before.get("clean")))

    # ---- steps

    def _not_alive(self) -> None:
        if self._live is not None and not self._live.lost and self._live.pid != os.getpid():
            raise Refused(
                f"not recovering {self._folder.id}: its process {self._live.pid} is alive",
                next_step=f"chaosdrill abort {self._folder.id}",
            )

    def _fence(self, why: str) -> None:
        """Take the run over, unless that was done already by whoever goes on with it now."""
        last = self._ledger.fenced()
        if last in ("", RUNNER):
            self._not_alive()
        if last != self._by:
            self._ledger.fence(self._by, why or "its process ended before its run was recorded")

    def _say_lost(self) -> str:
        """Journal how the runner was lost, as the first one wrote it down who took the run over."""
        fence = next(fence for fence in self._ledger.fences() if fence.by != RUNNER)
        events = journal.read(self._folder.file(JOURNAL))
        if not any(event["event"] == "runner.lost" for event in events):
            self._tell("runner.lost", at=fence.at, by=fence.by, why=fence.why)
        if not any(event["event"] == "abort.requested" for event in events):
            self._tell("abort.requested", at=fence.at, by=fence.by, rule=f"runner lost: {fence.why}")
        return fence.why

    def _catch_up(self) -> None:
        """Journal what the ledger knows and the runner did not live to write down."""
        events = journal.read(self._folder.file(JOURNAL))
        known = {(event["event"], event.get("id")) for event in events}
        entries = self._ledger.entries()
        for entry in entries:
            for step in ("intended", "active"):
                if step in entry.steps and (f"fault.{step}", entry.id) not in known:
                    self._tell(f"fault.{step}", at=entry.steps[step], **_facts(entry))
        active = [entry.started for entry in entries if entry.started is not None]
        phases = [event.get("phase") for event in events if event["event"] == "phase.started"]
        if active and not {"fault", "recovery"} & set(phases):
            self._tell("phase.started", at=min(active), phase="fault")
        closed = [e for e in entries if not e.open and e.ended and ("fault.undone", e.id) not in known]
        for entry in closed:
            undoing = Undoing(entry.ended or 0.0, entry.residue, entry.error)
            self._tell("fault.undone", at=entry.ended, **undone_facts(entry, undoing, entry.how))
        if closed and not any(event["event"] == "unwind.ended" for event in events):
            self._tell("unwind.ended", at=max(entry.ended or 0.0 for entry in closed), residue=[])

    def _strays(self) -> tuple[list[str], list[str]]:
        """End what the target itself knows of this run; return what was ended and what is on, in words."""
        ended: list[str] = []
        residue: list[str] = []
        for system in sorted(self._systems()):
            try:
                strays = self._tools.open_strays(system)
                for stray in self._of_this_run(strays):
                    strays.end(str(stray["id"]))
                    ended.append(_words(stray))
                residue += [f"{_words(stray)} is on" for stray in self._of_this_run(strays)]
            except ChaosdrillError as error:
                residue.append(f"{system} can't be asked what is on: {error}")
        return ended, residue

    def _systems(self) -> set[str]:
        territory = str(self._told.get("territory") or "")
        systems = {entry.system for entry in self._ledger.entries()}
        systems |= {str(fault.get("system")) for fault in self._facts.get("planned") or () if fault}
        if territory and not territory.startswith("file:"):
            systems.add(territory)
        return systems if self._facts else {"sandbox"}

    def _of_this_run(self, strays: Strays) -> list[Mapping[str, Any]]:
        return [stray for stray in strays.strays() if stray.get("run") == self._folder.id]

    def _replay(
        self, request: Mapping[str, Any] | None, *, once_more: bool = False
    ) -> tuple[list[str], list[str]]:
        if self._told.get("rollbacks") == 0:
            return [], []
        # Behind the seal nothing is journalled any more; `recovered` in run.json says what was done.
        tell = _told_nobody if once_more else self._tell
        replay = Replay(self._folder, self._tools.open_engine, self._tools.clock, tell)
        known = request or self._told.get("request") or {}
        cwd = str(self._told.get("cwd") or "")
        place = cwd if os.path.isdir(cwd) else os.getcwd()  # noqa: PTH109, PTH112
        return replay.play(known, place, failed_too=once_more)

    def _settle(self, *, clean: bool) -> None:
        """Forget a run of which nothing is left on; any other stays known, and keeps its lock."""
        if not clean:
            return
        running.unregister(self._folder.path)
        for territory in {str(self._told.get("territory") or ""), *self._systems()} - {""}:
            try:
                self._tools.open_locks(territory).clear(self._folder.id)
            except ChaosdrillError:
                continue

    def _tell(self, event: str, *, at: float | None = None, **facts: Any) -> None:
        """Write an event; a journal that takes no more keeps nothing from being undone."""
        try:
            self._journal.write(event, at=at, **facts)
        except RecordUnusable:
            return  # `conclude` meets it again, where it can be said.


@contextmanager
def _alone(folder: RunFolder) -> Iterator[None]:
    """Keep others from recovering the same folder meanwhile; a folder that is gone needs nobody's turn."""
    try:
        descriptor = os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _told_nobody(event: str, *, at: float | None = None, **facts: Any) -> None:
    del event, at, facts


def _facts(entry: Entry) -> Mapping[str, Any]:
    return {
        "id": entry.id,
        "kind": entry.kind,
        "target": entry.target,
        "activity": entry.activity,
        "hit": list(entry.hit),
        "duration": entry.duration,
    }


def _words(stray: Mapping[str, Any]) -> str:
    hit: Sequence[str] = stray.get("hit") or ()
    return f"{stray.get('kind', 'a fault')} on {', '.join(hit) or stray.get('target', 'the target')}"
