"""From a run folder to the evidence that a verdict rests on; reads files, decides nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chaosdrill.clock import from_iso
from chaosdrill.model.run import (
    Abort,
    EngineOutcome,
    Evidence,
    FaultOutcome,
    Phase,
    PlannedFault,
    ProbeResult,
)
from chaosdrill.record import journal, ledger
from chaosdrill.record.folder import ENGINE, JOURNAL, LEDGER, RunFolder
from chaosdrill.record.outcome import refused

if TYPE_CHECKING:
    from chaosdrill.model.experiment import ChaosdrillBlock


def evidence(folder: RunFolder) -> Evidence:
    """Return what the folder proves, apart from its samples. Raises RecordUnusable for a broken run.json."""
    facts = folder.facts()
    events = journal.read(folder.file(JOURNAL))
    return Evidence(
        block=_block(facts["block"]) if facts.get("block") else None,
        phases=_phases(events),
        planned=tuple(PlannedFault.read(p) for p in facts.get("planned", ())),
        faults=tuple(_outcome(entry) for entry in ledger.entries(folder.file(LEDGER))),
        engine=_engine(folder, events),
        abort=abort(events),
        refused=_refused(events),
        unplayed=_unplayed(events),
        lost=next((str(e.get("why") or "unknown") for e in events if e["event"] == "runner.lost"), ""),
    )


def _block(facts: dict[str, Any]) -> ChaosdrillBlock:
    # Imported where there is one: a plain Chaos Toolkit file is judged without pydantic.
    from chaosdrill.model.experiment import ChaosdrillBlock

    return ChaosdrillBlock.model_validate(facts)


def _phases(events: list[journal.Event]) -> tuple[Phase, ...]:
    starts = [e for e in events if e["event"] == "phase.started"]
    phases = []
    for this, after in zip(starts, [*starts[1:], None], strict=False):
        if this["phase"] == "ended":
            continue
        end = from_iso(after["t"]) if after else None
        phases.append(Phase(name=this["phase"], start=from_iso(this["t"]), end=end))
    return tuple(phases)


def _outcome(entry: ledger.Entry) -> FaultOutcome:
    never_undone = () if entry.ended is not None else ("not known to be undone",)
    return FaultOutcome(
        id=entry.id,
        activity=entry.activity,
        kind=entry.kind,
        target=entry.target,
        hit=entry.hit,
        duration=entry.duration,
        started=entry.started,
        ended=entry.ended,
        residue=entry.residue or never_undone,
        error=entry.error,
    )


def abort(events: Sequence[journal.Event]) -> Abort | None:
    """Return why the run was stopped, when, and how fast it was undone; None when it was not stopped."""
    place = next((i for i, e in enumerate(events) if e["event"] == "abort.requested"), None)
    if place is None:
        return None
    asked, later = events[place], events[place + 1 :]
    breach = next((e for e in events[:place] if e["event"] == "guard.breach"), None)
    # Without a fault of ours, what undoes is the file's own rollbacks.
    undone = [e for e in later if e["event"] == "fault.undone"]
    ended = next((e for e in later if e["event"] == "unwind.ended"), undone[-1] if undone else None)
    undone = undone or [
        e for e in later if e["event"] == "activity.started" and e.get("section") == "rollbacks"
    ]
    return Abort(
        by=asked["by"],
        rule=asked["rule"],
        requested=from_iso(asked["t"]),
        undone=_moment(ended, asked) if ended else None,
        breach=_moment(breach, asked) if breach else None,
        first_undo=min((_moment(e, asked) for e in undone), default=None),
    )


def _moment(event: journal.Event, asked: journal.Event) -> float:
    """Return when `event` was, to the microsecond where both events were written in one boot."""
    by_wall = from_iso(event["t"])
    try:
        exact = from_iso(asked["t"]) + float(event["mono"]) - float(asked["mono"])
    except (KeyError, TypeError, ValueError):
        return by_wall
    # Stamps are rounded to the millisecond; further apart, another clock began at another zero.
    return exact if abs(exact - by_wall) < 0.01 else by_wall


def _refused(events: list[journal.Event]) -> tuple[str, ...]:
    found = next((e for e in events if e["event"] == "run.refused"), None)
    if found is None:
        return ()
    return tuple(str(reason) for reason in found.get("reasons") or ()) or ("no reason is on record",)


def _unplayed(events: list[journal.Event]) -> tuple[str, ...]:
    """Return the rollbacks that failed, unless they were played again and did not, and those never played."""
    last: dict[object, str] = {}
    for event in events:
        if event["event"] == "activity.ended" and event.get("section") == "rollbacks":
            error = f": {event['error']}" if event.get("error") else ""
            failed = event.get("status") not in ("succeeded", None)
            place = event.get("place")
            key = event.get("name") if place is None else place
            last[key] = f"rollback {event.get('name', '')} failed{error}" if failed else ""
    never = [e for e in events if e["event"] == "rollbacks.unplayed"]
    found = [*filter(None, last.values()), *(f"rollbacks were not played: {e.get('why', '')}" for e in never)]
    return tuple(found)


def _engine(folder: RunFolder, events: list[journal.Event]) -> EngineOutcome:
    ended = next((e for e in events if e["event"] == "engine.ended"), {})
    error = str(ended.get("error", ""))
    try:
        said = json.loads(folder.file(ENGINE).read_text("utf-8"))
    except FileNotFoundError:
        return EngineOutcome(error=error or "the engine left no journal")
    except ValueError:
        return EngineOutcome(error=error or "the engine's journal is broken")
    runs = [*(said.get("run") or ()), *(said.get("rollbacks") or ())]
    return EngineOutcome(
        status=said.get("status"),
        deviated=bool(said.get("deviated")),
        probes=tuple(_probes(said.get("steady_states") or {})),
        activities=tuple(_activity(run) for run in runs),
        failed_activities=tuple(
            _activity(run)["name"]
            for run in runs
            if run.get("status") not in ("succeeded", None) or refused(run)
        ),
        error=error,
    )


def _activity(run: dict[str, Any]) -> dict[str, Any]:
    activity = run.get("activity") or {}
    return {
        "name": activity.get("name") or activity.get("ref") or "(unnamed)",
        "type": activity.get("type", ""),
        "status": run.get("status"),
        "start": run.get("start"),
        "end": run.get("end"),
    }


def _probes(states: dict[str, Any]) -> list[ProbeResult]:
    found = []
    moments = [("before", [states.get("before")]), ("during", states.get("during") or [])]
    for moment, rounds in [*moments, ("after", [states.get("after")])]:
        for state in rounds:
            for run in (state or {}).get("probes", ()):
                activity = run.get("activity") or {}
                found.append(
                    ProbeResult.read(
                        {
                            "name": activity.get("name", "(unnamed)"),
                            "moment": moment,
                            "met": bool(run.get("tolerance_met")) and run.get("status") == "succeeded",
                            "output": _brief(run.get("output")),
                            "tolerance": _brief(activity.get("tolerance")),
                            "error": _cause(run),
                        }
                    )
                )
    return found


def _cause(run: dict[str, Any]) -> str:
    """Return the last line of the exception that Chaos Toolkit journals as a list of lines."""
    lines = [line for line in run.get("exception") or () if str(line).strip()]
    return str(lines[-1]).strip() if lines else ""


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 200 else text[:199] + "…"
