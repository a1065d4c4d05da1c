"""The live view's picture: fits every terminal, never hides what matters, never leans on colour."""

from __future__ import annotations

import pytest

from chaosdrill.cli.screen.limits import Limits
from chaosdrill.cli.screen.picture import Subject, picture
from chaosdrill.cli.screen.sparkline import ASCII, BLOCKS, sparkline
from chaosdrill.execute.runner import ActiveFault, Snapshot
from chaosdrill.execute.sampling import HISTORY, Reading
from chaosdrill.model.experiment import Criterion, StopCondition

NOW = 1_795_255_331.0
LIMITS = Limits(
    (
        Criterion.model_validate({"signal": "pay.availability", "above": "99.9 %", "over": "phase"}),
        Criterion.model_validate({"signal": "pay.p95_latency", "below": "500 ms", "over": "10 s"}),
        Criterion.model_validate({"signal": "instances.ready", "at-least": "3", "within": "1 min"}),
    ),
    (StopCondition.model_validate({"signal": "pay.availability", "below": "95 %", "for": "5 s"}),),
)
SIZES = [(columns, rows) for columns in (40, 47, 60, 79, 80, 81, 100, 132, 250) for rows in (10, 14, 24, 50)]


def _reading(signal: str, value: float | None, *history: float | None) -> Reading:
    return Reading(signal, value, 0 if value is None else 250, history or (value,))


def _snapshot(aborting: str = "", availability: float = 0.9996, faults: int = 1) -> Snapshot:
    return Snapshot(
        now=NOW + 12,
        phase="fault",
        phase_started=NOW,
        phase_seconds=30.0,
        doing="action fail-one-instance",
        faults=tuple(
            ActiveFault(f"f{n}", "instance_failure", (f"payment-api-{n}",), NOW + 30)
            for n in range(1, faults + 1)
        ),
        readings=(
            _reading("pay.availability", availability, 1.0, 1.0, availability),
            _reading("pay.p95_latency", 0.612, 0.012, 0.013, 0.612),
            _reading("instances.ready", None, 3.0, None, None),
        ),
        aborting=aborting,
    )


def _subject(unicode: bool = True) -> Subject:
    title = "Payments survive the loss of one instance"
    return Subject(title, "2026-11-21T10-02-11Z-payments-survive-a1b2", NOW - 10, LIMITS, unicode)


def _lines(snapshot: Snapshot, size: tuple[int, int] = (80, 24), unicode: bool = True) -> list[str]:
    return picture(_subject(unicode), snapshot, size).plain.split("\n")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("faults", [0, 1, 9])
@pytest.mark.parametrize("aborting", ["", "Ctrl-C"])
def test_a_picture_fits_its_terminal(size: tuple[int, int], faults: int, aborting: str) -> None:
    drawn = picture(_subject(), _snapshot(aborting, faults=faults), size)
    lines = drawn.split("\n", allow_blank=True)
    assert len(lines) < size[1]
    assert max(line.cell_len for line in lines) < size[0]


@pytest.mark.parametrize("size", SIZES)
def test_on_the_smallest_terminal_the_fault_and_the_way_out_are_there(size: tuple[int, int]) -> None:
    lines = _lines(_snapshot(faults=9), size)
    assert any(line.startswith("now    fault") for line in lines)
    assert any(line.startswith("ON     instance failure") for line in lines)
    assert lines[-1].startswith("stop   Ctrl-C here")


def test_a_title_in_wide_letters_fits_too() -> None:
    subject = Subject("決済は一つのインスタンスを失っても続く" * 3, "run-a1b2", NOW, LIMITS)
    drawn = picture(subject, _snapshot(), (60, 24))
    assert max(line.cell_len for line in drawn.split("\n")) < 60


def test_more_faults_than_fit_are_counted() -> None:
    assert any("and 7 more faults" in line for line in _lines(_snapshot(faults=9)))


