"""Charts show what was read: no spike is lost, no gap is bridged, no fault goes unmarked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeVar
from xml.etree import ElementTree

import pytest

from chaosdrill.model.signal import Sample
from chaosdrill.record.folder import SAMPLES
from chaosdrill.record.samples import read_samples
from chaosdrill.report.charts import svg
from chaosdrill.report.charts.buckets import MOST, buckets, length
from chaosdrill.report.charts.series import Judged, gauge_chart
from chaosdrill.report.charts.shapes import (
    Bars,
    Chart,
    Curve,
    Frame,
    Level,
    Range,
    elapsed_text,
    offset_text,
)
from chaosdrill.report.document import document
from chaosdrill.statistics import Readings
from chaosdrill.testing.folders import Story, build_run_folder

SVG = "{http://www.w3.org/2000/svg}"


def charts_of(path: Path, story: Story | None = None) -> dict[str, Chart]:
    folder = build_run_folder(path / "run", story)
    made = document(folder, read_samples(folder.file(SAMPLES)))
    return {chart.id: chart for chart in made.charts}


Shape = TypeVar("Shape", Range, Bars, Curve)


def shape(chart: Chart, kind: type[Shape], name: str) -> Shape:
    (found,) = (s for s in chart.shapes if isinstance(s, kind) and s.name == name)
    return found


def flat(stretches: tuple[tuple[tuple[float, ...], ...], ...]) -> list[tuple[float, ...]]:
    return [point for stretch in stretches for point in stretch]


def test_one_slow_request_among_100_000_is_in_the_chart(tmp_path: Path) -> None:
    chart = charts_of(tmp_path, Story(samples=100_000, rate=200.0, spike=9.0))["pay-latency"]
    points = flat(shape(chart, Range, "fastest to slowest").stretches)
    assert len(points) <= MOST + 10
    assert max(high for _, _, high in points) == 9.0
    assert chart.top >= 9.0
    assert [mark.label for mark in chart.marks if not mark.quiet] == ["slowest 9 s"]
    assert "The slowest took 9 s" in chart.about


def test_one_failure_among_100_000_has_a_bar_that_can_be_seen(tmp_path: Path) -> None:
    folder = build_run_folder(tmp_path / "run", Story(samples=100_000, rate=200.0))
    lines = folder.file(SAMPLES).read_text().splitlines()
    spoiled = next(i for i, line in enumerate(lines) if ",pay," in line and i > 60_000)
    t = lines[spoiled].split(",")[0]
    lines[spoiled] = f"{t},pay,2,0,timeout"
    folder.file(SAMPLES).write_text("\n".join(lines) + "\n")
    made = document(folder, read_samples(folder.file(SAMPLES)))
    (rate,) = (chart for chart in made.charts if chart.id == "pay-rate")
    assert len(shape(rate, Bars, "failed").bars) == 1
    path = re.search(r'<path class="failed" d="M\S+ ([\d.]+)V([\d.]+)', svg.inline(rate, "k"))
    assert path is not None
    assert float(path[1]) - float(path[2]) >= 2


def test_lines_break_where_nothing_was_seen(tmp_path: Path) -> None:
    charts = charts_of(tmp_path, Story(gap=(12.0, 6.0)))
    for name in ("p95", "median"):
        stretches = shape(charts["pay-latency"], Curve, name).stretches
        assert len(stretches) == 2
        assert stretches[0][-1][0] == pytest.approx(12.0, abs=0.6)
        assert stretches[1][0][0] == pytest.approx(18.0, abs=0.6)
    assert len(shape(charts["instances-ready"], Curve, "ready instances").stretches) == 2
    ((start, end),) = charts["pay-latency"].gaps
    assert (round(start), round(end)) == (12, 18)
    assert 'class="gap"' in svg.inline(charts["pay-latency"], "k")


def test_a_run_without_gaps_shows_none(tmp_path: Path) -> None:
    for chart in charts_of(tmp_path).values():
        assert not chart.gaps
        assert all(len(s.stretches) == 1 for s in chart.shapes if isinstance(s, (Curve, Range)))


def test_a_gauge_that_could_not_be_read_leaves_a_gap() -> None:
    readings = Readings.of(
        [Sample(float(t), "instances.ready", None if 3 <= t < 8 else 2.0, True) for t in range(12)]
    )
    frame = Frame(zero=0.0, start=0.0, end=12.0)
    chart = gauge_chart(
        "instances.ready", readings, frame, Judged("instances", None, (), frame), ((2.0, 8.0),)
    )
    assert [len(stretch) for stretch in shape(chart, Curve, "ready instances").stretches] == [3, 4]


def test_a_long_gauge_keeps_its_extremes() -> None:
    values = [2.0 if t == 31_000 else 9.0 if t == 77_777 else 3.0 for t in range(100_000)]
    readings = Readings.of([Sample(float(t), "i.ready", v, True) for t, v in enumerate(values)])
    frame = Frame(zero=0.0, start=0.0, end=100_000.0)
    chart = gauge_chart("i.ready", readings, frame, Judged("i", None, (), frame), ())
    points = flat(shape(chart, Curve, "ready instances").stretches)
    assert len(points) <= MOST + 4
    assert {value for _, value in points} == {2.0, 3.0, 9.0}


def test_the_fault_is_shaded_from_its_start_to_its_undo(tmp_path: Path) -> None:
    for chart in charts_of(tmp_path).values():
        ((name, start, end),) = chart.frame.faults
        assert (name, start, round(end, 3)) == ("instance failure", 0.0, 30.0)
        drawn = svg.inline(chart, "k")
        assert 'class="fault-fill" x="14.2' in drawn
        assert ">fault start<" in drawn


def test_limits_are_lines_over_the_phases_that_they_judge(tmp_path: Path) -> None:
    charts = charts_of(tmp_path, Story("deviated"))
    (p95,) = (level for level in charts["pay-latency"].levels if level.look == "limit")
    assert (p95.value, p95.label, round(p95.start), round(p95.end)) == (
        0.5,
        "p95 latency below 500 ms",
        0,
        60,
    )
    shares = {level.label: level.value for level in charts["pay-failures"].levels if level.look == "limit"}
    assert shares == {"availability above 99.9 %": pytest.approx(0.001), "error rate below 0.5 %": 0.005}
    (ready,) = charts["instances-ready"].levels
    assert (ready.value, round(ready.start)) == (3.0, 30)
    assert ready.label == "ready instances at least 3 within 1 min"


def test_what_the_verdict_judged_is_drawn_beside_the_limit(tmp_path: Path) -> None:
    seen = [
        level
        for level in charts_of(tmp_path, Story("deviated"))["pay-failures"].levels
        if level.look == "seen"
    ]
    assert [(level.label, round(level.value, 4)) for level in seen] == [("availability 95.6333 %", 0.0437)]


def test_a_bucket_never_mixes_before_and_after_the_fault_s_start() -> None:
    readings = Readings.of([Sample(t / 10, "pay", 1.0 if t >= 103 else 0.1, True, "200") for t in range(400)])
    found = buckets(readings, zero=10.3, start=-10.3, end=29.7, seconds=2.0)
    assert all(b.low == b.high for b in found)
    assert sum(b.n for b in found) == 400


@pytest.mark.parametrize(
    ("span", "readings", "seconds"),
    [(500.0, 100_000, 0.5), (60.0, 3000, 0.5), (60.0, 60, 5.0), (36_000.0, 7_200_000, 60.0), (0.5, 3, 0.1)],
)
def test_a_bucket_holds_enough_to_mean_something(span: float, readings: int, seconds: float) -> None:
    assert length(span, readings) == seconds


def test_a_run_of_years_still_has_few_buckets() -> None:
    assert 1e8 / length(1e8, 1000) <= MOST + 1


@pytest.mark.parametrize("variant", ["held", "deviated", "crashed"])
def test_a_chart_file_is_whole_svg_and_refers_to_nothing_outside(tmp_path: Path, variant: str) -> None:
    for chart in charts_of(tmp_path, Story(variant)).values():  # type: ignore[arg-type]
        text = svg.standalone(chart)
        root = ElementTree.fromstring(text)
        assert root.get("role") == "img"
        titles = [element.text for element in root if element.tag in (f"{SVG}title", f"{SVG}desc")]
        assert len(titles) == 2 and all(titles)
        assert not re.search(r"(href|src)=|@import|<script|url\((?!#)", text)


def test_a_chart_keeps_all_its_shapes_inside_itself(tmp_path: Path) -> None:
    for chart in charts_of(tmp_path, Story("deviated", spike=9.0)).values():
        for path in re.findall(r' d="([^"]+)"', svg.inline(chart, "k")):
            numbers = [float(n) for n in re.findall(r"-?[\d.]+", path)]
            assert min(numbers) >= 0
            assert max(numbers) <= 1000


def test_labels_of_close_levels_do_not_touch() -> None:
    frame = Frame(zero=0.0, start=0.0, end=60.0)
    values = (0.001, 0.005, 0.044, 0.05, 0.19)
    levels = tuple(Level(f"level {v}", "limit", v, 0.0, 60.0) for v in values)
    chart = Chart("c", "Failed", "", "share", frame, bottom=0.0, top=0.2, height=130, levels=levels)
    heights = [float(y) for y in re.findall(r'<text class="limit"[^>]* y="([\d.]+)"', svg.inline(chart, "k"))]
    assert len(heights) == len(values)
    assert min(abs(a - b) for a in heights for b in heights if a != b) >= 13


def test_names_from_a_run_are_escaped_in_a_drawing() -> None:
    frame = Frame(0.0, 0.0, 10.0, phases=(("<b>", 0.0, 10.0),), faults=(('"><script>', 1.0, 2.0),))
    level = Level("<i>&</i>", "limit", 0.5, 0.0, 10.0)
    chart = Chart("c", "<script>alert(1)</script>", "a & b", "share", frame, 0.0, 1.0, levels=(level,))
    for text in (svg.standalone(chart), f"<x>{svg.inline(chart, 'k')}</x>"):
        ElementTree.fromstring(text)
        assert "<script" not in text
        assert "<i>" not in text


@pytest.mark.parametrize(
    ("seconds", "words", "clock"),
    [
        (0.0, "0", "T+00:00.000"),
        (10.0, "+10 s", "T+00:10.000"),
        (-60.0, "−1 min", "T−01:00.000"),
        (3725.12, "+1 h 2 min", "T+1:02:05.120"),
        (-0.0001, "−100 µs", "T+00:00.000"),
    ],
)
def test_offsets_read_the_way_people_say_them(seconds: float, words: str, clock: str) -> None:
    assert elapsed_text(seconds) == clock
    if abs(seconds) >= 1 or not seconds:
        assert offset_text(seconds) == words


def _contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two opaque colours (WCAG 2.2, relative luminance)."""

    def luminance(colour: str) -> float:
        parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colours", [svg.LIGHT, svg.DARK])
def test_every_text_of_a_chart_can_be_read(colours: dict[str, str]) -> None:
    for name in ("ink", "muted", "fault", "limit", "stop", "seen"):
        assert _contrast(colours[name], colours["surface"]) >= 4.5, name
    for name in ("high", "middle", "failed"):
        assert _contrast(colours[name], colours["surface"]) >= 3.0, name
