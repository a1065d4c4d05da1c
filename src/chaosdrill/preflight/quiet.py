"""Whether a system is left alone right now: alerts that fire, a rollout, a run that went wrong a moment ago.

Nothing here knows where alerts or rollouts are asked for; what can't be asked counts against going on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from chaosdrill.model.checklist import Check
from chaosdrill.model.policy import Rules

Firing = Callable[[str], Check]
Deploying = Callable[[], Sequence[str]]


def quiet(
    rules: Rules, service: str | None, home: Path, now: float, firing: Firing, deploying: Deploying
) -> list[Check]:
    """Return one check for each thing that `rules.quiet` asks for; none when it asks for nothing.

    `firing` is asked with the Alertmanager's address; `deploying` names rollouts in words; `home` is where
    runs/ lies, `now` in epoch seconds. A file that names no service counts as touching all of them.
    """
    raise NotImplementedError
