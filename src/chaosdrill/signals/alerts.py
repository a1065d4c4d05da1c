"""Whether a real alert fires right now, asked of Alertmanager.

It decides nothing: it returns a piece of evidence. What is unreachable or answers strangely is not quiet.
"""

from __future__ import annotations

from chaosdrill.model.checklist import Check
from chaosdrill.ports import Clock


def firing(url: str, clock: Clock) -> Check:
    """Return whether no alert fires at the Alertmanager at `url`; alerts labelled drill="true" are ours."""
    raise NotImplementedError
