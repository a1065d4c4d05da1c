"""The run itself: baseline, the engine's play, recovery; and whatever happens, the unwinding.

One thread decides. It takes turns at what the engine says, what others handed in, and what the guard sees;
signals and checks have threads of their own, whose findings wake it at once.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from chaosdrill.errors import RecordUnusable, Refused, RunFenced
from chaosdrill.execute.guard import Breach
from chaosdrill.execute.parts import (
    ActiveFault,
    Ending,
    EngineHandle,
    Lifeline,
    Parts,
    Progress,
    Snapshot,
)
from chaosdrill.execute.proof import Unproved, prove
from chaosdrill.execute.steady import already_broken
from chaosdrill.execute.unwind import unwind
from chaosdrill.execute.watch import Watch
from chaosdrill.execute.windows import Windows
from chaosdrill.ports import Hold
from chaosdrill.record.folder import INBOX
from chaosdrill.record.journal import Inbox

if TYPE_CHECKING:
    # Typed only: a plain Chaos Toolkit file never waits for pydantic before it is played.
    from chaosdrill.model.experiment import ChaosdrillBlock, Criterion
    from chaosdrill.model.run import PlannedFault

__all__ = ["ActiveFault", "Ending", "EngineHandle", "Lifeline", "Parts", "Runner", "Snapshot"]

#: The longest that a decision waits for its turn, in seconds; what the guard sees waits for none.
TURN = 0.1
#: How often the hold is looked for, in seconds.
HOLD_SECONDS = 0.2
#: How long an aborted engine may take to undo its faults and play its rollbacks before it is ended by force.
ABORT_GRACE = 20.0
#: How long undoing everything may take without a sign of life, before the watchdog undoes it too.
UNDO_PATIENCE = 60.0


class Runner:
    """One run from the first sample to the last undo."""

    def __init__(self, parts: Parts, block: ChaosdrillBlock | None, planned: Sequence[PlannedFault]) -> None:
        self._parts = parts
        self._block = block
        self._planned = planned
        self._clock = parts.clock
        self._inbox = Inbox(parts.folder.file(INBOX))
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._state = Progress(phase_started=parts.clock.now())
        self._watch = self._watch_over(block)
        self._played = False
        self._record_failure = ""
        self._next_second = self._next_hold = 0.0
        self._until_limit = float("inf")

    def _watch_over(self, block: ChaosdrillBlock | None) -> Watch | None:
        sampling, checks = self._parts.sampling, self._parts.checks
        if block is None:
            return None
        windows = sampling.windows if sampling is not None else Windows({})
        return Watch(block.abort_when, windows, checks, self._clock, self._alarm)

    def _alarm(self, breach: Breach) -> None:
        """Wake the runner, from whatever thread has seen the breach."""
        self._events.put({"event": "guard.breach", "breach": breach})

    # ---- what others may call, from any thread or signal handler

    def interrupt(self, by: str, what: str) -> None:
        """Stop the run because somebody asked: the first time aborts, later ones only say so."""
        self._events.put({"event": "interrupt", "by": by, "what": what})

    def snapshot(self) -> Snapshot:
        """Return what is going on now."""
        state, now = self._state, self._clock.now()
        sampling = self._parts.sampling
        return Snapshot(
            now=now,
            phase=state.phase,
            phase_started=state.phase_started,
            phase_seconds=state.phase_seconds,
            doing=state.doing,
            faults=tuple(state.active.values()),
            readings=tuple(sampling.readings(now)) if sampling and sampling.running else (),
            aborting=state.abort[1] if state.abort else "",
        )

    # ---- the run

    def run(self) -> Ending:
        """Carry the run out; whatever happens on the way, everything is undone before this returns.

        Raises Refused, before anything was played, when the guard does not see what it must see, when the
        system is out of its steady state, and when the clearance has expired meanwhile. Raises RunFenced when
        the watchdog has taken the run over: then it undoes and records, and this process touches neither
        target nor record any more.
        """
        try:
            self._prove()
            self._baseline()
            self._still_cleared()
            self._play()
            self._recovery()
        except RunFenced:
            self._leave()
            raise
        except BaseException:
            self._finish()
            raise
        return Ending(tuple(self._finish()), self._record_failure)

    def _leave(self) -> None:
        self._parts.engine.end(grace=0.0)
        if self._watch is not None:
            self._watch.stop()
        if self._parts.sampling is not None and self._parts.sampling.running:
            self._parts.sampling.stop()

    def _prove(self) -> None:
        """Have the guard see a breach of every stop condition before there can be one."""
        conditions = self._block.abort_when if self._block is not None else ()
        sampling, began = self._parts.sampling, self._clock.mono()
        try:
            prove(conditions, self._parts.checks, sampling.intervals if sampling is not None else {})
        except Unproved as failure:
            raise Refused(
                f"not injecting: the guard did not see the breach that it must see: {failure}",
                next_step="correct that stop condition, and run it again",
            ) from failure
        seconds = round(self._clock.mono() - began, 6)
        self._tell("guard.proved", conditions=len(conditions), seconds=seconds)

    def _baseline(self) -> None:
        sampling, block = self._parts.sampling, self._block
        if self._watch is None or block is None:
            return
        if sampling is None and not self._parts.checks:
            return
        self._watch.start(min(block.phases.baseline, sampling.windows.longest if sampling else 0.0))
        if sampling is not None:
            sampling.start()
            self._tell("signals.started", sources=sorted(sampling.sources))
        self._enter("baseline", block.phases.baseline)
        self._take_turns(lambda: False, seconds=block.phases.baseline)
        watch = self._watch
        # However short the baseline: a check that tells nothing is blind soon, and that ends this too.
        self._take_turns(lambda: watch.sees or self._state.abort is not None)
        if sampling is None or sampling.baseline is None or self._state.abort is not None:
            return
        broken = already_broken(block.criteria, sampling.baseline, self._clock.now())
        sampling.baseline = None
        if broken:
            raise Refused(
                f"not injecting: already out of its steady state: {'; '.join(broken)}",
                next_step="bring it back to health first",
            )

    def _still_cleared(self) -> None:
        late = self._clock.now() - self._parts.clearance.expires
        if late > 0 and self._state.abort is None:
            raise Refused(
                f"not injecting: the clearance expired {late:.1f} s ago", next_step="start the run again"
            )

    def _play(self) -> None:
        if self._state.abort:
            return
        if self._block is not None:
            self._until_limit = self._clock.now() + self._block.time_limit
        self._played = True
        engine = self._parts.engine
        engine.listen(self._events.put)
        self._tell("engine.started", pid=engine.pid)
        engine.play(str(self._parts.folder.path), [p.as_json() for p in self._planned])
        self._take_turns(engine.gone.is_set)
        if self._state.abort:
            self._take_turns(engine.gone.is_set, seconds=ABORT_GRACE)
        self._drain()
        self._engine_ended()

    def _recovery(self) -> None:
        block, sampling = self._block, self._parts.sampling
        if block is None or sampling is None or self._state.abort:
            return
        if self._state.phase != "recovery":
            self._enter("recovery", block.phases.recovery)
        began = self._state.phase_started
        self._take_turns(lambda: False, seconds=began + block.phases.recovery - self._clock.now())
        waiting = [c for c in block.criteria if c.within is not None and c.after == "fault-end"]
        longest = max((c.within or 0.0 for c in waiting), default=0.0)
        if not all(self._met(c) for c in waiting):
            self._tell("note", text="still waiting for the recovery criteria")
            left = began + longest - self._clock.now()
            self._take_turns(lambda: all(self._met(c) for c in waiting), seconds=left)

    def _recovery_seconds(self) -> float | None:
        return self._block.phases.recovery if self._block and not self._state.abort else None

    def _met(self, criterion: Criterion) -> bool:
        sampling = self._parts.sampling
        if sampling is None:
            return False
        value, count = sampling.live.value(criterion.signal, self._clock.now())
        return count > 0 and value is not None and criterion.allows(value)

    def _finish(self) -> list[str]:
        parts = self._parts
        self._state.doing = "undoing"
        parts.lifeline.beat(UNDO_PATIENCE)
        parts.engine.end()
        self._drain()
        if self._state.ended is None and self._played:
            self._engine_ended()
        if self._watch is not None:
            self._watch.stop()
        residue = unwind(parts.ledger, self._tell, parts.open_fault, self._clock)
        if self._played and parts.replay is not None and (self._state.ended or {}).get("status") is None:
            residue += parts.replay(self._tell, lambda: parts.lifeline.beat(UNDO_PATIENCE))
        # Before the last answers are waited for: that wait is no part of what was to be observed.
        ended = self._clock.now()
        if parts.sampling is not None:
            started, lost = parts.sampling.running, parts.sampling.stop()
            if started:
                self._tell("signals.stopped", samples=parts.sampling.count, lost=lost)
        for point in self._watch.points if self._watch is not None else ():
            self._tell("guard.asked", rule=point.condition.sentence(), asked=point.asked, untold=point.untold)
        self._drain()
        self._enter("ended", None, ended)
        return residue

    # ---- taking turns

    def _take_turns(self, done: Callable[[], bool], seconds: float | None = None) -> None:
        """Take turns until `done`, until `seconds` have passed, or until the run is being stopped.

        While an engine is being stopped (`seconds` given and an abort already decided), it goes on to wait.
        """
        stopping_before = self._state.abort is not None
        deadline = None if seconds is None else self._clock.mono() + seconds
        while not done():
            left = TURN if deadline is None else min(TURN, deadline - self._clock.mono())
            if left <= 0:
                return
            try:
                heard = self._events.get(timeout=left)
            except queue.Empty:
                heard = None
            # Before anything is done or written: this process may have been stopped, and taken for dead.
            self._parts.lifeline.beat()
            if heard is not None:
                self._hear(heard)
            self._look_around()
            if self._state.abort is not None and not stopping_before:
                return

    def _drain(self) -> None:
        while not self._events.empty():
            self._hear(self._events.get())

    def _look_around(self) -> None:
        now = self._clock.now()
        for entry in self._inbox.take():
            if entry["event"] == "abort":
                by, reason = str(entry.get("by", "somebody")), str(entry.get("reason", ""))
                self._abort(by, reason or "chaosdrill abort")
        sampling = self._parts.sampling
        if self._state.abort is not None:
            return
        if not self._parts.lifeline.alive:
            self._abort("chaosdrill", "the watchdog is gone, so nobody would undo this if we died")
        elif (hold := self._hold(now)) is not None:
            self._abort(hold.by, f"hold: {hold.why}")
        elif now > self._until_limit and self._block is not None:
            self._abort("chaosdrill", "the time limit has passed")
        elif sampling is not None and sampling.failure:
            self._abort("chaosdrill", f"samples can't be written: {sampling.failure}")
        elif self._watch is not None and self._watch.running:
            self._watch.tick()
        if sampling is not None and now >= self._next_second:
            self._next_second = now + 1.0
            sampling.remember(now)

    def _hold(self, now: float) -> Hold | None:
        if now < self._next_hold:
            return None
        self._next_hold = now + HOLD_SECONDS
        return self._parts.lever.hold()

    def _hear(self, message: dict[str, Any]) -> None:
        event, at = message["event"], message.get("at")
        if event == "guard.breach":
            self._breached(message["breach"])
            return
        facts = {k: v for k, v in message.items() if k not in ("event", "at")}
        if event == "interrupt":
            self._interrupted(message["by"], message["what"])
        elif event == "engine.ended":
            self._state.ended = facts
        elif event != "engine.gone":
            self._tell(event, at=at, **facts)
            self._follow(event, facts, at or self._clock.now())

    def _follow(self, event: str, facts: dict[str, Any], at: float) -> None:
        state = self._state
        if event == "fault.active":
            ends = at + float(facts["duration"])
            state.active[facts["id"]] = ActiveFault(facts["id"], facts["kind"], tuple(facts["hit"]), ends)
            if state.phase != "fault":
                self._enter("fault", sum(p.duration for p in self._planned) or None, at)
        elif event == "fault.undone":
            state.active.pop(facts["id"], None)
            state.undone += 1
            if not state.active and state.undone >= len(self._planned) and state.phase == "fault":
                self._enter("recovery", self._recovery_seconds(), at)
        elif event == "run.stopping":
            self._abort("chaosdrill", facts["reason"])
        elif event == "method.started" and not self._planned:
            self._enter("fault", None, at)
        elif event == "method.ended" and state.phase == "fault" and not state.active:
            self._enter("recovery", self._recovery_seconds(), at)
        elif event == "activity.started":
            state.doing = f"{facts['type']} {facts['name']}"

    def _interrupted(self, by: str, what: str) -> None:
        if self._state.abort is None:
            self._abort(by, what)
        else:
            self._tell("note", text=f"{what}: still undoing, and going on with it")

    def _tell(self, event: str, *, at: float | None = None, **facts: Any) -> None:
        """Write an event; a journal that takes no more ends the run, and keeps nothing from being undone."""
        try:
            self._parts.journal.write(event, at=at, **facts)
        except RecordUnusable as error:
            self._record_failure = self._record_failure or str(error)
            self._abort("chaosdrill", "the journal can't be written")

    def _breached(self, breach: Breach) -> None:
        self._abort("guard", f"{breach.rule} (seen: {breach.seen})", breach)

    def _abort(self, by: str, rule: str, breach: Breach | None = None) -> None:
        if self._state.abort is not None:
            return
        self._state.abort = (by, rule)
        decided = self._clock.now()
        # Before it is written down: no disk and no terminal may come between a breach and its undo.
        self._parts.engine.abort()
        if breach is not None:
            self._tell("guard.breach", at=breach.at, rule=breach.rule, value=breach.seen)
        self._tell("abort.requested", at=decided, by=by, rule=rule)

    def _enter(self, phase: str, seconds: float | None, at: float | None = None) -> None:
        moment = self._clock.now() if at is None else at
        self._state.phase, self._state.phase_started, self._state.phase_seconds = phase, moment, seconds
        facts = {} if seconds is None else {"seconds": round(seconds, 3)}
        self._tell("phase.started", at=moment, phase=phase, **facts)

    def _engine_ended(self) -> None:
        engine = self._parts.engine
        # Also when it has gone by itself: only then is it known what it ended with.
        engine.end(grace=1.0 if engine.gone.is_set() else 0.0)
        self._drain()
        ended = self._state.ended
        if ended is None:
            code = engine.code
            how = f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"
            ended = {"status": None, "deviated": False, "error": f"the engine died ({how})"}
            self._state.ended = ended
            self._abort("chaosdrill", ended["error"])
        self._tell("engine.ended", code=engine.code, **ended)
