"""When an experiment may run: in every zone, on both nights on which clocks are changed, around holidays."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaosdrill.model.policy import Freeze, Span, Windows
from chaosdrill.preflight.windows import HORIZON, check, next_allowed

calmly = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
#: Changes by an hour, by half an hour, at midnight, at odd offsets, on the other half of the globe, and none.
ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Africa/Cairo",
    "Asia/Kathmandu", "Pacific/Chatham", "America/Santiago", "Africa/Casablanca", "Pacific/Kiritimati",
    "Asia/Beirut",
)  # fmt: skip


def span(text: str) -> Span:
    days, _, hours = text.partition(" ")
    first, _, last = days.partition("-")
    low, high = DAYS.index(first), DAYS.index(last or first)
    start, _, end = hours.partition("-")
    end = "00:00" if end == "24:00" else end
    return Span(frozenset(range(low, high + 1)), time.fromisoformat(start), time.fromisoformat(end), text)


def at(text: str, zone: str = "Europe/Berlin", fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


WEEKDAYS = Windows(
    timezone="Europe/Berlin",
    allow=(span("Tue-Thu 10:00-15:00"),),
    off_peak=(span("Tue-Thu 10:00-12:00"),),
    holidays="DE",
    freezes=(Freeze(date(2026, 12, 18), date(2027, 1, 6), "year end"),),
)


# ---- an oracle that knows nothing of edges: minutes since Monday on the wall


@cache
def minutes_allowed(spans: tuple[Span, ...]) -> frozenset[int]:
    week = set()
    for each in spans:
        start, end = (t.hour * 60 + t.minute for t in (each.start, each.end))
        length = end - start if end > start else end - start + 1440
        for day in each.days:
            week |= {(day * 1440 + start + minute) % 10080 for minute in range(length)}
    return frozenset(week)


def oracle(windows: Windows, moment: float) -> bool:
    wall = datetime.fromtimestamp(moment, UTC).astimezone(ZoneInfo(windows.timezone))
    frozen = any(
        f.first.toordinal() <= wall.date().toordinal() <= f.last.toordinal() for f in windows.freezes
    )
    minute = wall.weekday() * 1440 + wall.hour * 60 + wall.minute
    return not frozen and (not windows.allow or minute in minutes_allowed(windows.allow))


def longest(windows: Windows, begin: float, minutes: int) -> int:
    """Return the longest allowed stretch among so many minutes, each of them sampled."""
    most = run = 0
    for n in range(minutes):
        run = run + 1 if oracle(windows, begin + 60.0 * n) else 0
        most = max(most, run)
    return most


times = st.builds(time, st.integers(0, 23), st.sampled_from((0, 15, 30, 45)))
spans = st.builds(
    lambda days, start, end: Span(days, start, end, "some hours"),
    st.frozensets(st.integers(0, 6), min_size=1),
    times,
    times,
)


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, float]:
    """A zone, and a moment within a day of one of its clock changes (or of any moment, where it has none)."""
    zone = draw(st.sampled_from(ZONES))
    year = datetime(draw(st.integers(2024, 2030)), 1, 1, tzinfo=UTC)
    days = [year + timedelta(days=n) for n in range(366)]
    offsets = [day.astimezone(ZoneInfo(zone)).utcoffset() for day in days]
    changed = [days[n] for n in range(365) if offsets[n] != offsets[n + 1]] or days
    minutes = draw(st.integers(-1440, 2880))
    return zone, (draw(st.sampled_from(changed)) + timedelta(minutes=minutes)).timestamp()


@st.composite
def cases(draw: st.DrawFn) -> tuple[Windows, float]:
    zone, moment = draw(changes())
    day = datetime.fromtimestamp(moment, ZoneInfo(zone)).date()
    frozen = draw(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 2)), max_size=2))
    freezes = tuple(Freeze(day + timedelta(a), day + timedelta(a + n), "") for a, n in frozen)
    allow = tuple(draw(st.lists(spans, max_size=3)))
    return Windows(timezone=zone, allow=allow, freezes=freezes), moment


@settings(calmly, max_examples=300)
@given(cases())
def test_a_moment_is_allowed_as_a_wall_clock_there_says(case: tuple[Windows, float]) -> None:
    windows, moment = case
    assert check(windows, moment, 0.0)[0].ok == oracle(windows, moment)


@settings(calmly, max_examples=100)
@given(cases(), st.integers(0, 600))
def test_a_run_is_allowed_when_each_of_its_minutes_is(case: tuple[Windows, float], minutes: int) -> None:
    windows, moment = case
    expected = all(oracle(windows, moment + 60 * n) for n in range(max(1, minutes)))
    assert check(windows, moment, minutes * 60.0)[0].ok == expected


@settings(calmly, max_examples=100)
@given(cases(), st.integers(0, 240))
def test_the_next_allowed_moment_is_allowed_and_none_is_before_it(
    case: tuple[Windows, float], minutes: int
) -> None:
    windows, now = case
    found = next_allowed(windows, now, minutes * 60.0)
    if found is None:
        days = random.Random(int(now)).sample(range(int(HORIZON // 86_400)), 3)
        assert all(longest(windows, now + 86_400.0 * day, 2000) <= minutes for day in days)
        return
    assert found >= now
    assert check(windows, found, minutes * 60.0)[0].ok
    before = min(int((found - now) // 60), 3000)
    assert longest(windows, now, before) <= minutes, "a whole run would have fitted before"


# ---- the two nights


def test_hours_that_the_clock_shows_twice_are_allowed_twice() -> None:
    night = Windows(timezone="Europe/Berlin", allow=(span("Sun 02:15-02:45"),))
    first, second = at("2026-10-25T02:30", fold=0), at("2026-10-25T02:30", fold=1)
    assert second - first == 3600
    assert check(night, first, 60)[0].ok
    assert check(night, second, 60)[0].ok
    assert not check(night, first, 3600)[0].ok, "between them the clock shows 02:45 to 02:15"
    assert next_allowed(night, at("2026-10-25T02:50", fold=0), 60) == at("2026-10-25T02:15", fold=1)


def test_hours_that_the_clock_skips_are_not_waited_for() -> None:
    night = Windows(timezone="Europe/Berlin", allow=(span("Sun 02:15-02:45"),))
    before = at("2026-03-29T01:59")
    assert not check(night, before + 120, 0)[0].ok, "one minute later it is 03:01"
    assert next_allowed(night, before, 60) == at("2026-04-05T02:15")


def test_a_window_that_opens_in_the_skipped_hour_opens_right_after_it() -> None:
    night = Windows(timezone="Europe/Berlin", allow=(span("Sun 02:30-05:00"),))
    assert next_allowed(night, at("2026-03-29T01:00"), 60) == at("2026-03-29T03:00")


def test_a_window_over_the_change_is_as_long_as_the_night_really_is() -> None:
    night = Windows(timezone="Europe/Berlin", allow=(span("Sun 01:00-04:00"),))
    assert check(night, at("2026-03-29T01:00"), 2 * 3600)[0].ok
    assert not check(night, at("2026-03-29T01:00"), 2 * 3600 + 1)[0].ok
    assert check(night, at("2026-10-25T01:00"), 4 * 3600)[0].ok
    assert not check(night, at("2026-10-25T01:00"), 4 * 3600 + 1)[0].ok


# ---- words


def test_a_weekend_refuses_with_the_next_time_there_and_in_utc() -> None:
    found, off_peak = check(WEEKDAYS, at("2026-11-21T15:41"), 300)
    assert (found.ok, off_peak) == (False, False)
    assert found.said == (
        "it is Sat 21 Nov 2026 15:41 CET in Europe/Berlin (2026-11-21 14:41 UTC): outside Tue-Thu 10:00-15:00"
    )
    assert found.next_step == (
        "next allowed: Tue 24 Nov 2026 10:00 CET in Europe/Berlin (2026-11-24 09:00 UTC)"
    )


def test_a_run_that_would_outlast_its_window_refuses() -> None:
    found, _ = check(WEEKDAYS, at("2026-11-24T14:58"), 300)
    assert not found.ok
    assert "would go on until Tue 24 Nov 2026 15:03 CET" in found.said
    assert "Wed 25 Nov 2026 10:00" in found.next_step
    assert check(WEEKDAYS, at("2026-11-24T14:55"), 300)[0].ok, "it may end when the window closes"


def test_a_freeze_refuses_with_its_reason_and_the_first_day_after_it() -> None:
    found, _ = check(WEEKDAYS, at("2026-12-22T11:00"), 60)
    assert "there is a freeze from 2026-12-18 to 2027-01-06 (year end)" in found.said
    assert "Thu 07 Jan 2027 10:00 CET" in found.next_step
    assert check(WEEKDAYS, at("2026-12-17T14:58"), 60)[0].ok
    whole = Windows(timezone="Europe/Berlin", freezes=WEEKDAYS.freezes)
    assert not check(whole, at("2026-12-18T00:00"), 1)[0].ok
    assert not check(whole, at("2027-01-06T23:59"), 1)[0].ok
    assert check(whole, at("2027-01-07T00:00"), 1)[0].ok
    assert not check(whole, at("2026-12-17T23:59"), 90)[0].ok, "it would reach into the freeze"


def test_a_public_holiday_refuses_by_its_name_with_the_next_time() -> None:
    # Ascension Day 2027 is Thursday 6 May; Whit Monday is 17 May.
    found, _ = check(WEEKDAYS, at("2027-05-06T11:00"), 60)
    assert "Thu 06 May 2027 is a public holiday in DE: Ascension Day" in found.said
    assert "Tue 11 May 2027 10:00 CEST in Europe/Berlin (2027-05-11 08:00 UTC)" in found.next_step


def test_a_holiday_of_one_state_is_one_only_there() -> None:
    epiphany = at("2027-01-06T11:00")
    assert check(Windows(timezone="Europe/Berlin", holidays="DE"), epiphany, 60)[0].ok
    assert not check(Windows(timezone="Europe/Berlin", holidays="DE-BY"), epiphany, 60)[0].ok


def test_the_day_on_which_a_holiday_is_observed_counts() -> None:
    # 4 July 2026 is a Saturday: in the United States it is observed on the Friday before.
    friday = at("2026-07-03T11:00", "America/New_York")
    assert not check(Windows(timezone="America/New_York", holidays="US"), friday, 60)[0].ok


def test_off_peak_is_told_apart_from_allowed() -> None:
    assert check(WEEKDAYS, at("2026-11-24T10:30"), 600)[1]
    ok, off_peak = check(WEEKDAYS, at("2026-11-24T11:55"), 600)
    assert (ok.ok, off_peak) == (True, False)
    assert "off-peak" in check(WEEKDAYS, at("2026-11-24T10:30"), 600)[0].said


@pytest.mark.parametrize("start", ["2026-11-27T23:00", "2026-11-28T01:59"])
def test_a_window_past_midnight_belongs_to_the_day_on_which_it_opens(start: str) -> None:
    night = Windows(timezone="Europe/Berlin", allow=(span("Fri 22:00-02:00"),))
    assert check(night, at(start), 60)[0].ok
    assert not check(night, at("2026-11-27T01:00"), 60)[0].ok


def test_a_window_of_whole_days_has_no_gap_at_midnight() -> None:
    weekend = Windows(timezone="Europe/Berlin", allow=(span("Sat-Sun 00:00-24:00"),))
    assert check(weekend, at("2026-11-21T00:00"), 2 * 86_400)[0].ok
    assert not check(weekend, at("2026-11-21T00:00"), 2 * 86_400 + 1)[0].ok


def test_without_windows_any_time_will_do_but_nothing_proves_off_peak() -> None:
    assert check(None, 0.0, 60.0)[0].ok
    assert not check(None, 0.0, 60.0)[1]
    assert next_allowed(None, 5.0, 60.0) == 5.0


def test_hours_that_never_come_are_said_to_be_none() -> None:
    never = Windows(freezes=(Freeze(date(2026, 1, 1), date(2030, 1, 1), "sold"),))
    found, _ = check(never, at("2026-11-24T10:30"), 60)
    assert "nothing is allowed within 400 days" in found.next_step


@pytest.mark.parametrize(
    "windows", [Windows(timezone="Mars/Olympus"), Windows(holidays="XX"), Windows(holidays="DE-XX")]
)
def test_a_zone_or_a_country_that_nobody_knows_is_not_allowed(windows: Windows) -> None:
    found, off_peak = check(windows, 1_800_000_000.0, 60.0)
    assert not found.ok
    assert not off_peak
