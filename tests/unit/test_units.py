"""Quantities mean what people wrote, and a mistake is answered with what would have been right."""

from __future__ import annotations

import pytest

from chaosdrill.units import (
    UnitError,
    format_duration,
    format_share,
    parse_count,
    parse_duration,
    parse_rate,
    parse_share,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30 s", 30.0),
        ("30s", 30.0),
        (" 5 min ", 300.0),
        ("250 ms", 0.25),
        ("1.5 h", 5400.0),
        (".5 s", 0.5),
        ("2 d", 172800.0),
        ("7 us", 7e-6),
        ("1 Minute", 60.0),
        ("0 s", 0.0),
        (12.5, 12.5),
    ],
)
def test_a_duration_is_seconds(text: object, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("30", "'30' has no unit; write 30 s, 30 min or 30 ms"),
        ("30 parsecs", "'parsecs' is no unit of time; use ms, s, min, h or d"),
        ("", "nothing stands where a duration belongs; write it like '30 s'"),
        (" s", "'s' is not a duration; write it like '30 s'"),
        ("${fault_secs} s", "'${fault_secs} s' is not a duration; write it like '30 s'"),
        ("-1 s", "'-1 s' is negative or endless; a duration is neither"),
        ("1e3 s", "'1e3 s' is not a duration; write it like '30 s'"),
        ("٣ s", "'٣ s' is not a duration; write it like '30 s'"),
        (float("inf"), "inf is negative or endless; a duration is neither"),
    ],
)
def test_what_is_no_duration_is_told_what_would_be(text: object, said: str) -> None:
    with pytest.raises(UnitError) as refused:
        parse_duration(text)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("99.9", "'99.9' is not a share; write 99.9 %"),
        ("0.999", "'0.999' is not a share; write 99.9 %"),
        ("101 %", "'101 %' is outside 0 % to 100 %"),
        ("5 s", "'5 s' is not a share; write 5 %"),
    ],
)
def test_what_is_no_share_is_told_what_would_be(text: str, said: str) -> None:
    with pytest.raises(UnitError) as refused:
        parse_share(text)
    assert str(refused.value) == said


def test_shares_are_exact_enough_to_be_compared() -> None:
    assert parse_share("99.9 %") == 0.999
    assert parse_share("0.5%") == 0.005


def test_counts_rates_and_sizes() -> None:
    assert parse_count("3") == 3.0
    assert parse_rate("50") == parse_rate("50/s") == parse_rate("3000/min") == 50.0
    assert parse_size("64 MiB") == 64 * 1024**2
    for parse, text in (
        (parse_count, "3 s"),
        (parse_rate, "0"),
        (parse_rate, "1000000/s"),
        (parse_rate, "5/h"),
        (parse_size, "64"),
    ):
        with pytest.raises(UnitError):
            parse(text)


@pytest.mark.parametrize("parse", [parse_duration, parse_share, parse_count, parse_rate, parse_size])
def test_a_megabyte_of_blanks_or_digits_is_answered_at_once_and_in_a_short_message(parse: object) -> None:
    for text in ("1" + " " * 1_000_000 + "!", "9" * 1_000_000, "9" * 1_000_000 + " s"):
        with pytest.raises(UnitError) as refused:
            parse(text)  # type: ignore[operator]
        assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.25, "250 ms"),
        (0.0005, "0.5 ms"),
        (12.5, "12.5 s"),
        (60, "1 min"),
        (90, "90 s"),
        (300, "5 min"),
        (330, "5 min 30 s"),
        (3900, "1 h 5 min"),
        (-2, "-2 s"),
    ],
)
def test_durations_read_as_people_write_them(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_a_share_never_reads_better_than_it_is() -> None:
    assert format_share(0.9989) == "99.89 %"
    assert format_share(0.99999) == "99.999 %"
    assert format_share(1.0) == "100 %"
