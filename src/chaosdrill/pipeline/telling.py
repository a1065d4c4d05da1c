"""Telling people how a run came out: whoever was told that it starts is told that it is over.

Also when its runner was lost, and somebody else has brought it to its end. It never changes a verdict, and it
knows nothing of how messages travel; what could not be delivered is a warning, and stands in the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chaosdrill.model.policy import Notified
from chaosdrill.pipeline.parts import Plan, Workshop
from chaosdrill.pipeline.recording import Teller
from chaosdrill.plan.policy import read_rules
from chaosdrill.ports import Notifier
from chaosdrill.record import answers, journal
from chaosdrill.record.folder import JOURNAL, RunFolder
from chaosdrill.record.journal import Journal

if TYPE_CHECKING:
    # Typed only: a plain Chaos Toolkit file never waits for pydantic before it is played.
    from chaosdrill.model.run import Verdict

OpenNotifier = Callable[[Sequence[str]], Notifier]


def teller(plan: Plan, folder: RunFolder, workshop: Workshop) -> Teller | None:
    """Return what tells the people of this plan; None where the policy names no address for them.

    Of an unannounced drill its guardians are told, and nobody else: the responders still look at it.
    """
    announced = plan.block is None or plan.block.announced
    addresses = _recipients(plan.rules.notified, announced=announced)
    return _Teller(addresses, folder, workshop.open_notifier) if addresses else None


def teller_of_lost(folder: RunFolder, open_notifier: OpenNotifier) -> Teller | None:
    """Return what tells the people of a run whose runner is gone, by the policy that it was under.

    None when nobody was told that it starts. A policy that can't be read any more is a warning: it keeps
    nothing from being undone.
    """
    facts = folder.facts()
    source = (facts.get("policy") or {}).get("path")
    if not source or not _told_before(folder):
        return None
    path = Path(str((facts.get("recovery") or {}).get("cwd", "")), str(source))
    announced = (facts.get("block") or {}).get("announced", True) is not False
    try:
        notified = read_rules(path, str(facts.get("environment"))).notified
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the policy, the record has to be closed
        why = str(error)
        return lambda *_: [f"nobody was told that the run is over: {why}"]
    addresses = _recipients(notified, announced=announced)
    return _Teller(addresses, folder, open_notifier) if addresses else None


def _recipients(notified: Notified, *, announced: bool) -> tuple[str, ...]:
    return notified.via if announced else notified.guardians_via


@dataclass(frozen=True)
class _Teller:
    """Tells these addresses how the run in `folder` came out."""

    addresses: Sequence[str]
    folder: RunFolder
    open_notifier: OpenNotifier

    def __call__(self, verdict: Verdict, log: Journal) -> list[str]:
        """Send the message, journal what became of it, and return what went wrong, in words."""
        refused = verdict.execution.state == "refused"
        if refused and not _told_before(self.folder):
            return []
        facts = self.folder.facts()
        title = f"{facts.get('title', '')}: {'not started' if refused else 'over'}, {verdict.word}"
        lines = _lines(self.folder.id, str(facts.get("environment", "")), verdict)
        try:
            deliveries = self.open_notifier(self.addresses).send(title, "\n".join(lines))
        except Exception as bug:  # noqa: BLE001 - the verdict stands, whatever a mistake of ours does to its message
            return [f"nobody was told that the run is over: {type(bug).__name__}: {bug}"]
        failed = [delivery for delivery in deliveries if not delivery.delivered]
        log.write(
            "people.told",
            moment="end",
            title=title,
            delivered=[delivery.address for delivery in deliveries if delivery.delivered],
            failed=[{"address": delivery.address, "error": delivery.error} for delivery in failed],
        )
        return [f"{each.address} was not told that the run is over: {each.error}" for each in failed]


def _told_before(folder: RunFolder) -> bool:
    """Return whether anybody may wait for the run: a message has arrived, or an answer was asked for."""
    if answers.told_at_start(folder.facts()):
        return True
    return any(event["event"] == "ready.asked" for event in journal.read(folder.file(JOURNAL)))


def _lines(run: str, environment: str, verdict: Verdict) -> list[str]:
    lines = [f"{verdict.word}: {verdict.why}", f"Environment: {environment}"]
    if verdict.execution.state == "refused":
        lines.append("Nothing was injected.")
    else:
        said = f", {verdict.cleanup.text}" if verdict.cleanup.text else ""
        lines.append(f"Clean-up: {verdict.cleanup.state}{said}")
        lines.append(f"What is still to be answered: chaosdrill runs --open (run {run})")
    lines.append(f"More: chaosdrill show {run}")
    return lines
