"""What happened, in one line of words per event, with the file and line that says so.

The journal is the main source. What only another file knows (an undo that the watchdog wrote to the ledger,
the activities of a journal without them) is added with that file's name. Unknown events are shown as they
are: a newer writer must not lose anything in an older report.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chaosdrill.clock import from_iso, iso
from chaosdrill.model.run import EngineOutcome
from chaosdrill.record.folder import ENGINE, JOURNAL, LEDGER
from chaosdrill.record.journal import Event
from chaosdrill.record.ledger import Entry
from chaosdrill.report.blocks import Moment, Tone
from chaosdrill.units import format_duration

Told = tuple[str, Tone | None, bool]

#: A pause between the lines of one activity that a reader would not notice, in seconds.
_AT_ONCE = 1.0


def moments(
    events: list[Event], entries: list[Entry], engine: EngineOutcome, zero: float
) -> tuple[Moment, ...]:
    """Return every event in order of time; `zero` is the epoch second that offsets count from."""
    found = [*_journal(events, zero), *_ledger(events, entries, zero)]
    if not any(event["event"] == "activity.ended" for event in events):
        found += _engine(engine, zero)
    return tuple(sorted(found, key=lambda moment: moment.offset))


def plain(kind: str) -> str:
    """Return the name of a fault's kind in words: 'instance failure'."""
    return kind.replace("_", " ")


def tell(event: Event) -> Told:
    """Return an event in words, with its tone and whether a first reading needs it."""
    teller = _TELLERS.get(event["event"])
    if teller is None:
        facts = ", ".join(f"{k}: {v}" for k, v in event.items() if k not in ("t", "mono", "event"))
        return f"{event['event']}{f' ({facts})' if facts else ''}", None, True
    return teller(event)


def _journal(events: list[Event], zero: float) -> list[Moment]:
    found: list[Moment] = []
    skip = -1
    for number, event in enumerate(events):
        if number == skip:
            continue
        at = from_iso(event["t"])
        text, tone, key = tell(event)
        after = events[number + 1] if number + 1 < len(events) else None
        if after is not None and _is_pair(event, after):
            # Two lines for one short activity would bury everything else.
            took = max(0.0, from_iso(after["t"]) - at)
            text, tone, key = tell(after)
            text += f" after {format_duration(round(took, 3))}"
            skip = number + 1
        found.append(Moment(at - zero, event["t"], text, f"{JOURNAL}:{number + 1}", tone, key))
    return found


def _is_pair(event: Event, after: Event) -> bool:
    same = event.get("name") == after.get("name") and event.get("section") == after.get("section")
    short = from_iso(after["t"]) - from_iso(event["t"]) < _AT_ONCE
    return same and short and (event["event"], after["event"]) == ("activity.started", "activity.ended")


def _ledger(events: list[Event], entries: list[Entry], zero: float) -> list[Moment]:
    told = {e.get("id") for e in events if e["event"] == "fault.undone"}
    found = []
    for entry in entries:
        if entry.ended is not None and entry.id not in told:
            facts = {"hit": entry.hit, "residue": entry.residue, "how": entry.how, "kind": entry.kind}
            text, tone, key = _undone({"event": "fault.undone", **facts})
            found.append(Moment(entry.ended - zero, iso(entry.ended), text, LEDGER, tone, key))
    return found


def _engine(engine: EngineOutcome, zero: float) -> list[Moment]:
    found = []
    for run in engine.activities:
        if not run.get("start"):
            continue
        at = from_iso(str(run["start"]))
        text, tone, key = _activity_ended({**run, "event": "activity.ended"})
        found.append(Moment(at - zero, iso(at), text, ENGINE, tone, key))
    return found


# ---- one teller for each event that the runner and the engine write


def _hit(event: Event) -> str:
    hit = [str(name) for name in event.get("hit") or ()]
    return f" on {', '.join(hit)}" if hit else ""


def _opened(event: Event) -> Told:
    return f"Run opened: {event.get('title', '')}", None, True


