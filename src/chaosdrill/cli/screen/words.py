"""Every event of a run in words: one sentence for the live view, the plain lines and the timeline of `show`.

It reads the facts of an event as they stand in the journal and asks for nothing else, so that a record of a
newer or older version is still readable; an event that nobody needs to see has no sentence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from chaosdrill.clock import from_iso
from chaosdrill.units import format_duration

Facts = Mapping[str, Any]

#: More names than this in one sentence help nobody.
MOST_NAMES = 4
_CLASS = re.compile(r"^(?:\w+\.)+\w+: ")


def sentence(event: Facts) -> str | None:
    """Return `event` in words, in one line; None when it matters to no one who watches."""
    tell = _TELLERS.get(str(event.get("event")))
    text = tell(event) if tell else None
    return clean(text) if text else None


def important(event: Facts) -> bool:
    """Return whether an event is one that a reader must not miss: a fault, an abort, something left on."""
    return event.get("event") in _IMPORTANT or bool(event.get("residue"))


def clean(text: object) -> str:
    """Return `text` in one line without control characters: names come from files, errors from anywhere."""
    spaced = "".join(" " if c.isspace() else c for c in str(text))
    return " ".join("".join(c for c in spaced if _harmless(c)).split())


def _harmless(char: str) -> bool:
    # Cc steers the terminal, Cf turns the writing's direction, Cs can't be encoded; joiners make letters.
    return unicodedata.category(char) not in ("Cc", "Cf", "Cs") or char in "\u200c\u200d"


def names(items: Iterable[object]) -> str:
    """Return names as people list them: 'a', 'a and b', 'a, b, c and 7 more'."""
    all_names = [clean(item) for item in items]
    if len(all_names) > MOST_NAMES:
        return f"{', '.join(all_names[: MOST_NAMES - 1])} and {len(all_names) - MOST_NAMES + 1} more"
    if len(all_names) < 2:
        return all_names[0] if all_names else "nothing"
    return f"{', '.join(all_names[:-1])} and {all_names[-1]}"


def count(number: int, noun: str) -> str:
    """Return '1 fault', '2 faults'."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def fault_words(facts: Facts) -> str:
    """Return a fault as people say it: 'instance failure on payment-api-2'."""
    kind = str(facts.get("kind", "fault")).replace("_", " ")
    hit = facts.get("hit") or facts.get("chosen") or [facts.get("target", "?")]
    return f"{kind} on {names(hit)}"


def stamp(event: Facts, origin: float) -> str:
    """Return when it happened, UTC and since `origin` (epoch seconds): '10:02:31Z T+00:20'."""
    at = str(event.get("t", ""))
    try:
        return f"{at[11:19]}Z {offset(from_iso(at) - origin)}"
    except ValueError:
        return "??:??:??Z T+??:??"


