"""A Chaos Toolkit control as users write them: it notes each activity, and forbids one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chaoslib.exceptions import InterruptExecution


def after_activity_control(context: dict[str, Any], path: str, **_: Any) -> None:
    """Note what has been played."""
    with Path(path).open("a", encoding="utf-8") as notes:
        notes.write(f"{context['name']}\n")


def before_activity_control(context: dict[str, Any], **_: Any) -> None:
    """Forbid the action of that name."""
    if context["name"] == "forbidden":
        raise InterruptExecution("not this one")
