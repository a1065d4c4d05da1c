"""When an experiment may run: windows, freezes and public holidays, in the zone that the policy names.

It knows no file: spans come parsed, the moment comes as an argument. Days and hours are those on a wall clock
in the window's zone, so both changes of daylight saving are right without anybody thinking of them.
"""

from __future__ import annotations

from chaosdrill.model.checklist import Check
from chaosdrill.model.policy import Windows


def check(windows: Windows | None, now: float, seconds: float) -> tuple[Check, bool]:
    """Return whether a run from `now` (epoch seconds) for `seconds` may take place, and whether it is off-peak.

    The second is True when start and end lie inside the off-peak hours as well.
    """
    raise NotImplementedError


def next_allowed(windows: Windows | None, now: float, seconds: float) -> float | None:
    """Return the first moment from `now` on at which a run of `seconds` may start, None within 400 days."""
    raise NotImplementedError
