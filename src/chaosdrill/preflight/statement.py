"""What somebody puts their name to: the statement of an approval, as the exact text that is signed.

One value has one text (canonical JSON), so nothing can stand in it that was not signed. This module knows no
signatures and no files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from typing import Any, Literal, NoReturn

from chaosdrill.clock import from_iso, iso
from chaosdrill.errors import Refused
from chaosdrill.model.checklist import BEFORE, canonical
from chaosdrill.model.policy import Span, Windows

VERSION = 1
#: Items that an approval may let a run go past. Nobody can sign away that somebody has to sign.
OVERRIDABLE = tuple(item.key for item in BEFORE if item.key != "executive-approval")
#: What every approval is bound to; `once` adds the very targets.
PARTS = frozenset(
    {"experiment", "answers", "policy", "environment", "configuration", "secrets", "options", "files"}
)
SCOPE = "scope"
#: A random salt, hashed slowly: statements are shared, and nobody should guess configurations from them.
SALT = "scrypt:"


@dataclass(frozen=True, slots=True)
class Aim:
    """What one fault hits: `chosen` of `candidates`, for `duration` seconds; nobody by name when standing."""

    kind: str
    target: str
    duration: float
    chosen: tuple[str, ...] = ()
    candidates: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a standing approval reaches: starts, targets in all, a share, and when (or always)."""

    count: int
    max_targets: int
    max_share: float
    windows: Windows | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """What is approved, for whom, by whom, bound to what, and until when. Moments are epoch seconds.

    For a standing approval `aims` are the kinds, services and longest durations that are allowed.
    """

    kind: Literal["once", "standing"]
    title: str
    file: str
    requester: str
    approver: str
    issued: float
    expires: float
    salt: str
    parts: Mapping[str, str]
    aims: tuple[Aim, ...]
    limits: Limits | None = None
    overrides: tuple[str, ...] = ()
    words: str = ""

    @property
    def environment(self) -> str:
        """Where it holds."""
        return self.parts["environment"]

    @property
    def starts(self) -> int:
        """How many runs it lets start."""
        return self.limits.count if self.limits else 1

    def text(self) -> str:
        """Return the text to sign: canonical JSON."""
        return canonical(
            {
                "version": VERSION,
                "kind": self.kind,
                "title": self.title,
                "file": self.file,
                "requester": self.requester,
                "approver": self.approver,
                "issued": iso(self.issued),
                "expires": iso(self.expires),
                "salt": self.salt,
                "parts": dict(self.parts),
                "aims": [_aim_json(aim) for aim in self.aims],
                "limits": _limits_json(self.limits) if self.limits else None,
                "overrides": list(self.overrides),
                "words": self.words,
            }
        ).decode()


def parse(text: str) -> Statement:
    """Return the statement that `text` is. Raises Refused for a text that `Statement.text` never returns."""
    try:
        data = json.loads(text, parse_constant=_no_constant)
        if data["version"] != VERSION:
            raise Refused(f"it was made by another version of chaosdrill (version {data['version']!r})")
        read = _statement(data)
        # Another order, a space, a key too many or twice, a number written otherwise: not what we wrote.
        if read.text() != text:
            raise ValueError("another text")
    except Refused:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise Refused("it is not the text of an approval") from None
    _sound(read)
    return read


def _statement(data: Mapping[str, Any]) -> Statement:
    return Statement(
        kind=data["kind"],
        title=_word(data["title"]),
        file=_word(data["file"]),
        requester=_word(data["requester"]),
        approver=_word(data["approver"]),
        issued=from_iso(data["issued"]),
        expires=from_iso(data["expires"]),
        salt=_word(data["salt"]),
        parts={_word(name): _word(value) for name, value in data["parts"].items()},
        aims=tuple(_aim(aim) for aim in data["aims"]),
        limits=_limits(data["limits"]) if data["limits"] is not None else None,
        overrides=tuple(_word(item) for item in data["overrides"]),
        words=_word(data["words"]),
    )


def _sound(read: Statement) -> None:
    """Raise Refused for a statement that nobody can mean."""
    wanted = PARTS | {SCOPE} if read.kind == "once" else PARTS
    problems = {
        "its kind is unknown": read.kind not in ("once", "standing"),
        "it is bound to too little": set(read.parts) != wanted,
        "its salt is too weak": not read.salt.startswith(SALT) or not 32 <= len(read.salt) <= 100,
        "it says no limits": (read.kind == "standing") != (read.limits is not None),
        "it ends before it begins": not read.issued < read.expires,
        "it names nobody": not read.approver.strip() or not read.requester.strip(),
        "it overrides what can't be overridden": not set(read.overrides) <= set(OVERRIDABLE),
        "its limits make no sense": read.limits is not None and not _sensible(read.limits),
    }
    for why, wrong in problems.items():
        if wrong:
            raise Refused(why)


def _sensible(limits: Limits) -> bool:
    # Windows without a span would mean any time, which nobody who writes windows means.
    timed = limits.windows is None or bool(limits.windows.allow)
    return timed and limits.count >= 1 and limits.max_targets >= 1 and 0 < limits.max_share <= 1


def _word(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("not a whole number")
    return value


def _number(value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError("not a number")
    return float(value)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _aim(data: Mapping[str, Any]) -> Aim:
    return Aim(
        _word(data["kind"]),
        _word(data["target"]),
        _number(data["duration"]),
        tuple(_word(name) for name in data["chosen"]),
        _whole(data["candidates"]),
    )


def _aim_json(aim: Aim) -> dict[str, Any]:
    return {
        "kind": aim.kind,
        "target": aim.target,
        "duration": float(aim.duration),
        "chosen": list(aim.chosen),
        "candidates": aim.candidates,
    }


def _limits(data: Mapping[str, Any]) -> Limits:
    windows = data["windows"]
    return Limits(
        _whole(data["count"]),
        _whole(data["max-targets"]),
        _number(data["max-share"]),
        Windows(_word(windows["timezone"]), tuple(_span(s) for s in windows["spans"])) if windows else None,
    )


def _limits_json(limits: Limits) -> dict[str, Any]:
    windows = limits.windows
    spans: Sequence[Span] = windows.allow if windows else ()
    return {
        "count": limits.count,
        "max-targets": limits.max_targets,
        "max-share": float(limits.max_share),
        "windows": {"timezone": windows.timezone, "spans": [_span_json(s) for s in spans]}
        if windows
        else None,
    }


def _span(data: Mapping[str, Any]) -> Span:
    days = frozenset(_whole(day) for day in data["days"])
    return Span(days, time.fromisoformat(data["start"]), time.fromisoformat(data["end"]), _word(data["text"]))


def _span_json(span: Span) -> dict[str, Any]:
    return {
        "days": sorted(span.days),
        "start": span.start.isoformat("minutes"),
        "end": span.end.isoformat("minutes"),
        "text": span.text,
    }