def offset(seconds: float) -> str:
    """Return `seconds` since the start of a run: 'T+00:20', 'T+1:02:03', 'T-00:01'."""
    sign = "-" if seconds <= -1 else "+"
    minutes, left = divmod(int(abs(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"T{sign}{hours}:{minutes:02}:{left:02}" if hours else f"T{sign}{minutes:02}:{left:02}"


def short_name(run: str) -> str:
    """Return the last part of a run's id, enough to name it in a command."""
    return run.rsplit("-", 1)[-1]


# ---- one teller per event


def _pinned(e: Facts) -> str:
    of = f"{len(e.get('chosen', ()))} of {e.get('candidates', '?')}"
    kind = str(e.get("kind", "fault")).replace("_", " ")
    return f"will hit {names(e.get('chosen', ()))} ({of}): {kind}{_lasting(e.get('duration'))}"


def _lasting(seconds: object) -> str:
    return f" for {format_duration(float(seconds))}" if isinstance(seconds, (int, float)) else ""


def _cleared(e: Facts) -> str:
    states = e.get("states") or {}
    return f"cleared: {', '.join(f'{number} {state}' for state, number in states.items())}"


def _phase(e: Facts) -> str | None:
    return {
        "baseline": f"baseline: watching the system as it is{_lasting(e.get('seconds'))}",
        "recovery": f"recovery: watching the system come back{_lasting(e.get('seconds'))}",
        # A fault says for itself how long it lasts.
        "fault": None,
    }.get(str(e.get("phase")))


def _hypothesis(e: Facts) -> str:
    when = {"before": "before the method", "during": "during the method", "after": "after the method"}
    moment = when.get(str(e.get("moment")), str(e.get("moment")))
    return f"Chaos Toolkit's hypothesis {moment}: {'met' if e.get('met') else 'NOT met'}"


def _began(e: Facts) -> str | None:
    if e.get("section") == "hypothesis":
        return None
    where = "rollback " if e.get("section") == "rollbacks" else ""
    background = ", in the background" if e.get("background") else ""
    return f"{where}{e.get('type', 'activity')} {e.get('name', '')} begins{background}"


def _over(e: Facts) -> str | None:
    if e.get("status") == "succeeded":
        return None
    # 'chaoslib.exceptions.ActivityFailed: instance_failure: ...' is said better without the class.
    error = _CLASS.sub("", str(e.get("error", "")))
    return f"{e.get('type', 'activity')} {e.get('name', '')}: {error or e.get('status', 'ended')}"


def _undone(e: Facts) -> str:
    error = f" ({e['error']})" if e.get("error") else ""
    if e.get("residue"):
        return f"STILL ON after its undo: {fault_words(e)}: {names(e['residue'])}{error}"
    how = {"time limit": "", "abort": " early", "unwind": " by unwinding"}.get(str(e.get("how")), "")
    return f"FAULT OFF{how}: {fault_words(e)}, nothing left{error}"


def _unwound(e: Facts) -> str:
    left = e.get("residue")
    return f"STILL ON: {names(left)}" if left else "everything is undone"


def _engine(e: Facts) -> str:
    status, error = e.get("status"), e.get("error")
    if error:
        return f"Chaos Toolkit: {error}"
    return f"Chaos Toolkit: {status}{', deviated' if e.get('deviated') else ''}"


def _abort(e: Facts) -> str:
    by, rule = str(e.get("by", "?")), str(e.get("rule", ""))
    return f"ABORT: {rule}" if by in rule else f"ABORT by {by}: {rule}"


def _breach(e: Facts) -> str:
    return f"guard: {e.get('rule', '')}; seen: {e.get('value', '?')}"


def _told(e: Facts) -> str:
    failed = [each.get("address", "?") for each in e.get("failed") or ()]
    return f"told {names(e.get('delivered') or ())}" + (f"; could NOT tell {names(failed)}" if failed else "")


def _asked(e: Facts) -> str:
    whom = names(e.get("names") or ("anybody",))
    return f"waiting for {whom} until {str(e.get('until', ''))[11:16]} UTC; type: {e.get('command', '')}"


def _refused(e: Facts) -> str:
    reasons = [str(reason) for reason in e.get("reasons") or ()]
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"REFUSED: {reasons[0] if reasons else 'no reason is on record'}{more}"


def _decided(e: Facts) -> str | None:
    if e.get("state") in ("proved", "attested", "not needed"):
        return None
    said = f": {e['said']}" if e.get("said") else ""
    return f"{e.get('title', e.get('item', 'an item'))}: {str(e.get('state', '?')).upper()}{said}"


def _proved(e: Facts) -> str:
    many = int(e.get("conditions") or 0)
    return f"the guard saw the breach that it must see, of {count(many, 'stop condition')}" if many else ""


def _recovered(e: Facts) -> str:
    left = f"STILL ON: {names(e['residue'])}" if e.get("residue") else "nothing is left on"
    return f"recovered by {e.get('by', 'somebody')}: {left}"


def _lost(e: Facts) -> str:
    why = f" ({e['why']})" if e.get("why") else ""
    return f"RUNNER LOST{why}; {e.get('by', 'nobody')} takes over"


_TELLERS: dict[str, Callable[[Facts], str | None]] = {
    "run.opened": lambda e: f"run {e.get('id', '')} opened",
    "scope.pinned": _pinned,
    "signals.started": lambda e: f"watching {names(e.get('sources', ()))}",
    "phase.started": _phase,
    "hypothesis.ended": _hypothesis,
    "activity.started": _began,
    "activity.ended": _over,
    "fault.active": lambda e: f"FAULT ON: {fault_words(e)}{_lasting(e.get('duration'))}",
    "fault.undone": _undone,
    "fault.failed": lambda e: f"fault failed: {fault_words(e)}: {e.get('error', '')}",
    "guard.breach": _breach,
    "guard.asked": lambda e: f"the guard asked {e.get('asked')} times: {e.get('rule', '')}",
    "abort.requested": _abort,
    "unwind.started": lambda e: f"undoing {count(e.get('count', 0), 'fault')}",
    "unwind.ended": _unwound,
    "engine.ended": _engine,
    "signals.stopped": lambda e: f"{count(e.get('samples', 0), 'sample')} taken",
    "note": lambda e: str(e.get("text", "")),
    "people.told": _told,
    "ready.asked": _asked,
    "ready.answered": lambda e: str(e.get("said", "")),
    "ready.expired": lambda e: f"nobody answered{_lasting(e.get('seconds'))}",
    "item.decided": _decided,
    "run.cleared": _cleared,
    "guard.proved": _proved,
    "rollbacks.unplayed": lambda e: f"ROLLBACKS NOT PLAYED: {e.get('why', '')}",
    "run.recovered": _recovered,
    "run.refused": _refused,
    "runner.lost": _lost,
    "run.fenced": lambda e: f"run fenced by {e.get('by', 'somebody')}: its runner may write nothing any more",
    "run.judged": lambda e: f"verdict: {e.get('word', '?')}: {e.get('why', '')}",
}
_IMPORTANT = {
    "fault.active",
    "fault.failed",
    "guard.breach",
    "abort.requested",
    "runner.lost",
    "run.refused",
    "rollbacks.unplayed",
}
