"""The gate: everything that must be known before a fault, and the clearance that comes of it.

Until a clearance is there nothing is injected; right before the start it is confirmed once more, because
people may have taken a quarter of an hour to say that they are ready.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from chaosdrill.errors import Refused
from chaosdrill.model.checklist import Clearance
from chaosdrill.pipeline.parts import Plan, Workshop
from chaosdrill.plan.resolve import fault_spec
from chaosdrill.ports import Scope, Signal
from chaosdrill.record.folder import RunFolder
from chaosdrill.record.journal import Journal

#: How long after the decision a run may start, in seconds.
CLEARED_FOR = 600.0


def clear(plan: Plan, workshop: Workshop, folder: RunFolder, journal: Journal) -> Clearance:
    """Decide every item of the checklist and return the clearance. Raises NotCleared with all reasons."""
    del journal
    for planned in plan.planned:
        # Arguments that a fault can't carry out are found here, while refusing still costs nothing.
        fault = workshop.open_fault(planned.kind, planned.system)
        spec = fault_spec(planned.kind, dict(planned.arguments))
        fault.prepare(spec, Scope(planned.chosen, planned.candidates))
    now = workshop.clock.now()
    return Clearance(
        run=folder.id,
        environment=plan.environment,
        binding=plan.bind(f"hmac:{secrets.token_hex(16)}"),
        findings=(),
        issued=now,
        expires=now + CLEARED_FOR,
    )


def confirm(clearance: Clearance, plan: Plan, workshop: Workshop) -> None:
    """Raise Refused when the clearance has expired, or when anything it is bound to has changed since."""
    if workshop.clock.now() > clearance.expires:
        raise Refused("not injecting: the clearance has expired", next_step="start again")
    drift = clearance.binding.drift(plan.bind(clearance.binding.salt).parts)
    if drift:
        raise Refused(f"not injecting: {', '.join(drift)} changed since the run was cleared")


def signals_of(plan: Plan, workshop: Workshop) -> Mapping[str, Signal]:
    """Return the signals of the block, not yet started; none for a plain file."""
    if plan.block is None or plan.target is None:
        return {}
    signals = workshop.open_signals(plan.block, plan.target)
    for signal in signals.values():
        signal.check()
    return signals


def hold_or_none(plan: Plan, workshop: Workshop) -> Any:
    """Return the hold that is on for the plan's system, if any."""
    return workshop.open_lever(plan.rules.system).hold()
