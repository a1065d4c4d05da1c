"""When an experiment may run: windows, freezes and public holidays, in the zone that the policy names.

It knows no file: spans come parsed, the moment comes as an argument. Days and hours are those on a wall clock
in the window's zone, so both changes of daylight saving come out as people there would expect: hours that a
clock shows twice are allowed twice, and hours that it skips are not missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import chain, pairwise
from zoneinfo import ZoneInfo

from chaosdrill.model.checklist import Check
from chaosdrill.model.policy import Span, Windows

#: How far ahead the next allowed moment is looked for: a year's freeze and a little more, in seconds.
HORIZON = 400 * 86_400.0
_DAY = 86_400
_MIDNIGHT = time(0)


def check(windows: Windows | None, now: float, seconds: float) -> tuple[Check, bool]:
    """Return whether a run may take place from `now` (epoch seconds) for `seconds`, and whether off-peak.

    All of it has to lie inside; it may end at the very moment at which a window closes. The second value is
    True when it lies inside the off-peak hours as well. A zone or a country that nobody knows is not allowed.
    """
    if windows is None:
        return Check("window", True, "the policy sets no windows", at=now), False
    try:
        almanac = _Almanac(windows)
        why = _why_not(almanac, now, seconds)
        facts = {"timezone": windows.timezone, "local": almanac.local(now).isoformat(timespec="seconds")}
        if not why:
            off_peak = bool(windows.off_peak) and not _why_not(almanac.only(windows.off_peak), now, seconds)
            return Check("window", True, _inside(almanac, now, off_peak), at=now, facts=facts), off_peak
        moment = next_allowed(windows, now, seconds)
    except (LookupError, NotImplementedError, ValueError, OSError) as error:
        # ZoneInfoNotFoundError is a KeyError; holidays raises NotImplementedError for a country it misses.
        return Check("window", False, f"the windows can't be told: {error}", at=now), False
    if moment is None:
        step = f"nothing is allowed within {HORIZON / _DAY:.0f} days; change the windows in the policy"
    else:
        step = f"next allowed: {almanac.shown(moment)}"
    facts["next"] = "" if moment is None else datetime.fromtimestamp(moment, UTC).isoformat()
    return Check("window", False, why, at=now, next_step=step, facts=facts), False


def next_allowed(windows: Windows | None, now: float, seconds: float) -> float | None:
    """Return the first moment from `now` on at which a run of `seconds` may start, None within 400 days.

    Raises LookupError, NotImplementedError or ValueError for a zone or a country that nobody knows.
    """
    if windows is None:
        return now
    almanac = _Almanac(windows)
    last = now + HORIZON + seconds
    since: float | None = None
    for this, after in pairwise(chain([now], almanac.edges(now, last), [last])):
        if almanac.forbids(this):
            since = None
            continue
        since = this if since is None else since
        if after >= since + seconds:
            return since if since <= now + HORIZON else None
    return None


class _Almanac:
    """What a wall clock and a calendar say in one zone, and what the windows make of it."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._zone = ZoneInfo(windows.timezone)

    def only(self, spans: tuple[Span, ...]) -> _Almanac:
        """Return one for other hours in the same zone, without freezes and holidays."""
        return _Almanac(Windows(timezone=self._windows.timezone, allow=spans))

    def local(self, moment: float) -> datetime:
        """Return what a calendar and a clock show there."""
        return datetime.fromtimestamp(moment, self._zone)

    def shown(self, moment: float) -> str:
        """Return a moment in the zone and in UTC: 'Tue 24 Nov 2026 10:00 CET (2026-11-24 09:00 UTC)'."""
        there, utc = self.local(moment), datetime.fromtimestamp(moment, UTC)
        text = there.strftime("%a %d %b %Y %H:%M %Z")
        if self._windows.timezone == "UTC":
            return text
        return f"{text} in {self._windows.timezone} ({utc:%Y-%m-%d %H:%M} UTC)"

    def forbids(self, moment: float) -> str:
        """Return why nothing may run at this moment, empty when it may."""
        there = self.local(moment)
        day = there.date()
        for freeze in self._windows.freezes:
            if freeze.first <= day <= freeze.last:
                why = f" ({freeze.why})" if freeze.why else ""
                return f"there is a freeze from {freeze.first} to {freeze.last}{why}"
        if day in self._holidays:
            return f"{day:%a %d %b %Y} is a public holiday in {self._windows.holidays}: {self._holidays[day]}"
        if self._windows.allow and self.span(moment) is None:
            return f"outside {', '.join(span.text for span in self._windows.allow)}"
        return ""

    def span(self, moment: float) -> Span | None:
        """Return the span of `allow` that a moment lies in."""
        there = self.local(moment)
        wall, today = there.time().replace(fold=0), there.weekday()
        for span in self._windows.allow:
            over_midnight = span.end <= span.start
            if today in span.days and wall >= span.start and (over_midnight or wall < span.end):
                return span
            if over_midnight and (today - 1) % 7 in span.days and wall < span.end:
                return span
        return None

    @cached_property
    def _holidays(self) -> Mapping[date, str]:
        if not self._windows.holidays:
            return {}
        # Imported where used: 40 ms that a policy without holidays does not pay.
        import holidays

        country, _, subdivision = self._windows.holidays.partition("-")
        return holidays.country_holidays(country, subdiv=subdivision or None, language="en_US")

    def edges(self, after: float, before: float) -> Iterator[float]:
        """Yield, in order, the moments between at which `forbids` may change its answer."""
        walls = {_MIDNIGHT, *(t for span in self._windows.allow for t in (span.start, span.end))}
        begin = int(after // _DAY) * _DAY
        while begin < before:
            end = begin + _DAY
            for moment in sorted(self._edges_of(begin, end, walls)):
                if after < moment < before:
                    yield moment
            begin = end

    def _edges_of(self, begin: int, end: int, walls: set[time]) -> set[float]:
        """Return the edges in one day of UTC: what walls show, twice where they do, and clock changes."""
        found = self._clock_changes(begin, end)
        day, last = self.local(begin).date(), self.local(end).date()
        while day <= last:
            for wall in walls:
                there = datetime.combine(day, wall, self._zone)
                found |= (
                    {there.timestamp(), there.replace(fold=1).timestamp()} if found else {there.timestamp()}
                )
            day += timedelta(1)
        return {moment for moment in found if begin <= moment < end}

    def _clock_changes(self, begin: int, end: int) -> set[float]:
        """Return the moments of a change within a day of these two, to the second; no zone has two a day."""
        low, high = begin - _DAY, end + _DAY
        if self.local(low).utcoffset() == self.local(high).utcoffset():
            return set()
        before = self.local(low).utcoffset()
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.local(middle).utcoffset() == before else (low, middle)
        return {float(high)}


def _why_not(almanac: _Almanac, now: float, seconds: float) -> str:
    """Return why a run can't take place, empty when all of it may."""
    why = almanac.forbids(now)
    if why:
        return f"it is {almanac.shown(now)}: {why}"
    for edge in almanac.edges(now, now + seconds):
        why = almanac.forbids(edge)
        if why:
            return (
                f"it would go on until {almanac.shown(now + seconds)}, and from {almanac.shown(edge)}: {why}"
            )
    return ""


def _inside(almanac: _Almanac, now: float, off_peak: bool) -> str:
    span = almanac.span(now)
    where = f"inside {span.text}" if span else "at any hour"
    return f"{almanac.shown(now)}, {where}{', off-peak' if off_peak else ''}"
