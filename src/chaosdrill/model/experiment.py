"""Our block in an experiment file: `extensions: [{name: chaosdrill, ...}]`.

The rest of the file belongs to Chaos Toolkit, which gets its bytes untouched; nothing here models it.
Field names in files use hyphens; scalars arrive as strings and are typed here, so that `NO` stays Norway.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from chaosdrill.model.bounds import Bound, Criterion, HttpCheck, PrometheusCheck, StopCondition
from chaosdrill.model.fields import (
    DURATION_PATTERN,
    SHARE_PATTERN,
    Address,
    Duration,
    Frozen,
    LongerThanNothing,
    Rate,
    Share,
    Statuses,
    Url,
)

__all__ = [
    "DURATION_PATTERN",
    "SHARE_PATTERN",
    "BlastRadius",
    "Bound",
    "ChaosdrillBlock",
    "Criterion",
    "Duration",
    "Frozen",
    "HttpCheck",
    "HttpSource",
    "Phases",
    "PrometheusCheck",
    "Share",
    "SourceSpec",
    "StopCondition",
    "TcpSource",
]


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


class AnswersFile(Frozen):
    """NAME.chaosdrill.yaml beside an experiment that has a block of its own: answers, and nothing else."""

    name: Literal["chaosdrill"] = Field("chaosdrill", description="marks the file as ours")
    version: Literal[1, "1"] = Field(1, description="of this format")
    checklist: dict[str, AnswerSpec] = Field({}, description="answers to items of the checklist")


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
