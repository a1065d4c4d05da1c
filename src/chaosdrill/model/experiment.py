"""Our block in an experiment file: `extensions: [{name: chaosdrill, ...}]`.

The rest of the file belongs to Chaos Toolkit, which gets its bytes untouched; nothing here models it.
Field names in files use hyphens; scalars arrive as strings and are typed here, so that `NO` stays Norway.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from chaosdrill.model.signal import SERIES, Series, format_value, parse_statuses, parse_threshold
from chaosdrill.units import format_duration, parse_duration, parse_rate, parse_share

# What an editor may accept; `${...}` stands wherever a variable does.
_VARIABLE = r"\$\{"
_NUMBER = r"^\s*[0-9]*\.?[0-9]+\s*"
DURATION_PATTERN = rf"{_NUMBER}(us|µs|ms|s|sec|seconds?|m|min|minutes?|h|hours?|d|days?)\s*$|{_VARIABLE}"
SHARE_PATTERN = rf"{_NUMBER}%\s*$|{_VARIABLE}"
RATE_PATTERN = rf"{_NUMBER}(/s|/min)?\s*$|{_VARIABLE}"

Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["30 s", "5 min", "250 ms"]}),
]
Share = Annotated[
    float,
    BeforeValidator(parse_share),
    WithJsonSchema({"type": "string", "pattern": SHARE_PATTERN, "examples": ["34 %", "99.9 %"]}),
]
Rate = Annotated[
    float,
    BeforeValidator(parse_rate),
    WithJsonSchema({"type": ["string", "number"], "pattern": RATE_PATTERN, "examples": ["50", "50/s"]}),
]


def _longer_than_nothing(seconds: float) -> float:
    if seconds <= 0:
        raise ValueError("it must last longer than 0 s")
    return seconds


def _readable_statuses(text: str) -> str:
    parse_statuses(text)
    return text


def _readable_url(text: str) -> str:
    if not text.startswith(("http://", "https://")) or len(text.partition("://")[2]) == 0:
        raise ValueError(f"{text!r} is no address of a web service; it begins with http:// or https://")
    return text


def _readable_address(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65536):
        raise ValueError(f"{text!r} is not host:port, such as 127.0.0.1:5432")
    return text


LongerThanNothing = Annotated[Duration, AfterValidator(_longer_than_nothing)]
Statuses = Annotated[str, AfterValidator(_readable_statuses), WithJsonSchema({"type": ["string", "integer"]})]
Url = Annotated[str, AfterValidator(_readable_url)]
Address = Annotated[str, AfterValidator(_readable_address)]
Limit = Annotated[str, WithJsonSchema({"type": ["string", "number"]})]
PhaseName = Literal["baseline", "fault", "recovery"]


def _hyphens(name: str) -> str:
    return name.replace("_", "-")


class Frozen(BaseModel):
    """Immutable, strict about unknown keys, hyphenated in files."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=_hyphens,
        populate_by_name=True,
        protected_namespaces=(),
        # Validators are built when a block is read: most of the cost of importing this module otherwise.
        defer_build=True,
    )


class HttpSource(Frozen):
    """Requests at a fixed rate, whatever the answers do (an open loop)."""

    url: Url = Field(description="what is requested")
    rate: Rate = Field(10.0, description="requests per second")
    method: str = Field("GET", description="the HTTP method")
    timeout: LongerThanNothing = Field(2.0, description="how long an answer may take")
    headers: dict[str, str] = Field({}, description="sent with every request")
    expect: Statuses = Field(
        "200-399", description="status codes that count as right: '200', '200-399', '200,404'"
    )


class TcpSource(Frozen):
    """Connections to a port at a fixed rate: how long the handshake takes, and whether it succeeds."""

    address: Address = Field(description="host:port")
    rate: Rate = Field(1.0, description="connections per second")
    timeout: LongerThanNothing = Field(2.0, description="how long the handshake may take")