def _pinned(event: Event) -> Told:
    chosen = [str(name) for name in event.get("chosen") or ()]
    out_of = f"{len(chosen)} of {event.get('candidates')}"
    return f"Scope pinned for {plain(event.get('kind', 'fault'))}: {', '.join(chosen)} ({out_of})", None, True


def _signals(event: Event) -> Told:
    return f"Signals started: {', '.join(map(str, event.get('sources') or ()))}", None, True


def _signals_stopped(event: Event) -> Told:
    return f"Signals stopped after {event.get('samples', 0):,} samples", None, True


def _phase(event: Event) -> Told:
    if event.get("phase") == "ended":
        return "Watching ended", None, True
    length = f", planned for {format_duration(event['seconds'])}" if event.get("seconds") else ""
    return f"Phase {event.get('phase')} began{length}", None, True


def _hypothesis(event: Event) -> Told:
    return f"Checking the steady-state hypothesis ({event.get('moment')})", None, False


def _hypothesis_ended(event: Event) -> Told:
    if event.get("met"):
        return f"Steady-state hypothesis met ({event.get('moment')})", "good", True
    return f"Steady-state hypothesis not met ({event.get('moment')})", "bad", True


def _activity(event: Event) -> str:
    section = "" if event.get("section", "method") == "method" else f" ({event['section']})"
    return f"{str(event.get('type') or 'activity').capitalize()} {event.get('name', '')}{section}"


def _activity_started(event: Event) -> Told:
    behind = " in the background" if event.get("background") else ""
    return f"{_activity(event)} started{behind}", None, False


def _activity_ended(event: Event) -> Told:
    if event.get("status") == "succeeded":
        return f"{_activity(event)} succeeded", None, False
    error = f": {event['error']}" if event.get("error") else ""
    return f"{_activity(event)} {event.get('status') or 'did not end'}{error}", "bad", True


def _intended(event: Event) -> Told:
    return f"About to inject {plain(event.get('kind', 'fault'))}{_hit(event)}", None, False


def _active(event: Event) -> Told:
    length = f", to last {format_duration(event['duration'])}" if event.get("duration") else ""
    return f"{plain(event.get('kind', 'fault')).capitalize()} active{_hit(event)}{length}", "warn", True


def _undone(event: Event) -> Told:
    what = f"{plain(event.get('kind', 'fault')).capitalize()}{_hit(event)}"
    how = f" ({event['how']})" if event.get("how") else ""
    error = f"; {event['error']}" if event.get("error") else ""
    if event.get("residue"):
        left = "; ".join(map(str, event["residue"]))
        return f"{what} ended, but something is left{how}: {left}{error}", "bad", True
    return f"{what} undone{how}{error}", "good", True


def _failed(event: Event) -> Told:
    return (
        f"{plain(event.get('kind', 'fault')).capitalize()} could not be injected: {event.get('error', '')}",
        "bad",
        True,
    )


def _breach(event: Event) -> Told:
    value = f" (seen: {event['value']})" if event.get("value") is not None else ""
    return f"Guard breached: {event.get('rule', '')}{value}", "bad", True


def _guard_asked(event: Event) -> Told:
    untold = f", {event['untold']} of them in vain" if event.get("untold") else ""
    return f"Guard asked {event.get('asked')} times{untold}: {event.get('rule', '')}", None, False


def _abort(event: Event) -> Told:
    return f"Abort requested by {event.get('by')}: {event.get('rule', '')}", "bad", True


def _unwinding(event: Event) -> Told:
    return f"Undoing what is left on: {event.get('count')}", None, True


def _unwound(event: Event) -> Told:
    left = "; ".join(map(str, event.get("residue") or ()))
    return (f"Undone, but something is left: {left}", "bad", True) if left else ("All undone", "good", True)


def _engine_ended(event: Event) -> Told:
    status = event.get("status") or "no status"
    error = f": {event['error']}" if event.get("error") else ""
    tone: Tone | None = None if status == "completed" and not error else "bad"
    return f"Chaos Toolkit ended: {status}{error}", tone, True


