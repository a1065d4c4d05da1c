"""Which faults exist, and what each one takes: the one table behind the reader, the actions and the schema.

It must not know how a fault is injected, nor into which system. Standard library only, because the processes
that inject are small.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from chaosdrill.units import (
    UnitError,
    format_duration,
    format_share,
    parse_count,
    parse_duration,
    parse_share,
)

#: The module that experiment files name as the provider of a fault.
ACTIONS_MODULE = "chaosdrill.actions"

Measure = Literal["name", "count", "share", "seconds"]


class Argument(NamedTuple):
    """One argument of a fault action. `least` and `most` are in the measure's own unit, both allowed."""

    name: str
    measure: Measure
    about: str
    example: str
    required: bool = False
    default: str | None = None
    least: float = 0.0
    most: float = float("inf")
    above_zero: bool = False

    def read(self, value: Any) -> str | int | float:
        """Return `value` in the argument's measure: text, a whole number, a share from 0 to 1, or seconds.

        Raises UnitError, which says what would have been right.
        """
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise UnitError(f"{value!r} does not belong here; write it like {self.example!r}")
        text = str(value)
        if not text.strip():
            raise UnitError(f"is empty; write it like {self.example!r}")
        if self.measure == "name":
            return text.strip()
        number = _NUMBERS[self.measure](text)
        if self.measure == "count" and number != int(number):
            raise UnitError(f"{text!r} is not a whole number")
        return self._within_limits(text, number)

    def _within_limits(self, text: str, number: float) -> int | float:
        if self.above_zero and number <= 0:
            raise UnitError(f"{text!r} is nothing at all; it must be more than {self._shown(0.0)}")
        if number < self.least:
            raise UnitError(f"{text!r} is too little; the least is {self._shown(self.least)}")
        if number > self.most:
            raise UnitError(f"{text!r} is too much; the most is {self._shown(self.most)}")
        return int(number) if self.measure == "count" else number

    def _shown(self, number: float) -> str:
        if self.measure == "share":
            return format_share(number)
        return format_duration(number) if self.measure == "seconds" else f"{number:g}"


_NUMBERS = {"count": parse_count, "share": parse_share, "seconds": parse_duration}


class FaultKind(NamedTuple):
    """A fault as the catalogue knows it: its name is the name of the function in `chaosdrill.actions`."""

    name: str
    about: str
    arguments: Mapping[str, Argument]


class ArgumentProblem(ValueError):
    """An argument of a fault that makes no sense: `argument` is its name, or '' for the call as a whole."""

    def __init__(self, argument: str, message: str) -> None:
        super().__init__(message)
        self.argument = argument


_DURATION = Argument(
    "duration", "seconds", "how long the fault lasts", "30 s", required=True, above_zero=True
)
_COUNT = Argument("count", "count", "how many instances to hit (1 unless `share` is given)", "1", least=1)
_SHARE = Argument(
    "share", "share", "which share of the instances to hit; at least one, never more", "34 %", above_zero=True
)


def _service(default: str | None = None) -> Argument:
    about = "the service whose instances are hit" if default is None else "towards what the traffic suffers"
    return Argument("target", "name", about, default or "payment-api", default is None, default)


def _kind(name: str, about: str, *arguments: Argument) -> FaultKind:
    return FaultKind(name, about, {a.name: a for a in arguments})


FAULTS: dict[str, FaultKind] = {
    kind.name: kind
    for kind in (
        _kind(
            "instance_failure",
            "Kill instances of a service and hold them down.",
            _service(),
            _COUNT,
            _SHARE,
            _DURATION,
        ),
        _kind(
            "network_latency",
            "Delay the traffic towards a service.",
            _service("database"),
            Argument("delay", "seconds", "added to every answer", "100 ms", required=True, above_zero=True),
            Argument(
                "jitter", "seconds", "the delay varies by this much, up and down", "10 ms", default="0 ms"
            ),
            _DURATION,
        ),
        _kind(
            "network_loss",
            "Lose a share of the traffic towards a service.",
            _service("database"),
            Argument("loss", "share", "how much is lost", "10 %", required=True, above_zero=True),
            _DURATION,
        ),
        _kind(
            "network_cut",
            "Cut every connection towards a service and refuse new ones.",
            _service("database"),
            _DURATION,
        ),
        _kind(
            "cpu_stress",
            "Burn CPU inside instances of a service.",
            _service(),
            Argument("workers", "count", "how many burn at once", "2", default="1", least=1, most=64),
            Argument(
                "load", "share", "of one core, for each worker", "80 %", default="80 %", above_zero=True
            ),
            _COUNT,
            _SHARE,
            _DURATION,
        ),
    )
}


def examine_arguments(
    kind: str, arguments: Mapping[str, Any]
) -> tuple[dict[str, Any], list[ArgumentProblem]]:
    """Return the typed arguments of a fault with the defaults filled in, and everything wrong with them.

    Seconds, shares from 0 to 1 and whole numbers. `count` is None where `share` decides and the other way
    round; both are absent where a fault hits all of its target. Raises KeyError for a kind not in FAULTS.
    """
    known = FAULTS[kind].arguments
    typed: dict[str, Any] = {}
    problems = [ArgumentProblem(name, "unknown argument") for name in arguments if name not in known]
    for name, argument in known.items():
        # Chaos Toolkit passes an explicit null on as None, which means: not given.
        value = argument.default if arguments.get(name) is None else arguments[name]
        if value is None:
            typed[name] = None
            if argument.required:
                problems.append(ArgumentProblem(name, f"is missing; write it like {argument.example!r}"))
            continue
        try:
            typed[name] = argument.read(value)
        except UnitError as error:
            problems.append(ArgumentProblem(name, str(error)))
    problems += _together(typed, arguments)
    return typed, problems


def _together(typed: dict[str, Any], arguments: Mapping[str, Any]) -> list[ArgumentProblem]:
    problems = []
    if arguments.get("count") is not None and arguments.get("share") is not None:
        problems.append(ArgumentProblem("share", "give `count` or `share`, not both"))
    if "count" in typed and typed.get("share") is None and arguments.get("count") is None:
        typed["count"] = 1
    delay, jitter = typed.get("delay"), typed.get("jitter")
    if delay is not None and jitter is not None and jitter > delay:
        shown = f"{format_duration(jitter)} is more than the delay of {format_duration(delay)}"
        problems.append(ArgumentProblem("jitter", f"{shown}; nothing can be delayed by less than nothing"))
    return problems
