"""How to reach a system. `open` is a table of import strings, so that nobody pays for a system not used."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module

from chaosdrill.errors import Refused
from chaosdrill.ports import Target

_TARGETS = {"sandbox": "chaosdrill.targets.sandbox:SandboxTarget"}


def open(system: str) -> Target:
    """Return the way to reach `system`. Raises Refused for one that is not known."""
    if system not in _TARGETS:
        near = get_close_matches(system, _TARGETS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are: {', '.join(_TARGETS)}"
        raise Refused(f"there is no target system {system!r}", next_step=hint)
    module, _, name = _TARGETS[system].partition(":")
    target: Target = getattr(import_module(module), name)()
    return target
