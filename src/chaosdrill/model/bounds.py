"""Limits on what is measured: criteria, which must hold, and stop conditions, which abort.

Knows what is bad and says it in words; when to look, and what follows, is the guard's and the verdict's.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from chaosdrill.model.fields import (
    DURATION_PATTERN,
    Duration,
    Frozen,
    Limit,
    LongerThanNothing,
    PhaseName,
    Statuses,
    Url,
)
from chaosdrill.model.signal import SERIES, Series, format_value, parse_threshold
from chaosdrill.units import format_duration, parse_duration

_COMPARISONS = ("above", "below", "at_least", "at_most", "equals")


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
        self._check_limit()
        return self

    def _check_limit(self) -> None:
        limit = self._only_limit()
        # The reader reports unknown signals itself, with the nearest valid one.
        if "." in self.signal and self.signal.rsplit(".", 1)[1] in SERIES:
            parse_threshold(limit, self.series.unit)

    def _only_limit(self) -> str:
        given = [k for k in _COMPARISONS if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of above, below, at-least, at-most or equals")
        return str(getattr(self, given[0]))

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
        return next(k for k in _COMPARISONS if getattr(self, k) is not None)

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


class HttpCheck(Frozen):
    """A request that is good when it is answered as expected, and bad in every other case."""

    url: Url = Field(description="what is requested")
    expect: Statuses = Field("200-399", description="status codes that count as right")
    method: str = Field("GET", description="the HTTP method")
    headers: dict[str, str] = Field({}, description="sent with every request")
    timeout: LongerThanNothing | None = Field(
        None, description="how long an answer may take; half of noticed-within by default, and at most"
    )


class PrometheusCheck(Frozen):
    """An instant query whose one number is held against a limit; anything else is no number."""

    url: Url = Field(description="where Prometheus answers, without /api/v1")
    query: str = Field(description="the expression; it must give one number")
    headers: dict[str, str] = Field({}, description="sent with every query")
    bearer: str | None = Field(None, description="the token to authenticate with")
    timeout: LongerThanNothing | None = Field(
        None, description="how long an answer may take; half of noticed-within by default, and at most"
    )


#: What a check promises when nobody asks for more, in seconds, and the least that it can promise.
NOTICED_WITHIN = 2.0
LEAST_NOTICED_WITHIN = 0.1


class StopCondition(Bound):
    """When to abort: the bound is the *bad* side, and it must stay bad `for` this long.

    Exactly one of `signal`, `http` or `prometheus`. A signal is looked at with every sample; a check is asked
    so often that a breach is noticed within `noticed-within`.
    """

    signal: str = Field("", description="source.series, such as pay.availability")
    http: HttpCheck | None = Field(None, description="bad when it does not answer as expected")
    prometheus: PrometheusCheck | None = Field(None, description="bad on that side of the limit")
    for_: Duration = Field(0.0, alias="for", description="how long it must stay bad")
    noticed_within: Duration | None = Field(
        None, description="the longest from a breach to its discovery by a check, 2 s by default"
    )

    @model_validator(mode="after")
    def _readable(self) -> StopCondition:
        what = [k for k in ("signal", "http", "prometheus") if getattr(self, k)]
        if len(what) != 1:
            raise ValueError(
                f"give exactly one of signal, http or prometheus, not {' and '.join(what) or 'none'}"
            )
        if self.signal:
            if self.noticed_within is not None:
                raise ValueError(
                    "`noticed-within` is for http and prometheus; a signal is seen with every sample"
                )
            self._check_limit()
            return self
        self._check_times()
        given = [k for k in _COMPARISONS if getattr(self, k) is not None]
        if self.http is not None and given:
            raise ValueError(f"http is bad when the answer is not the expected one; it takes no `{given[0]}`")
        if self.prometheus is not None:
            _number(self._only_limit())
        return self

    def _check_times(self) -> None:
        if self.promise < LEAST_NOTICED_WITHIN:
            raise ValueError(
                f"nothing can be noticed within less than {format_duration(LEAST_NOTICED_WITHIN)}"
            )
        check = self.http or self.prometheus
        if check is not None and check.timeout is not None and check.timeout > self.promise / 2:
            said, half = format_duration(check.timeout), format_duration(self.promise / 2)
            raise ValueError(f"a timeout of {said} is longer than half of noticed-within, {half}")

    @property
    def promise(self) -> float:
        """The longest from a breach to its discovery by a check, in seconds; `for` comes on top."""
        return NOTICED_WITHIN if self.noticed_within is None else self.noticed_within

    @property
    def patience(self) -> float:
        """How long one answer to a check may take, in seconds."""
        check = self.http or self.prometheus
        return (check.timeout if check else None) or self.promise / 2

    @property
    def threshold(self) -> float:
        """The limit in the series' own unit; of a Prometheus query, in whatever it counts."""
        return _number(str(getattr(self, self.comparison))) if self.prometheus else super().threshold

    def format(self, value: float) -> str:
        """Return a reading the way people write it."""
        return f"{value:g}" if self.prometheus else format_value(value, self.series.unit)

    def sentence(self) -> str:
        """Return the condition in words: 'pay.availability below 95 % for 5 s'."""
        return f"{self._bad()} for {format_duration(self.for_)}" if self.for_ else self._bad()

    def _bad(self) -> str:
        if self.http is not None:
            return f"{self.http.method.upper()} {self.http.url} does not answer {self.http.expect}"
        if self.prometheus is not None:
            return f"{self.prometheus.query} {self.comparison.replace('_', ' ')} {self.threshold:g}"
        return super().sentence()


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is no number; a query is held against a bare one, such as 0.05")
    return number
