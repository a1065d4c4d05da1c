"""The fault actions of a file: which there are, and what is wrong with each before anything is resolved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from chaosdrill.model.fault import ACTIONS_MODULE, FAULTS, ArgumentProblem, examine_arguments
from chaosdrill.plan.checks.findings import Findings, nearest
from chaosdrill.plan.checks.toolkit import Outline
from chaosdrill.plan.checks.variables import Variables, check_references
from chaosdrill.plan.reader import Node, shown
from chaosdrill.units import UnitError, format_duration, parse_duration

_SECTIONS = ("method", "rollbacks")


class FaultAction(NamedTuple):
    """An activity that injects one of our faults; `kind` is the function it calls."""

    activity: str
    section: str
    kind: str
    node: Node

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments as Chaos Toolkit sees them, before it replaces variables."""
        node = self.arguments_node
        if node.kind != "map" or node is self.node:
            return {}
        # A key that is no text can't name a parameter, which is a problem of its own.
        return {name: value for name, value in node.plain().items() if isinstance(name, str)}

    @property
    def arguments_node(self) -> Node:
        """Where the arguments stand, or the activity when it has none."""
        provider = self.node.get("provider")
        return (provider.get("arguments") if provider else None) or self.node

    def argument(self, name: str) -> Node:
        """Return where the argument `name` stands, or where it should."""
        return self.arguments_node.get(name) or self.arguments_node


def is_fault(activity: Node) -> bool:
    """Whether an activity calls a function of `chaosdrill.actions`."""
    provider = activity.get("provider")
    if provider is None:
        return False
    kind, module = provider.get("type"), provider.get("module")
    return (
        kind is not None and kind.value == "python" and module is not None and module.value == ACTIONS_MODULE
    )


def fault_actions(outline: Outline) -> list[FaultAction]:
    """Return the faults that method and rollbacks play, in their order, each `ref` followed."""
    named = outline.named
    faults = []
    for section, declared in outline.activities():
        ref = declared.get("ref")
        activity = declared if ref is None or ref.is_null else named.get(ref.text)
        if section in _SECTIONS and activity is not None and is_fault(activity):
            provider = activity.get("provider")
            func = provider.get("func") if provider else None
            name = activity.get("name")
            faults.append(
                FaultAction(name.text if name else "", section, func.text if func else "", activity)
            )
    return faults


def check_faults(outline: Outline, faults: list[FaultAction], variables: Variables, found: Findings) -> None:
    """Note faults in places where they make no sense, unknown ones, and wrong arguments."""
    for place in _misplaced(outline):
        found.error(
            place, "a fault can't stand here: it would hit before anything is cleared", "use the method"
        )
    for section, activity in outline.activities():
        if is_fault(activity) and section in _SECTIONS:
            kind = activity.get("type")
            if kind is not None and kind.value == "probe":
                found.error(kind, "a fault is an action: a dry run plays probes", "write type: action")
            if section == "rollbacks":
                hint = "chaosdrill undoes its faults by itself"
                found.warn(activity, "a fault among the rollbacks is injected after the method", hint)
    seen: set[int] = set()
    for fault in faults:
        if id(fault.node) not in seen:
            seen.add(id(fault.node))
            _check_call(fault, variables, found)


def argument_message(problem: ArgumentProblem) -> str:
    """Return a problem with an argument as one sentence that names the argument."""
    words = str(problem)
    if not problem.argument:
        return words
    return f"`{problem.argument}`{'' if words.startswith('is ') else ':'} {words}"


def check_time_limit(fault: FaultAction, seconds: float, limit: float, found: Findings) -> None:
    """Note a fault that lasts longer than the whole run may."""
    if seconds > limit:
        lasts = f"the fault lasts {format_duration(seconds)}, the run at most {format_duration(limit)}"
        found.error(fault.argument("duration"), lasts, "raise time-limit, or shorten the fault")


def literal_seconds(fault: FaultAction) -> float | None:
    """Return how long the fault lasts, None when that hangs on a variable or can't be read."""
    duration = fault.arguments_node.get("duration")
    if duration is None or not duration.is_text or "$" in duration.text:
        return None
    try:
        return parse_duration(duration.text)
    except UnitError:
        return None


def _misplaced(outline: Outline) -> Iterator[Node]:
    for probe in outline.probes:
        if is_fault(probe):
            yield probe
        tolerance = probe.get("tolerance")
        if tolerance is not None and is_fault(tolerance):
            yield tolerance
    for _, entry in outline.configuration.fields.values() if outline.configuration else ():
        if is_fault(entry):
            yield entry


def _check_call(fault: FaultAction, variables: Variables, found: Findings) -> None:
    provider = fault.node.get("provider")
    func = provider.get("func") if provider else None
    if func is None or not func.is_text or func.empty:
        return
    if fault.kind not in FAULTS:
        found.error(func, f"there is no fault {shown(fault.kind)}", nearest(fault.kind, FAULTS))
        return
    arguments = fault.arguments_node
    if arguments is not fault.node and arguments.kind != "map":
        return
    for text in arguments.scalars() if arguments is not fault.node else ():
        if text.is_text:
            check_references(text, variables, found, secrets=True)
    note_argument_problems(fault, literal_arguments(fault.arguments), found)


def literal_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with values that hang on a variable marked, so that they count as given."""
    return {k: _Later(v) if isinstance(v, str) and "$" in v else v for k, v in arguments.items()}


class _Later(str):
    """A value that is known only once variables are replaced."""

    __slots__ = ()


def note_argument_problems(fault: FaultAction, arguments: Mapping[str, Any], found: Findings) -> None:
    """Note everything wrong with the arguments of a fault; those that are known only later are left out."""
    known = FAULTS[fault.kind].arguments
    for problem in examine_arguments(fault.kind, arguments)[1]:
        name = problem.argument
        if isinstance(arguments.get(name), _Later) and name in known:
            continue
        if name not in known and name:
            key = fault.arguments_node.key(name)
            found.error(key, f"{fault.kind} takes no argument {shown(name)}", nearest(name, known))
        else:
            found.error(fault.argument(name), argument_message(problem))
