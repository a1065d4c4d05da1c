"""One way to break one kind of thing per file, each with its undo.

`open` is a table of import strings: three processes build faults, and none should pay for those it does not
use.
"""

from __future__ import annotations

from importlib import import_module

from chaosdrill.errors import Refused
from chaosdrill.ports import Fault

_FAULTS = {
    ("sandbox", "instance_failure"): "chaosdrill.faults.sandbox_instance:InstanceFailure",
    ("sandbox", "network_latency"): "chaosdrill.faults.sandbox_network:NetworkLatency",
    ("sandbox", "network_loss"): "chaosdrill.faults.sandbox_network:NetworkLoss",
    ("sandbox", "network_cut"): "chaosdrill.faults.sandbox_network:NetworkCut",
    ("sandbox", "cpu_stress"): "chaosdrill.faults.sandbox_cpu:CpuStress",
}


def kinds(system: str = "sandbox") -> tuple[str, ...]:
    """Return the kinds of fault that `system` can have; none for a system that is not known."""
    return tuple(kind for where, kind in _FAULTS if where == system)


def open(kind: str, system: str = "sandbox") -> Fault:
    """Return the fault of this kind on `system`. Raises Refused for one that does not exist."""
    if (system, kind) not in _FAULTS:
        from difflib import get_close_matches

        near = get_close_matches(kind, kinds(system), n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are: {', '.join(kinds(system))}"
        raise Refused(f"there is no fault {kind!r} for {system!r}", next_step=hint)
    module, _, name = _FAULTS[system, kind].partition(":")
    fault: Fault = getattr(import_module(module), name)()
    return fault
