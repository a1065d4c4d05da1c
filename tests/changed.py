"""A copy of a value with some fields changed, whatever kind of immutable value it is."""

from __future__ import annotations

import dataclasses
from typing import Any


def replace(value: Any, **changes: Any) -> Any:
    """Return `value`, a named tuple or a dataclass, with `changes`."""
    return value._replace(**changes) if isinstance(value, tuple) else dataclasses.replace(value, **changes)
