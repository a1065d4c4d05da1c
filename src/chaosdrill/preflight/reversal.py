"""The item *rollback plan*: all that is about to be done can be undone, and there is room to record it.

A fault is undone by us, and ends by itself at the target when nobody is left to undo it; what is not ours has
to bring its own way back.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from chaosdrill.errors import ChaosdrillError
from chaosdrill.model.checklist import Check, Finding
from chaosdrill.preflight.items import attested, how_to_attest
from chaosdrill.preflight.subject import Subject
from chaosdrill.units import format_duration


def rollback_plan(subject: Subject) -> Finding:
    """An undo for every fault, tools that are there, nothing left over, and room on the disk."""
    item = "rollback-plan"
    checks = [*_faults(subject), *_left_over(subject), _foreign(subject), _disk(subject)]
    bad = [check for check in checks if not check.ok]
    said = "; ".join(check.said for check in (bad or [c for c in checks if c.name != "disk"]) if check.said)
    if not bad:
        return Finding(item, "proved", said or "nothing is injected", checks=tuple(checks))
    if [check.name for check in bad] == ["foreign"] and (word := attested(subject, item)) is not None:
        return word
    return Finding(item, "failed", said, bad[0].next_step, checks=tuple(checks))


def _faults(subject: Subject) -> Iterator[Check]:
    for fault in subject.planned:
        try:
            # Arguments that a fault can't carry out are found here, while refusing still costs nothing.
            subject.around.prepare(fault)
        except ChaosdrillError as error:
            yield Check(fault.kind, False, f"{fault.kind}: {error.message}", next_step=error.next_step)
            continue
        lasts = format_duration(fault.duration)
        said = f"{fault.kind} is undone by chaosdrill, and ends at the target after {lasts} by itself"
        yield Check(fault.kind, True, said, facts={"undo": "by chaosdrill", "expires": fault.duration})


def _left_over(subject: Subject) -> Iterator[Check]:
    """Yield one failed check for each fault that is on already; none where no system of ours is touched."""
    if not subject.around.touched:
        return
    try:
        found = subject.around.strays()
    except ChaosdrillError as error:
        said = f"whether something is left of earlier runs can't be told: {error.message}"
        yield Check("left over", False, said, next_step=error.next_step)
        return
    for stray in found:
        hit = stray.get("hit") or [stray.get("target", "?")]
        names = ", ".join(map(str, hit)) if isinstance(hit, (list, tuple)) else str(hit)
        whose = f" of run {stray['run']}" if stray.get("run") else ""
        said = f"{stray.get('kind', 'a fault')} on {names}{whose} is still on"
        yield Check("left over", False, said, next_step="end it: chaosdrill recover")


def _foreign(subject: Subject) -> Check:
    actions, rollbacks = subject.outline.foreign, subject.outline.rollbacks
    if not actions:
        return Check("foreign", True, "")
    listed = ", ".join(actions[:3]) + (", …" if len(actions) > 3 else "")
    if rollbacks:
        plural = "" if rollbacks == 1 else "s"
        return Check("foreign", True, f"{listed}: {rollbacks} rollback{plural} of the file")
    if not subject.rules.strict:
        return Check(
            "foreign", True, f"{listed}: the file declares no rollback, and the sandbox asks for none"
        )
    hint = f"declare `rollbacks:`, or {how_to_attest('rollback-plan')}"
    return Check("foreign", False, f"nothing undoes {listed}", next_step=hint)


def _disk(subject: Subject) -> Check:
    place = subject.asked.home
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        there = os.statvfs(place)
    except OSError as error:
        return Check(
            "disk", False, f"free disk space can't be told: {error.strerror}", next_step="see --home"
        )
    # What is left for people without privileges, as `df` shows it.
    free, needed = there.f_bavail * there.f_frsize, subject.rules.free_disk
    said = f"{_size(free)} free where the run is recorded"
    facts = {"free": free, "needed": needed}
    if free >= needed:
        return Check("disk", True, said, facts=facts)
    return Check(
        "disk", False, f"{said}, {_size(needed)} needed", next_step="free some, or see --home", facts=facts
    )


def _size(octets: int) -> str:
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if octets >= factor:
            return f"{octets / factor:.3g} {unit}"
    return f"{octets} B"
