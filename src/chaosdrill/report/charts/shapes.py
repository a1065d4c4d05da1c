"""What a chart shows, in the signal's own unit and in seconds from the report's zero; not yet a picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from chaosdrill.clock import iso
from chaosdrill.model.signal import Unit, format_value
from chaosdrill.units import format_duration


class Frame(NamedTuple):
    """The stretch of time that all charts of a report share.

    `zero` is the epoch second that offsets count from, and `zero_name` what happened then; `start` and `end`
    are offsets. `phases` and `faults` are (name, start, end) in offsets.
    """

    zero: float
    start: float
    end: float
    zero_name: str = "start"
    phases: tuple[tuple[str, float, float], ...] = ()
    faults: tuple[tuple[str, float, float], ...] = ()


class Curve(NamedTuple):
    """A line in stretches, each a run of (offset, value); between stretches nothing was seen."""

    name: str
    look: Literal["middle", "high", "gauge"]
    stretches: tuple[tuple[tuple[float, float], ...], ...]


class Range(NamedTuple):
    """A filled band in stretches of (offset, low, high): every value lies inside it."""

    name: str
    stretches: tuple[tuple[tuple[float, float, float], ...], ...]


class Bars(NamedTuple):
    """Columns of (start, end, low, high)."""

    name: str
    look: Literal["ok", "failed"]
    bars: tuple[tuple[float, float, float, float], ...]


class Level(NamedTuple):
    """A value over a stretch of time: a limit, a stop condition, or what was seen over a judged window."""

    label: str
    look: Literal["limit", "stop", "seen"]
    value: float
    start: float
    end: float


class Mark(NamedTuple):
    """A single value worth a word, at one offset; a `quiet` one is named in the legend and not beside it."""

    label: str
    offset: float
    value: float
    quiet: bool = False


class Chart(NamedTuple):
    """One picture. `gaps` are (start, end) in which nothing was seen; `about` says in words what is shown."""

    id: str
    title: str
    about: str
    unit: Unit | Literal["rate"]
    frame: Frame
    bottom: float
    top: float
    log: bool = False
    height: int = 200
    shapes: tuple[Range | Bars | Curve, ...] = ()
    levels: tuple[Level, ...] = ()
    marks: tuple[Mark, ...] = ()
    gaps: tuple[tuple[float, float], ...] = ()

    @property
    def wide(self) -> bool:
        """Whether it deserves a row of its own where two would fit."""
        return self.height >= 200

    @property
    def show(self) -> Callable[[float], str]:
        """How a value of this chart is written."""
        if self.unit == "rate":
            return lambda value: f"{value:g}/s"
        unit = self.unit
        return lambda value: format_value(value, unit)


def offset_text(seconds: float) -> str:
    """Return an offset as people read it on an axis: '0', '+10 s', '−2 min'."""
    if abs(seconds) < 5e-10:
        return "0"
    return ("+" if seconds > 0 else "\N{MINUS SIGN}") + format_duration(abs(seconds))


def when_text(frame: Frame, offset: float) -> str:
    """Return a moment as a chart's caption says it: '18 s after fault start, 10:02:39 UTC'."""
    if abs(offset) < 0.05:
        said = f"at {frame.zero_name}"
    else:
        side = "after" if offset > 0 else "before"
        said = f"{format_duration(round(abs(offset), 1))} {side} {frame.zero_name}"
    return f"{said}, {iso(frame.zero + offset)[11:19]} UTC"


def elapsed_text(seconds: float) -> str:
    """Return an offset as a clock reads it: 'T+00:30.012', 'T−1:02:05.120'."""
    whole, thousandths = divmod(round(abs(seconds) * 1000), 1000)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    sign = "\N{MINUS SIGN}" if seconds < 0 and (whole or thousandths) else "+"
    hour = f"{hours}:" if hours else ""
    return f"T{sign}{hour}{minutes:02}:{rest:02}.{thousandths:03}"