def _refused(event: Event) -> Told:
    return f"Refused: {'; '.join(map(str, event.get('reasons') or ()))}", "bad", True


def _decided(event: Event) -> Told:
    state = str(event.get("state", "unknown"))
    said = f": {event['said']}" if event.get("said") else ""
    tone: Tone | None = "bad" if state in ("failed", "overridden") else None
    return f"{event.get('title', event.get('item', 'An item'))}: {state}{said}", tone, tone is not None


def _asked(event: Event) -> Told:
    whom = " or ".join(map(str, event.get("names") or ())) or "anybody"
    return f"Waiting until {event.get('until', 'some time')} for {whom} to be ready", None, True


def _answered(event: Event) -> Told:
    tone: Tone = "good" if event.get("ready") else "bad"
    return f"{'Ready' if event.get('ready') else 'Not ready'}: {event.get('said', '')}", tone, True


def _proved(event: Event) -> Told:
    many = int(event.get("conditions") or 0)
    if not many:
        return "No stop condition for a guard to prove", None, False
    which = "1 stop condition" if many == 1 else f"{many} stop conditions"
    return f"The guard saw the breach that it must see, of {which}", "good", True


def _recovered(event: Event) -> Told:
    left = "; ".join(map(str, event.get("residue") or ()))
    words = f"Recovered by {event.get('by', 'somebody')}"
    return (f"{words}, but something is left: {left}", "bad", True) if left else (words, "good", True)


def _lost(event: Event) -> Told:
    why = f" ({event['why']})" if event.get("why") else ""
    return f"Runner lost{why}, noticed by {event.get('by', 'nobody')}", "bad", True


def _fenced(event: Event) -> Told:
    by = f" by {event['by']}" if event.get("by") else ""
    return f"Run fenced{by}: its runner may inject and write nothing any more", "warn", True


def _judged(event: Event) -> Told:
    return f"Judged: {event.get('word')} (exit code {event.get('exit_code')})", None, True


def _always(text: str, *, key: bool = False) -> Callable[[Event], Told]:
    def told(event: Event) -> Told:  # noqa: ARG001
        return text, None, key

    return told


def _note(event: Event) -> Told:
    return f"Note: {event.get('text', '')}", None, True


_TELLERS: dict[str, Callable[[dict[str, Any]], Told]] = {
    "run.opened": _opened,
    "scope.pinned": _pinned,
    "signals.started": _signals,
    "signals.stopped": _signals_stopped,
    "phase.started": _phase,
    "engine.started": _always("Chaos Toolkit started"),
    "engine.ended": _engine_ended,
    "method.started": _always("Method began", key=True),
    "method.ended": _always("Method ended", key=True),
    "rollbacks.started": _always("Rollbacks began", key=True),
    "rollbacks.ended": _always("Rollbacks ended", key=True),
    "hypothesis.started": _hypothesis,
    "hypothesis.ended": _hypothesis_ended,
    "activity.started": _activity_started,
    "activity.ended": _activity_ended,
    "fault.intended": _intended,
    "fault.active": _active,
    "fault.undone": _undone,
    "fault.failed": _failed,
    "guard.breach": _breach,
    "guard.asked": _guard_asked,
    "abort.requested": _abort,
    "unwind.started": _unwinding,
    "unwind.ended": _unwound,
    "item.decided": _decided,
    "ready.asked": _asked,
    "ready.answered": _answered,
    "ready.expired": lambda e: (f"Nobody was ready in {e.get('seconds', 0):g} s", "bad", True),
    "watchdog.armed": _always("Watchdog armed"),
    "guard.proved": _proved,
    "rollbacks.unplayed": lambda e: (f"Rollbacks were not played: {e.get('why', '')}", "bad", True),
    "run.recovered": _recovered,
    "run.refused": _refused,
    "runner.lost": _lost,
    "run.fenced": _fenced,
    "run.judged": _judged,
    "run.sealed": _always("Record sealed", key=True),
    "note": _note,
}
