"""The item *team notified and ready*: messages that were delivered, and an answer where the policy wants one.

An unannounced drill is told to its guardians and to nobody else: the responders must not learn of it here.
"""

from __future__ import annotations

from chaosdrill.model.checklist import Check, Finding
from chaosdrill.ports import Delivery
from chaosdrill.preflight.items import FRESH, attested, how_to_attest, waived
from chaosdrill.preflight.subject import Subject
from chaosdrill.units import format_duration

ITEM = "team-notified"


def team_notified(subject: Subject) -> Finding:
    """Waived, attested, or told now; and answered, where the policy asks for an answer."""
    word = waived(subject, ITEM)
    if word is not None:
        return word
    addresses, notified = recipients(subject), subject.rules.notified
    if not announced(subject) and not (addresses or notified.guardians):
        said = f"the drill is unannounced, and {subject.policy} names no guardians"
        return Finding(
            ITEM, "failed", said, "name them in the policy: team-notified: {guardians: {via: [...]}}"
        )
    if addresses:
        return _told(subject, addresses)
    if notified.needs_answer:
        return _answered(subject, "nobody is told by a message", ())
    said = f"nobody says that the team knows, and {subject.policy} names no address to tell it"
    return attested(subject, ITEM, FRESH) or Finding(ITEM, "failed", said, how_to_attest(ITEM))


def announced(subject: Subject) -> bool:
    """Return whether the responders may know of the drill."""
    return subject.block is None or subject.block.announced


def recipients(subject: Subject) -> tuple[str, ...]:
    """Return the addresses to tell: the team's, or the guardians' of an unannounced drill."""
    notified = subject.rules.notified
    return notified.via if announced(subject) else notified.guardians_via


def _told(subject: Subject, addresses: tuple[str, ...]) -> Finding:
    number = f"{len(addresses)} address{'' if len(addresses) == 1 else 'es'}"
    who = "the team" if announced(subject) else "the guardians"
    if not subject.team.sends:
        then = ", and has to answer" if subject.rules.notified.needs_answer else ""
        return Finding(ITEM, "pending", f"{who} will be told at the start ({number}){then}")
    deliveries = subject.team.notifier(addresses).send(*_message(subject))
    checks = tuple(_delivered(delivery) for delivery in deliveries)
    bad = [check for check in checks if not check.ok]
    if bad or not checks:
        said = "; ".join(check.said for check in bad) or "no message was delivered"
        hint = f"check the addresses in {subject.rules.source or 'the policy'}"
        return Finding(ITEM, "failed", said, hint, checks=checks)
    verb = "was" if announced(subject) else "were"
    said = f"{who} {verb} told: {', '.join(delivery.address for delivery in deliveries)}"
    if subject.rules.notified.needs_answer:
        return _answered(subject, said, checks)
    return Finding(ITEM, "proved", said, checks=checks)


def _delivered(delivery: Delivery) -> Check:
    if delivery.delivered:
        return Check(delivery.address, True, f"{delivery.address} took the message")
    return Check(delivery.address, False, f"{delivery.address} did not take the message: {delivery.error}")


def _answered(subject: Subject, said: str, checks: tuple[Check, ...]) -> Finding:
    record = subject.team.record
    if record is None:
        return Finding(ITEM, "pending", f"{said}; it has to answer at the start", checks=checks)
    # Imported here: only a policy that wants an answer waits for one.
    from chaosdrill.preflight import ready

    folder, journal = record
    waiting = ready.asked(subject.rules.notified, announced=announced(subject))
    answer = ready.wait(waiting, folder, journal, subject.around.clock, subject.team.stop)
    by, evidence = str(answer.facts.get("by", "")), (*checks, answer)
    if answer.ok:
        return Finding(ITEM, "proved", f"{said}; {answer.said}", by=by, checks=evidence)
    return Finding(ITEM, "failed", answer.said, answer.next_step, by=by, checks=evidence)


def _message(subject: Subject) -> tuple[str, str]:
    """Return title and text: what will be hit, where, for how long, who asks, and how to stop it."""
    record = subject.team.record
    lines = [
        f"{subject.asked.actor} is about to run: {subject.title}",
        f"Environment: {subject.rules.environment}",
    ]
    for fault in subject.planned:
        hit = ", ".join(fault.chosen)
        lasts = format_duration(fault.duration)
        lines.append(f"{fault.kind} on {hit} ({len(fault.chosen)} of {fault.candidates}) for {lasts}")
    lines.append(f"It takes about {format_duration(round(subject.seconds))}.")
    if record is not None:
        run = record[0].id
        if subject.rules.notified.needs_answer:
            lines.append(f"To say that you are ready: chaosdrill ready {run} --as NAME")
        lines.append(f"To stop it: chaosdrill abort {run}")
    return f"Chaos experiment: {subject.title}", "\n".join(lines)
