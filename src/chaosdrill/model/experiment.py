"""Our block in an experiment file: `extensions: [{name: chaosdrill, ...}]`.

The rest of the file belongs to Chaos Toolkit, which gets its bytes untouched; nothing here models it.
Field names in files use hyphens; scalars arrive as strings and are typed here, so that `NO` stays Norway.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from chaosdrill.model.signal import SERIES, Series, format_value, parse_statuses, parse_threshold
from chaosdrill.units import format_duration, parse_duration, parse_rate, parse_share

Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    Field(json_schema_extra={"type": "string", "examples": ["30 s", "5 min", "250 ms"]}),
]
Share = Annotated[
    float,
    BeforeValidator(parse_share),
    Field(json_schema_extra={"type": "string", "examples": ["34 %", "99.9 %"]}),
]
Rate = Annotated[
    float,
    BeforeValidator(parse_rate),
    Field(json_schema_extra={"type": "string", "examples": ["50", "50/s"]}),
]


def _readable_statuses(text: str) -> str:
    parse_statuses(text)
    return text


Statuses = Annotated[str, AfterValidator(_readable_statuses)]
PhaseName = Literal["baseline", "fault", "recovery"]


def _hyphens(name: str) -> str:
    return name.replace("_", "-")


class Frozen(BaseModel):
    """Immutable, strict about unknown keys, hyphenated in files."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=_hyphens, populate_by_name=True, protected_namespaces=()
    )


class HttpSource(Frozen):
    """Requests at a fixed rate, whatever the answers do (an open loop)."""

    url: str
    rate: Rate = 10.0
    method: str = "GET"
    timeout: Duration = 2.0
    headers: dict[str, str] = {}
    expect: Statuses = Field(
        "200-399", description="status codes that count as right: '200', '200-399', '200,404'"
    )


class TcpSource(Frozen):
    """Connections to a port at a fixed rate: how long the handshake takes, and whether it succeeds."""

    address: str = Field(description="host:port")
    rate: Rate = 1.0
    timeout: Duration = 2.0


class SourceSpec(Frozen):
    """One source of samples: exactly one of `http`, `tcp` or `target`."""

    http: HttpSource | None = None
    tcp: TcpSource | None = None
    target: str | None = Field(
        None, description="a service of the target system: ready, restarts, cpu, breaker"
    )
    every: Duration = Field(1.0, description="how often a `target` is read")

    @model_validator(mode="after")
    def _exactly_one(self) -> SourceSpec:
        given = [k for k in ("http", "tcp", "target") if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of http, tcp or target, not {' and '.join(given) or 'none'}")
        return self


class Bound(Frozen):
    """A threshold on a signal: exactly one of above, below, at-least, at-most, equals."""

    signal: str
    above: str | None = None
    below: str | None = None
    at_least: str | None = None
    at_most: str | None = None
    equals: str | None = None

    @model_validator(mode="after")
    def _readable(self) -> Bound:
        given = [
            k for k in ("above", "below", "at_least", "at_most", "equals") if getattr(self, k) is not None
        ]
        if len(given) != 1:
            raise ValueError("give exactly one of above, below, at-least, at-most or equals")
        if "." not in self.signal or self.signal.rsplit(".", 1)[1] not in SERIES:
            # The reader reports unknown signals itself, with the nearest valid one.
            return self
        parse_threshold(getattr(self, given[0]), self.series.unit)
        return self

    @property
    def source(self) -> str:
        """The name before the dot."""
        return self.signal.rsplit(".", 1)[0]

    @property
    def series(self) -> Series:
        """What is measured. Raises KeyError for a series that does not exist."""
        return SERIES[self.signal.rsplit(".", 1)[1]]

    @property
    def comparison(self) -> str:
        """One of 'above', 'below', 'at_least', 'at_most', 'equals'."""
        names = ("above", "below", "at_least", "at_most", "equals")
        return next(k for k in names if getattr(self, k) is not None)

    @property
    def threshold(self) -> float:
        """The limit in the series' own unit."""
        return parse_threshold(getattr(self, self.comparison), self.series.unit)

    def allows(self, value: float) -> bool:
        """Return whether `value`, in the series' unit, is on the right side of the limit."""
        limit = self.threshold
        return {
            "above": value > limit,
            "below": value < limit,
            "at_least": value >= limit,
            "at_most": value <= limit,
            "equals": value == limit,
        }[self.comparison]

    def sentence(self) -> str:
        """Return the bound in words: 'pay.availability above 99.9 %'."""
        word = self.comparison.replace("_", " ")
        return f"{self.signal} {word} {format_value(self.threshold, self.series.unit)}"


def _window(value: object) -> float | Literal["phase"]:
    return "phase" if value == "phase" else parse_duration(value)


class Criterion(Bound):
    """What must be true for the hypothesis to hold.

    `over: phase` judges one window over the phases named (fault and recovery together by default);
    `over: 10 s` every such window in them; `within: 1 min, after: fault-end` that the signal gets there in
    time and stays there to the end of the recovery.
    """

    over: Annotated[float | Literal["phase"], BeforeValidator(_window)] | None = None
    within: Duration | None = None
    after: Literal["fault-start", "fault-end"] = "fault-end"
    phase: tuple[PhaseName, ...] = ("fault", "recovery")

    @model_validator(mode="before")
    @classmethod
    def _one_phase_is_a_list_of_one(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("phase"), str):
            return {**data, "phase": (data["phase"],)}
        return data

    @model_validator(mode="after")
    def _window_or_deadline(self) -> Criterion:
        if self.over is not None and self.within is not None:
            raise ValueError("give `over` (every window) or `within` (a deadline), not both")
        if isinstance(self.over, float) and self.over <= 0:
            raise ValueError("a window lasts longer than 0 s")
        return self

    def sentence(self) -> str:
        """Return the criterion in words: 'pay.p95_latency below 500 ms in every 10 s'."""
        base = super().sentence()
        if self.within is not None:
            return f"{base} within {format_duration(self.within)} after {self.after.replace('-', ' ')}"
        where = " and ".join(self.phase)
        if isinstance(self.over, float):
            return f"{base} in every {format_duration(self.over)} of {where}"
        return f"{base} over {where}"


class StopCondition(Bound):
    """When to abort: the bound is the *bad* side, and it must stay bad `for` this long."""

    for_: Duration = Field(0.0, alias="for")

    def sentence(self) -> str:
        """Return the condition in words: 'pay.availability below 95 % for 5 s'."""
        return f"{super().sentence()} for {format_duration(self.for_)}" if self.for_ else super().sentence()


class BlastRadius(Frozen):
    """The most that may be hit; both limits apply."""

    max_targets: Annotated[int, Field(ge=1)] | None = None
    max_share: Share | None = None


class Phases(Frozen):
    """How long to watch before the first fault and after the last one."""

    baseline: Duration = 10.0
    recovery: Duration = 30.0


class ChaosdrillBlock(Frozen):
    """Everything that chaosdrill adds to a Chaos Toolkit experiment."""

    name: Literal["chaosdrill"] = "chaosdrill"
    version: Literal[1] = 1
    service: str | None = None
    environment: str = "sandbox"
    hypothesis: str | None = None
    expected_outcome: str | None = None
    signals: dict[str, SourceSpec] = {}
    criteria: tuple[Criterion, ...] = ()
    abort_when: tuple[StopCondition, ...] = ()
    blast_radius: BlastRadius = BlastRadius()
    phases: Phases = Phases()
    time_limit: Duration = 3600.0
    seed: int = 0
    checklist: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _version_is_a_number(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("version") == "1":
            return {**data, "version": 1}
        return data
