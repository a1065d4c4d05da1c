"""Which of the candidates a fault hits, chosen by seed.

Knows nothing of how candidates are found, nor of how many may be hit: that is an item of the checklist. An
empty selection is a refusal: a green run that did nothing is worse than none.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from chaosdrill.errors import Refused
from chaosdrill.plan.checks.findings import nearest
from chaosdrill.ports import Candidate, FaultSpec, Scope
from chaosdrill.units import parse_count, parse_share

# Shares are decimal fractions in binary; 34 % of 50 must be 17 and not 16.999999999999996.
_ROUNDING = 1e-9


def choose(
    spec: FaultSpec,
    candidates: Sequence[Candidate],
    seed: int = 0,
    names: Sequence[str] = (),
) -> Scope:
    """Return the candidates that the fault will hit, the same ones for the same seed, in the given order.

    How many: the fault's `count` or `share` (rounded down, but at least one), all for a fault that has
    neither, or exactly `names` (a target that is a candidate's id names that one). Raises Refused when
    nothing matches, and when fewer match than asked for.
    """
    there = {candidate.id for candidate in candidates}
    if not there:
        raise Refused(
            f"not injecting {spec.kind}: nothing matches the target {spec.target!r}",
            next_step="a fault that hits nothing proves nothing: check the target's name and state",
        )
    wanted = set(names) or ({spec.target} & there)
    chosen = _named(spec, wanted, there) if wanted else _drawn(spec, sorted(there), seed)
    return Scope(tuple(c.id for c in candidates if c.id in chosen), len(there))


def _named(spec: FaultSpec, wanted: set[str], there: set[str]) -> set[str]:
    for name in sorted(wanted - there):
        raise Refused(
            f"not injecting {spec.kind}: there is no {name!r} among {len(there)} candidates",
            next_step=nearest(name, sorted(there)),
        )
    return wanted


def _drawn(spec: FaultSpec, there: list[str], seed: int) -> set[str]:
    count, share = spec.arguments.get("count"), spec.arguments.get("share")
    if share is not None:
        size = max(1, math.floor(parse_share(share) * len(there) + _ROUNDING))
    else:
        size = int(parse_count(count)) if count is not None else len(there)
    if size > len(there):
        raise Refused(
            f"not injecting {spec.kind}: {size} of {spec.target} asked for, {len(there)} there",
            next_step="lower `count`, or wait until more are ready",
        )

    def rank(identity: str) -> bytes:
        # By name and not by position, so that an instance more or less does not reshuffle the others.
        return hashlib.sha256(f"{seed}:{spec.kind}:{identity}".encode()).digest()

    return set(sorted(there, key=rank)[:size])
