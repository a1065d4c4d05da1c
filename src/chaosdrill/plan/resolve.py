"""From text to values, once Chaos Toolkit has resolved its configuration: our block, and each fault.

Whatever does not fit is still named with its place in the file, and with the variable that brought it there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from chaosdrill.errors import EngineFailed, InvalidFile, UsageError
from chaosdrill.model.fault import FAULTS, ArgumentProblem, examine_arguments
from chaosdrill.plan.checks.faults import FaultAction, argument_message, check_time_limit
from chaosdrill.plan.checks.findings import Enough, Findings, nearest
from chaosdrill.plan.checks.variables import empty_among, names_in, substitute
from chaosdrill.plan.experiment import ExperimentFile
from chaosdrill.plan.reader import Node, shown
from chaosdrill.ports import FaultSpec

if TYPE_CHECKING:
    # Typed only: a file without our block, and the process that injects, never pay for pydantic.
    from chaosdrill.model.experiment import ChaosdrillBlock


def resolve_block(file: ExperimentFile, configuration: Mapping[str, Any]) -> ChaosdrillBlock | None:
    """Return our block with its variables replaced and typed; None when the file has none.

    `configuration` is what Chaos Toolkit made of the file's; its values are taken as text, so that a bare
    number still lacks its unit. Raises InvalidFile with every problem and its place.
    """
    if file.block_node is None:
        return None
    from chaosdrill.plan.checks.block import type_block

    found = Findings()
    written: dict[int, str] = {}
    block = None
    with suppress(Enough):
        for node in file.block_node.scalars():
            text = _substituted(node, configuration, found)
            if text != node.text:
                written[id(node)] = text
        block = type_block(file.block_node, written, found)
    if block is None or found.errors:
        raise InvalidFile(str(file.block_path), found.errors)
    return block


def resolve_faults(
    file: ExperimentFile,
    resolved: Sequence[Mapping[str, Any]],
    configuration: Mapping[str, Any],
    block: ChaosdrillBlock | None,
) -> tuple[FaultSpec, ...]:
    """Return the faults of the file as they will be injected.

    `resolved` are the fault actions in the order of the file, each {kind, arguments} with the arguments that
    Chaos Toolkit substituted. Raises InvalidFile with every wrong argument, its place and the variable behind
    it, and for a fault that lasts longer than the block's time limit; EngineFailed when they differ.
    """
    if [fault.kind for fault in file.faults] != [given["kind"] for given in resolved]:
        raise EngineFailed(
            f"Chaos Toolkit finds {len(resolved)} faults in {file.path}, not {len(file.faults)}"
        )
    found = Findings()
    specs = []
    with suppress(Enough):
        for fault, given in zip(file.faults, resolved, strict=True):
            typed, problems = examine_arguments(fault.kind, given["arguments"])
            for problem in problems:
                message, hint = _explained(fault, problem, configuration)
                found.error(fault.argument(problem.argument), message, hint)
            if not problems:
                specs.append(_spec(fault.kind, typed))
                if block is not None:
                    check_time_limit(fault, specs[-1].duration, block.time_limit, found)
    if found.errors:
        raise InvalidFile(str(file.path), found.errors)
    return tuple(specs)


def fault_spec(kind: str, arguments: Mapping[str, Any]) -> FaultSpec:
    """Return a fault as asked for, from arguments whose variables have been replaced.

    The arguments come out typed, with their defaults: seconds, shares from 0 to 1, whole numbers. Raises
    UsageError for an unknown kind and for arguments that make no sense.
    """
    if kind not in FAULTS:
        raise UsageError(f"there is no fault {shown(kind)}", next_step=nearest(kind, FAULTS))
    typed, problems = examine_arguments(kind, arguments)
    if problems:
        said = "; ".join(argument_message(problem) for problem in problems)
        raise UsageError(f"{kind}: {said}", next_step=f"it takes {', '.join(FAULTS[kind].arguments)}")
    return _spec(kind, typed)


def _spec(kind: str, typed: dict[str, Any]) -> FaultSpec:
    rest = {name: value for name, value in typed.items() if name not in ("target", "duration")}
    return FaultSpec(kind, str(typed["target"]), float(typed["duration"]), rest)


def _substituted(node: Node, configuration: Mapping[str, Any], found: Findings) -> str:
    return substitute(node.text, configuration, lambda message, hint: found.error(node, message, hint))


def _explained(
    fault: FaultAction, problem: ArgumentProblem, configuration: Mapping[str, Any]
) -> tuple[str, str]:
    """Return the problem in words, and the variable that brought it, if one did."""
    raw = fault.arguments.get(problem.argument)
    names = names_in(raw) if isinstance(raw, str) else []
    message = argument_message(problem)
    for name in empty_among(names, configuration):
        return f"{message}: the variable {shown(name)} is empty", "set it, or give it a default"
    for name in names:
        if name not in configuration:
            return f"{message}: the variable {shown(name)} has no value", nearest(name, configuration)
    return (message, f"from {shown(raw)}") if names else (message, "")