def test_which_side_of_its_limit_a_signal_is_on_is_said_in_words() -> None:
    text = "\n".join(_lines(_snapshot()))
    assert "✓ ok       pay.availability" in text
    assert "✗ over     pay.p95_latency" in text
    assert "· no data  instances.ready" in text
    assert "below 500 ms" in text


def test_a_stop_condition_says_when_its_signal_is_on_the_bad_side() -> None:
    assert any(line.startswith("aborts when pay.availability below 95 %") for line in _lines(_snapshot()))
    bad = "\n".join(_lines(_snapshot(availability=0.9)))
    assert "! abort    pay.availability" in bad
    assert "! aborts when pay.availability below 95 % for 5 s: now 90 %" in bad


def test_it_says_how_long_it_still_takes() -> None:
    text = "\n".join(_lines(_snapshot()))
    assert "18 s left of 30 s" in text
    assert "ends by itself in 18 s" in text
    assert "T+00:22" in text


def test_after_an_interrupt_it_says_that_it_is_undoing_and_nothing_else_would_help() -> None:
    lines = _lines(_snapshot(aborting="Ctrl-C"))
    assert any(line.startswith("now    UNDOING: Ctrl-C") for line in lines)
    assert any("being undone" in line for line in lines)
    assert lines[-1] == "undoing everything; please wait, another Ctrl-C changes nothing"


def test_a_terminal_without_unicode_gets_ascii_alone() -> None:
    assert all(line.isascii() for line in _lines(_snapshot(availability=0.9), unicode=False))


def test_many_signals_on_a_small_terminal_show_the_wrong_ones_first() -> None:
    lines = _lines(_snapshot(faults=2), (80, 10))
    assert any("✗ over     pay.p95_latency" in line for line in lines)
    assert not any("✓ ok" in line for line in lines)
    assert any("and 2 more signals" in line for line in lines)


# ---- sparklines

LATENCY = LIMITS.criteria[1]


def test_no_spike_is_lost_when_a_minute_is_squeezed_into_ten_cells() -> None:
    for second in range(HISTORY):
        history = [0.01] * HISTORY
        history[second] = 5.0
        drawn = sparkline(Reading("pay.p95_latency", 0.01, 9, tuple(history)), LATENCY, 10).plain
        assert drawn.count("█") == 1, second
        assert len(drawn) == 10


def test_a_dip_in_availability_is_kept_too() -> None:
    history = (*[1.0] * 30, 0.8, *[1.0] * 29)
    drawn = sparkline(Reading("pay.availability", 1.0, 9, history), LIMITS.criteria[0], 20).plain
    assert drawn.count(BLOCKS[0]) == 1


def test_a_gap_stays_a_gap() -> None:
    history = (*[0.3] * 20, *[None] * 20, *[0.3] * 20)
    drawn = sparkline(Reading("pay.p95_latency", 0.3, 9, history), LATENCY, 60).plain
    assert drawn == f"{drawn[0] * 20}{' ' * 20}{drawn[0] * 20}"
    assert drawn[0] in BLOCKS


def test_a_young_run_fills_its_line_from_the_right() -> None:
    drawn = sparkline(_reading("pay.p95_latency", 0.1, 0.1, 0.1), LATENCY, 60).plain
    assert drawn[:58].isspace()
    assert not drawn[58:].isspace()


def test_the_scale_holds_the_limit_so_that_what_is_far_below_it_looks_low() -> None:
    low = sparkline(_reading("pay.p95_latency", 0.01, *[0.01] * HISTORY), LATENCY, 60).plain
    assert set(low) == {BLOCKS[0]}
    over = sparkline(_reading("pay.p95_latency", 0.6, *[0.6] * HISTORY), LATENCY, 60, unicode=False).plain
    assert set(over) == {ASCII[-1]}


def test_a_signal_that_is_always_nothing_has_a_flat_line() -> None:
    drawn = sparkline(_reading("pay.timeouts", 0.0, *[0.0] * HISTORY), None, 60).plain
    assert set(drawn) == {BLOCKS[0]}
