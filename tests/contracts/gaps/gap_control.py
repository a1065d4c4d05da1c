"""A safety gate with a mistake in it."""

from __future__ import annotations

from typing import Any


def before_experiment_control(**_: Any) -> None:
    """Say whether the run may begin, or would."""
    raise RuntimeError("the gate is broken")