class SourceSpec(Frozen):
    """One source of samples: exactly one of `http`, `tcp` or `target`."""

    http: HttpSource | None = Field(None, description="requests: availability, error_rate, latencies")
    tcp: TcpSource | None = Field(None, description="connections: availability, error_rate, latencies")
    target: str | None = Field(
        None, description="a service of the target system: ready, restarts, cpu, breaker"
    )
    every: LongerThanNothing = Field(1.0, description="how often a `target` is read")

    @model_validator(mode="after")
    def _exactly_one(self) -> SourceSpec:
        given = [k for k in ("http", "tcp", "target") if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of http, tcp or target, not {' and '.join(given) or 'none'}")
        return self


class Bound(Frozen):
    """A threshold on a signal: exactly one of above, below, at-least, at-most, equals."""

    signal: str = Field(description="source.series, such as pay.availability")
    above: Limit | None = Field(None, description="more than this")
    below: Limit | None = Field(None, description="less than this")
    at_least: Limit | None = Field(None, description="this or more")
    at_most: Limit | None = Field(None, description="this or less")
    equals: Limit | None = Field(None, description="exactly this, such as closed for a circuit breaker")

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


Window = Annotated[
    float | Literal["phase"],
    BeforeValidator(_window),
    WithJsonSchema({"type": "string", "pattern": f"^phase$|{DURATION_PATTERN}"}),
]


class Criterion(Bound):
    """What must be true for the hypothesis to hold.

    `over: phase` judges one window over the phases named (fault and recovery together by default);
    `over: 10 s` every such window in them; `within: 1 min, after: fault-end` that the signal gets there in
    time and stays there to the end of the recovery.
    """

    over: Window | None = Field(None, description="phase: one window; 10 s: every such window")
    within: Duration | None = Field(None, description="a deadline: true by then, and to the end")
    after: Literal["fault-start", "fault-end"] = Field(
        "fault-end", description="what the deadline counts from"
    )
    phase: tuple[PhaseName, ...] = Field(("fault", "recovery"), description="the phases that count")

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

    for_: Duration = Field(0.0, alias="for", description="how long it must stay bad")

    def sentence(self) -> str:
        """Return the condition in words: 'pay.availability below 95 % for 5 s'."""
        return f"{super().sentence()} for {format_duration(self.for_)}" if self.for_ else super().sentence()


class BlastRadius(Frozen):
    """The most that may be hit; both limits apply."""

    max_targets: Annotated[int, Field(ge=1)] | None = Field(None, description="so many at most")
    max_share: Share | None = Field(None, description="so large a part of the candidates at most")


class Phases(Frozen):
    """How long to watch before the first fault and after the last one."""

    baseline: Duration = Field(10.0, description="before the first fault")
    recovery: Duration = Field(30.0, description="after the last fault")


def _readable_moment(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no date; write it like 2026-11-21 or 2026-11-21T10:00+01:00") from None
    return text


Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Moment = Annotated[str, AfterValidator(_readable_moment)]


class AnswerSpec(Frozen):
    """What a person says about an item of the checklist: that it is done, or why it is not needed."""

    attested_by: Words | None = Field(None, description="who says that it is done")
    at: Moment | None = Field(None, description="when they said it: a date, or a moment with its zone")
    words: Words | None = Field(None, description="what they said")
    not_needed: Words | None = Field(None, description="why this experiment does not need it")

    @model_validator(mode="after")
    def _attested_or_not_needed(self) -> AnswerSpec:
        if (self.attested_by is None) == (self.not_needed is None):
            raise ValueError("give `attested-by` (with `at` and `words`) or `not-needed` (with the reason)")
        if self.attested_by is not None and (self.at is None or self.words is None):
            raise ValueError("an attestation says who, when and what: attested-by, at, words")
        if self.not_needed is not None and (self.at is not None or self.words is not None):
            raise ValueError("`not-needed` takes its reason, and neither `at` nor `words`")
        return self


class ChaosdrillBlock(Frozen):
    """Everything that chaosdrill adds to a Chaos Toolkit experiment."""

    name: Literal["chaosdrill"] = Field("chaosdrill", description="marks the block as ours")
    version: Literal[1] = Field(1, description="of this format")
    service: str | None = Field(None, description="the service that is put to the test")
    environment: str = Field("sandbox", description="where it runs; --environment overrides it")
    hypothesis: str | None = Field(None, description="the sentence that should stay true")
    expected_outcome: str | None = Field(None, description="what should happen, and why")
    signals: dict[str, SourceSpec] = Field({}, description="what is measured, by a name of your own")
    criteria: tuple[Criterion, ...] = Field((), description="what must hold for the hypothesis to hold")
    abort_when: tuple[StopCondition, ...] = Field((), description="when the run is stopped early")
    blast_radius: BlastRadius = Field(BlastRadius(), description="the most that may be hit")
    phases: Phases = Field(Phases(), description="how long to watch before and after")
    time_limit: LongerThanNothing = Field(3600.0, description="the most that the run may take")
    seed: int = Field(0, description="which of the candidates are hit; the same seed hits the same ones")
    announced: bool = Field(
        True, description="no: only the guardians know of this drill, and the responders don't"
    )
    checklist: dict[str, AnswerSpec] = Field({}, description="answers to items of the checklist")

    @model_validator(mode="before")
    @classmethod
    def _version_is_a_number(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("version") == "1":
            return {**data, "version": 1}
        return data
