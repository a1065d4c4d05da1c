"""Durations, shares, sizes and counts, as people write them and as the code counts them.

Files never hold bare numbers where a unit belongs: `30` is an error that names the unit, `30 s` is thirty
seconds. Inside, durations are seconds, shares run from 0 to 1, sizes are bytes; all are floats.
"""

from __future__ import annotations

import re

_NUMBER = r"(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))"
_QUANTITY = re.compile(rf"{_NUMBER}\s*(?P<unit>[A-Za-zµ%/]*)")

#: Nobody writes a longer quantity; a longer text is a mistake, and would make a message that nobody can read.
_LONGEST = 60

_SECONDS = {
    "us": 1e-6, "µs": 1e-6, "ms": 1e-3,
    "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0,
    "min": 60.0, "m": 60.0, "minute": 60.0, "minutes": 60.0,
    "h": 3600.0, "hour": 3600.0, "hours": 3600.0,
    "d": 86400.0, "day": 86400.0, "days": 86400.0,
}  # fmt: skip
_BYTES = {
    "b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9,
    "kib": 1024.0, "mib": 1024.0**2, "gib": 1024.0**3,
}  # fmt: skip


class UnitError(ValueError):
    """A quantity that can't be read; the message says what would have been right."""


def _split(text: str, what: str, example: str) -> tuple[float, str]:
    text = text.strip()
    if not text:
        raise UnitError(f"nothing stands where {what} belongs; write it like {example!r}")
    found = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        shown = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
        raise UnitError(f"{shown!r} is not {what}; write it like {example!r}")
    return float(found["number"]), found["unit"]


def parse_duration(value: object) -> float:
    """Return the seconds that `value` means, such as '30 s', '1 min' or '250 ms'.

    A number (not a string) is taken as seconds: that is how our own records store it.
    Raises UnitError for a missing or unknown unit, and for a negative duration.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value)
    else:
        number, unit = _split(str(value), "a duration", "30 s")
        if not unit:
            raise UnitError(f"{value!r} has no unit; write {number:g} s, {number:g} min or {number:g} ms")
        factor = _SECONDS.get(unit) or _SECONDS.get(unit.lower())
        if factor is None:
            raise UnitError(f"{unit!r} is no unit of time; use ms, s, min, h or d")
        seconds = number * factor
    if not 0 <= seconds < float("inf"):
        raise UnitError(f"{value!r} is negative or endless; a duration is neither")
    return seconds


def parse_share(value: object) -> float:
    """Return `value` ('99.9 %') as a share from 0 to 1; a number is taken as a share already.

    Raises UnitError without a percent sign, and outside 0 to 100 %.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        share = float(value)
    else:
        number, unit = _split(str(value), "a share", "99.9 %")
        if unit != "%":
            meant = number * 100 if 0 < number < 1 else number
            raise UnitError(f"{value!r} is not a share; write {meant:g} %")
        # 99.9 / 100 is 0.9990000000000001 in binary; 999 of 1,000 would miss `at-least: 99.9 %` by it.
        share = round(number / 100, 12)
    if not 0 <= share <= 1:
        raise UnitError(f"{value!r} is outside 0 % to 100 %")
    return share


def parse_count(value: object) -> float:
    """Return `value` as a plain number. Raises UnitError when a unit stands behind it."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    number, unit = _split(str(value), "a number", "3")
    if unit:
        raise UnitError(f"{value!r} has a unit; a bare number belongs here, such as {number:g}")
    return number


def parse_rate(value: object) -> float:
    """Return requests per second for '50', '50/s' or '600/min'. Raises UnitError unless it is above 0."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        rate = float(value)
    else:
        number, unit = _split(str(value), "a rate", "50/s")
        factor = {"": 1.0, "/s": 1.0, "/min": 1 / 60}.get(unit)
        if factor is None:
            raise UnitError(f"{unit!r} is no unit of rate; write 50/s or 600/min")
        rate = number * factor
    if not 0 < rate <= 10_000:
        raise UnitError(f"{value!r} is not a rate between 0 and 10000 per second")
    return rate


def parse_size(value: object) -> float:
    """Return the bytes that `value` ('64 MiB') means. Raises UnitError for an unknown unit."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    number, unit = _split(str(value), "a size", "64 MiB")
    factor = _BYTES.get(unit.lower())
    if factor is None:
        raise UnitError(f"{value!r} is not a size; use B, KiB, MiB, GiB, kB, MB or GB")
    return number * factor


def format_duration(seconds: float) -> str:
    """Return `seconds` as people read it: '850 ms', '12.5 s', '5 min', '5 min 30 s', '1 h 5 min'."""
    sign, seconds = ("-" if seconds < 0 else ""), abs(seconds)
    if seconds < 0.9995:
        return f"{sign}{_trim(seconds * 1000, 3)} ms" if seconds else "0 s"
    if seconds < 119.95:
        return f"{sign}{_trim(seconds, 3)} s" if seconds != 60 else f"{sign}1 min"
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    parts = [(hours, "h"), (minutes, "min"), (left if not hours else 0, "s")]
    return sign + " ".join(f"{n} {unit}" for n, unit in parts if n)


def format_share(share: float) -> str:
    """Return a share from 0 to 1 as percent, exact enough that 99.89 % never reads as 99.9 %."""
    return f"{share * 100:.4f}".rstrip("0").rstrip(".") + " %"


def _trim(number: float, digits: int) -> str:
    return f"{number:.{digits}g}" if abs(number) < 10**digits else f"{number:.0f}"
