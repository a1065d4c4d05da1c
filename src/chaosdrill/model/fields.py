"""What a scalar in our block may be: quantities with units, addresses, and the schema that an editor checks.

Scalars arrive as strings and are typed here, once for every model of our block, so that `NO` stays Norway.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from chaosdrill.model.signal import parse_statuses
from chaosdrill.units import parse_duration, parse_rate, parse_share

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
