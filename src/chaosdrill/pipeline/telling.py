"""Telling people how a run came out: whoever was told that it starts is told that it is over.

It never changes a verdict, and it knows nothing of how messages travel; what could not be delivered is a
warning, and stands in the journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from chaosdrill.pipeline.parts import Plan, Workshop
from chaosdrill.pipeline.recording import Teller
from chaosdrill.record import answers, journal
from chaosdrill.record.folder import JOURNAL, RunFolder
from chaosdrill.record.journal import Journal

if TYPE_CHECKING:
    # Typed only: a plain Chaos Toolkit file never waits for pydantic before it is played.
    from chaosdrill.model.run import Verdict


def teller(plan: Plan, folder: RunFolder, workshop: Workshop) -> Teller | None:
    """Return what tells the people of this plan; None where the policy names no address for them.

    Of an unannounced drill its guardians are told, and nobody else: the responders still look at it.
    """
    notified = plan.rules.notified
    announced = plan.block is None or plan.block.announced
    addresses = notified.via if announced else notified.guardians_via
    return partial(_tell, addresses, plan, folder, workshop) if addresses else None


def _tell(
    addresses: Sequence[str],
    plan: Plan,
    folder: RunFolder,
    workshop: Workshop,
    verdict: Verdict,
    log: Journal,
) -> list[str]:
    refused = verdict.execution.state == "refused"
    if refused and not _told_before(folder):
        return []
    title = f"{plan.title}: {'not started' if refused else 'over'}, {verdict.word}"
    try:
        deliveries = workshop.open_notifier(addresses).send(title, "\n".join(_lines(plan, folder, verdict)))
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


def _lines(plan: Plan, folder: RunFolder, verdict: Verdict) -> list[str]:
    lines = [f"{verdict.word}: {verdict.why}", f"Environment: {plan.environment}"]
    if verdict.execution.state == "refused":
        lines.append("Nothing was injected.")
    else:
        lines.append(f"Clean-up: {verdict.cleanup.state}" + _more(verdict.cleanup.text))
        lines.append(f"What is still to be answered: chaosdrill runs --open (run {folder.id})")
    lines.append(f"More: chaosdrill show {folder.id}")
    return lines


def _more(text: str) -> str:
    return f", {text}" if text else ""
