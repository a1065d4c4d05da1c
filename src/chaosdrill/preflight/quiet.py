"""Whether a system is left alone right now: alerts that fire, a rollout, a run that went wrong a moment ago.

Nothing here knows where alerts or rollouts are asked for; what can't be asked counts against going on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chaosdrill.clock import from_iso
from chaosdrill.errors import ChaosdrillError
from chaosdrill.model.checklist import Check
from chaosdrill.model.policy import Rules
from chaosdrill.record import folder as folders
from chaosdrill.record.folder import RunFolder
from chaosdrill.units import format_duration

Firing = Callable[[str], Check]
Deploying = Callable[[], Sequence[str]]

#: A run may have gone on for a while before it went wrong: so much earlier it may have begun, in seconds.
LONGEST_RUN = 86_400.0
#: Verdicts after which a system is left alone: the fault hurt, or something may still be wrong. A refusal is
#: none of them, for nothing was injected.
_WRONG = ("DEVIATED", "ABORTED", "ERRORED", "RESIDUE LEFT")


def quiet(
    rules: Rules, service: str | None, home: Path, now: float, firing: Firing, deploying: Deploying
) -> list[Check]:
    """Return one check for each thing that `rules.quiet` asks for; none when it asks for nothing.

    `firing` is asked with the Alertmanager's address; `deploying` names rollouts in words; `home` is where
    runs/ lies, `now` in epoch seconds. A file that names no service counts as touching all of them.
    """
    checks = []
    if rules.quiet.alerts:
        checks.append(firing(rules.quiet.alerts))
    if rules.quiet.deployments:
        checks.append(_rollouts(deploying, now))
    if rules.quiet.after_deviation > 0:
        checks.append(_since_deviation(rules, service, home, now))
    return checks


def _rollouts(deploying: Deploying, now: float) -> Check:
    try:
        found = list(deploying())
    except ChaosdrillError as error:
        said = f"whether something is being deployed can't be told: {error.message}"
        return Check("deployments", False, said, at=now, next_step=error.next_step)
    if found:
        said = f"a deployment is in progress: {', '.join(found)}"
        return Check("deployments", False, said, at=now, next_step="wait until it is done")
    return Check("deployments", True, "no deployment is in progress", at=now)


def _since_deviation(rules: Rules, service: str | None, home: Path, now: float) -> Check:
    wanted = rules.quiet.after_deviation
    what = service or rules.environment
    for folder, facts, ended in _newest_first(home, now - wanted):
        if facts is None:
            said = f"how run {folder.id} came out can't be told: its record can't be read"
            return Check("after-deviation", False, said, at=now, next_step=f"see {folder.path}")
        if facts.get("environment") != rules.environment:
            continue
        if service is not None and facts.get("service") not in (service, None):
            continue
        word = str((facts.get("verdict") or {}).get("word", "")).upper()
        if word in _WRONG and now - ended < wanted:
            ago, left = (format_duration(_whole(s)) for s in (now - ended, wanted - (now - ended)))
            return Check(
                "after-deviation",
                False,
                f"run {folder.id} came out {word} {ago} ago; {what} is left alone for "
                f"{format_duration(wanted)} after that",
                at=now,
                next_step=f"wait {left}, or have the item overridden",
                facts={"run": folder.id, "word": word, "ended": ended},
            )
    said = f"no run on {what} went wrong in the last {format_duration(wanted)}"
    return Check("after-deviation", True, said, at=now)


def _newest_first(home: Path, since: float) -> Iterator[tuple[RunFolder, Mapping[str, Any] | None, float]]:
    """Yield runs that may have ended after `since`, with their facts and their end; None can't be read.

    One that has not ended is at its beginning; what was lost holds the lock of its target anyway.
    """
    for folder in reversed(folders.all_runs(home)):
        named = _named(folder.id)
        if named is not None and named < since - LONGEST_RUN:
            return
        try:
            facts = folder.facts()
            yield folder, facts, from_iso(str(facts.get("ended") or facts["started"]))
        except (ChaosdrillError, LookupError, ValueError):
            yield folder, None, 0.0


def _named(name: str) -> float | None:
    """Return the moment that a run's name begins with, None for another name."""
    try:
        return datetime.strptime(name[:20], "%Y-%m-%dT%H-%M-%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _whole(seconds: float) -> float:
    """Return seconds as a person would say them: whole ones, and whole minutes from an hour on."""
    return round(seconds / 60) * 60.0 if seconds >= 3600 else float(round(seconds))
