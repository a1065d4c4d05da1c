"""From a chart's shapes to SVG: static, themed by CSS variables, readable at any width.

Plain string building, so that HTML and Markdown share one drawing and Markdown needs no template engine.
Only what is inside the inner, stretched SVG scales with the page; text, bands and labels stand outside it at
percentages and keep their size, which is why a label is as readable on a phone as on a wide screen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from chaosdrill.clock import iso
from chaosdrill.report.charts.shapes import Bars, Chart, Level, Range, offset_text

#: Units across the inner drawing; its units down are pixels.
_WIDE = 1000
_ABOVE, _BELOW = 20, 38
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
#: A failure of one in thousands is less than a pixel high; it is drawn at least this high.
_LEAST_BAR = 2.5
#: Pixels between the base lines of two labels.
_LABEL = 14
#: Share of the width below which a label has no room on a phone, or anywhere.
_SPARSE, _NO_ROOM = 16.0, 6.0

#: Colours by name, light and dark; every text colour has a contrast of at least 4.5:1 on `surface`.
LIGHT = {
    "surface": "#ffffff", "ink": "#1b2430", "muted": "#566172", "rule": "#dfe4ea", "fault": "#b4540a",
    "fault-fill": "#f59e0b24", "limit": "#b3261e", "stop": "#6d28a8", "seen": "#1b2430",
    "range": "#7aa5dd4d", "range-edge": "#7aa5ddb3", "high": "#2563a8", "middle": "#0f7c86", "ok": "#b9cbe3",
    "failed": "#c62828",
    "gap": "#8a94a3",
}  # fmt: skip
DARK = {
    "surface": "#161b22", "ink": "#e6eaf0", "muted": "#9fabba", "rule": "#2c3541", "fault": "#f5b455",
    "fault-fill": "#f59e0b2b", "limit": "#ff8a80", "stop": "#cfa3ff", "seen": "#e6eaf0",
    "range": "#5b8fd64d", "range-edge": "#5b8fd699", "high": "#79b0f2", "middle": "#52cbd4", "ok": "#3d587c",
    "failed": "#ff6b62",
    "gap": "#7d8898",
}  # fmt: skip

CSS = """
.chart{display:block;width:100%;overflow:visible;font-size:12px}
.chart text{fill:var(--muted);paint-order:stroke;stroke:var(--surface);stroke-width:4px;stroke-linejoin:round}
.chart .strong{fill:var(--ink)}
.chart .stretch *{vector-effect:non-scaling-stroke}
.chart .grid{stroke:var(--rule);stroke-width:1}
.chart .edge{stroke:var(--muted);stroke-width:1;stroke-dasharray:2 3}
.chart .fault-fill{fill:var(--fault-fill)}
.chart .fault-edge{stroke:var(--fault);stroke-width:1.5}
.chart .fault{fill:var(--fault);font-weight:600}
.chart .range{fill:var(--range);stroke:var(--range-edge);stroke-width:1}
.chart .mark{fill:var(--surface);stroke:var(--ink);stroke-width:1.75}
.chart .curve{fill:none;stroke-width:2;stroke-linejoin:round}
.chart .high,.chart .gauge{stroke:var(--high)}
.chart .middle{stroke:var(--middle);stroke-dasharray:5 2}
.chart .ok{fill:var(--ok)}
.chart .failed{fill:var(--failed)}
.chart .level{fill:none;stroke-width:1.5}
.chart .level.limit{stroke:var(--limit);stroke-dasharray:7 4}
.chart .level.stop{stroke:var(--stop);stroke-dasharray:2 4}
.chart .level.seen{stroke:var(--seen);stroke-width:2}
.chart text.limit{fill:var(--limit)}
.chart text.stop{fill:var(--stop)}
.chart text.seen{fill:var(--ink)}
.chart .gap{fill:url(#hatch)}
.hatch{stroke:var(--gap);stroke-width:1.5}
"""

_HATCH = (
    '<pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<line class="hatch" x1="0" y1="0" x2="0" y2="7"/></pattern>'
)


def variables(colours: dict[str, str]) -> str:
    """Return colours as CSS declarations."""
    return ";".join(f"--{name}:{value}" for name, value in colours.items())


def inline(chart: Chart, key: str) -> str:
    """Return the chart as an element for a page; `key` makes its ids unique there."""
    height = _ABOVE + chart.height + _BELOW
    return (
        f'<svg class="chart" role="img" aria-labelledby="{key}-t" aria-describedby="{key}-d" '
        f'height="{height}">'
        f"{_named(chart, key)}{_drawing(chart)}</svg>"
    )


def defs() -> str:
    """Return what the charts of a page share; it must stand on the page once."""
    return (
        '<svg width="0" height="0" aria-hidden="true" focusable="false" style="position:absolute">'
        f"<defs>{_HATCH}</defs></svg>"
    )


def standalone(chart: Chart, width: int = 960) -> str:
    """Return the chart as a file of its own: title and legend inside, on a light ground of its own."""
    left, title = 24, escape(chart.title)
    legend, above = _legend(chart, left, width)
    height = _ABOVE + chart.height + _BELOW
    whole = above + height + 8
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{whole}" '
        f'viewBox="0 0 {width} {whole}" role="img" aria-labelledby="t" aria-describedby="d" class="chart">'
        f"<style>svg{{{variables(LIGHT)};font-family:system-ui,sans-serif}}{CSS}</style>"
        f"<defs>{_HATCH}</defs>{_named(chart, '')}"
        f'<rect width="100%" height="100%" rx="6" fill="{LIGHT["surface"]}" stroke="{LIGHT["rule"]}"/>'
        f'<text class="strong" x="{left}" y="30" font-size="15" font-weight="600">{title}</text>{legend}'
        f'<svg x="{left}" y="{above}" width="{width - 2 * left}" height="{height}" overflow="visible">'
        f"{_drawing(chart)}</svg></svg>\n"
    )


def _legend(chart: Chart, left: int, width: int) -> tuple[str, int]:
    """Return the legend of a file, in as many rows as it takes, and where the drawing begins below it."""
    parts, x, y = [], left, 54
    for name, look in key_of(chart):
        # Without a renderer at hand, a letter counts as 7 pixels, which is wide for 12-pixel type.
        long = 28 + 7 * len(name)
        if x > left and x + long > width - left:
            x, y = left, y + 20
        parts.append(
            f'<svg x="{x}" y="{y - 10}" width="22" height="12">{swatch(look)}</svg>'
            f'<text x="{x + 28}" y="{y}">{escape(name)}</text>'
        )
        x += long + 18
    return "".join(parts), y + 14


def key_of(chart: Chart) -> list[tuple[str, str]]:
    """Return what the legend names: (words, look) of everything that the chart holds."""
    found: list[tuple[str, str]] = []
    for shape in chart.shapes:
        look = "range" if isinstance(shape, Range) else shape.look
        # A gauge's only line is named by the chart's title.
        found += [] if look == "gauge" else [(shape.name, look)]
    looks = {"limit": "limit of a criterion", "stop": "stop condition", "seen": "as judged"}
    found += [(words, look) for look, words in looks.items() if any(lv.look == look for lv in chart.levels)]
    found += [(mark.label, "mark") for mark in chart.marks if mark.quiet]
    kinds = list(dict.fromkeys(name for name, _, _ in chart.frame.faults))
    if kinds:
        found.append((f"{', '.join(kinds)} active" if len(kinds) < 3 else "faults active", "fault-fill"))
    return found + ([("no samples", "gap")] if chart.gaps else [])


def swatch(look: str) -> str:
    """Return a small sample of `look`, for a legend of 22 by 12 pixels."""
    if look in ("middle", "high", "gauge"):
        return f'<line class="curve {look}" x1="0" y1="6" x2="22" y2="6"/>'
    if look in ("limit", "stop", "seen"):
        return f'<line class="level {look}" x1="0" y1="6" x2="22" y2="6"/>'
    if look == "mark":
        return '<circle class="mark" cx="11" cy="6" r="3.5"/>'
    return f'<rect class="{look}" x="1" y="0" width="20" height="12"/>'


def _named(chart: Chart, key: str) -> str:
    prefix = f"{key}-" if key else ""
    title, about = escape(chart.title), escape(chart.about + _limits_in_words(chart))
    return f'<title id="{prefix}t">{title}</title><desc id="{prefix}d">{about}</desc>'


def _limits_in_words(chart: Chart) -> str:
    words = [level.label for level in chart.levels if level.look == "limit"]
    return f" Limit: {'; '.join(words)}." if words else ""


def _drawing(chart: Chart) -> str:
    scale = _Scale(chart)
    parts = [*_bands(chart, scale), *_grid(chart, scale)]
    inside = "".join([*_inside(chart, scale), *_levels(chart, scale)])
    parts.append(
        f'<svg class="stretch" y="{_ABOVE}" width="100%" height="{chart.height}" '
        f'viewBox="0 0 {_WIDE} {chart.height}" preserveAspectRatio="none" overflow="visible">{inside}</svg>'
    )
    for labels in (_axis_labels, _phase_labels, _level_labels, _marks):
        parts += labels(chart, scale)
    return "".join(parts)


class _Scale:
    """Where a moment and a value lie: percent across, pixels down."""

    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._span = max(chart.frame.end - chart.frame.start, 1e-9)

    def across(self, offset: float) -> float:
        share = (offset - self._chart.frame.start) / self._span
        return 100 * min(1.0, max(0.0, share))

    def x(self, offset: float) -> str:
        return f"{self.across(offset) * _WIDE / 100:.1f}".removesuffix(".0")

    def down(self, value: float) -> float:
        chart = self._chart
        if chart.log:
            value = max(value, chart.bottom)
            share = math.log(value / chart.bottom) / math.log(chart.top / chart.bottom)
        else:
            share = (value - chart.bottom) / (chart.top - chart.bottom)
        return chart.height * (1 - min(1.0, max(0.0, share)))

    def y(self, value: float) -> str:
        return f"{self.down(value):.1f}".removesuffix(".0")


def _bands(chart: Chart, scale: _Scale) -> Iterator[str]:
    for start, end in chart.gaps:
        yield _band("gap", scale.across(start), scale.across(end), chart.height)
    for _, start, end in chart.frame.faults:
        left, right = scale.across(start), scale.across(end)
        yield _band("fault-fill", left, right, chart.height)
        for x in (left, right):
            yield _upright("fault-edge", x, chart.height)


def _band(look: str, left: float, right: float, height: int) -> str:
    wide = max(right - left, 0.15)
    return f'<rect class="{look}" x="{left:.2f}%" y="{_ABOVE}" width="{wide:.2f}%" height="{height}"/>'


def _upright(look: str, x: float, height: int) -> str:
    return f'<line class="{look}" x1="{x:.2f}%" y1="{_ABOVE}" x2="{x:.2f}%" y2="{_ABOVE + height}"/>'


def _grid(chart: Chart, scale: _Scale) -> Iterator[str]:
    for value in _y_ticks(chart):
        y = _ABOVE + scale.down(value)
        yield f'<line class="grid" x1="0" y1="{y:.1f}" x2="100%" y2="{y:.1f}"/>'


def _inside(chart: Chart, scale: _Scale) -> Iterator[str]:
    x, y = scale.x, scale.y
    for shape in chart.shapes:
        if isinstance(shape, Range):
            path = "".join(
                "M" + "L".join(f"{x(t)} {y(high)}" for t, _, high in part)
                + "L" + "L".join(f"{x(t)} {y(low)}" for t, low, _ in reversed(part)) + "Z"
                for part in shape.stretches
            )  # fmt: skip
            yield f'<path class="range" d="{path}"/>' if path else ""
        elif isinstance(shape, Bars):
            path = "".join(_bar(scale, bar, chart.height, shape.look) for bar in shape.bars)
            yield f'<path class="{shape.look}" d="{path}"/>' if path else ""
        else:
            path = "".join(_line(scale, part, stepped=shape.look == "gauge") for part in shape.stretches)
            yield f'<path class="curve {shape.look}" d="{path}"/>' if path else ""


def _bar(scale: _Scale, bar: tuple[float, float, float, float], height: int, look: str) -> str:
    start, end, low, high = bar
    bottom, top = scale.down(low), scale.down(high)
    if look == "failed":
        top = min(top, bottom - _LEAST_BAR)
    return f"M{scale.x(start)} {bottom:.1f}V{max(top, 0):.1f}H{scale.x(end)}V{min(bottom, height):.1f}Z"


def _line(scale: _Scale, points: tuple[tuple[float, float], ...], *, stepped: bool) -> str:
    if not stepped:
        return "M" + "L".join(f"{scale.x(t)} {scale.y(value)}" for t, value in points)
    (first, value), rest = points[0], points[1:]
    path = f"M{scale.x(first)} {scale.y(value)}"
    return path + "".join(f"H{scale.x(t)}V{scale.y(v)}" for t, v in rest)


def _levels(chart: Chart, scale: _Scale) -> Iterator[str]:
    for level in chart.levels:
        y = scale.y(level.value)
        yield f'<path class="level {level.look}" d="M{scale.x(level.start)} {y}H{scale.x(level.end)}"/>'


def _axis_labels(chart: Chart, scale: _Scale) -> Iterator[str]:
    for value in _y_ticks(chart):
        down = scale.down(value)
        # Above its line, but never up among the names of the phases.
        y = _ABOVE + (down - 4 if down >= _LABEL else down + _LABEL - 1)
        yield f'<text x="0" y="{y:.1f}">{escape(chart.show(value))}</text>'
    base = _ABOVE + chart.height
    for number, offset in _x_ticks(chart):
        x = scale.across(offset)
        anchor = "start" if x < 3 else "end" if x > 97 else "middle"
        sparse = ' class="tick sparse"' if number % 2 else ""
        name = offset_text(offset) if offset else chart.frame.zero_name
        clock = iso(chart.frame.zero + offset)[11:19]
        yield f'<line class="grid" x1="{x:.2f}%" y1="{base}" x2="{x:.2f}%" y2="{base + 5}"/>'
        yield (
            f'<g{sparse} text-anchor="{anchor}"><text class="strong" x="{x:.2f}%" y="{base + 18}">'
            f'{escape(name)}</text><text x="{x:.2f}%" y="{base + 33}">{clock}</text></g>'
        )


def _phase_labels(chart: Chart, scale: _Scale) -> Iterator[str]:
    for name, start, end in chart.frame.phases:
        left, right = scale.across(start), scale.across(end)
        if right - left < _NO_ROOM:
            continue
        look = "fault" if name == "fault" else "phase"
        sparse = " sparse" if right - left < _SPARSE else ""
        yield (
            f'<text class="{look}{sparse}" x="{(left + right) / 2:.2f}%" y="{_ABOVE - 7}" '
            f'text-anchor="middle">{escape(name)}</text>'
        )
    for start, end in chart.gaps:
        left, right = scale.across(start), scale.across(end)
        if right - left >= _SPARSE:
            y = _ABOVE + chart.height / 2
            yield f'<text x="{(left + right) / 2:.2f}%" y="{y:.1f}" text-anchor="middle">no samples</text>'


def _level_labels(chart: Chart, scale: _Scale) -> Iterator[str]:
    """Label each level at its right end, above its line; where lines are close, above the highest of them."""
    for group in _groups(chart.levels, scale):
        top = min(scale.down(level.value) for level in group)
        for number, level in enumerate(group):
            x, y = scale.across(level.end), _ABOVE + max(top - 4 - number * _LABEL, _LABEL - 4)
            yield (
                f'<text class="{level.look}" x="{x:.2f}%" y="{y:.1f}" text-anchor="end">'
                f"{escape(level.label)}</text>"
            )


def _groups(levels: tuple[Level, ...], scale: _Scale) -> list[list[Level]]:
    """Return the levels from the lowest up, those together whose labels would touch the next one's line."""
    groups: list[list[Level]] = []
    for level in sorted(levels, key=lambda lv: lv.value):
        down = scale.down(level.value)
        if groups:
            top = min(scale.down(other.value) for other in groups[-1])
            if down > top - 4 - _LABEL * len(groups[-1]):
                groups[-1].append(level)
                continue
        groups.append([level])
    return groups


def _marks(chart: Chart, scale: _Scale) -> Iterator[str]:
    for mark in chart.marks:
        x, y = scale.across(mark.offset), _ABOVE + scale.down(mark.value)
        anchor, dx = ("end", -9) if x > 60 else ("start", 9)
        yield f'<circle class="mark" cx="{x:.2f}%" cy="{y:.1f}" r="3.5"/>'
        if mark.quiet:
            continue
        yield (
            f'<text class="strong" x="{x:.2f}%" dx="{dx}" y="{y + 4:.1f}" text-anchor="{anchor}">'
            f"{escape(mark.label)}</text>"
        )


def _y_ticks(chart: Chart) -> list[float]:
    if chart.unit == "breaker":
        return [0.0, 1.0, 2.0]
    if chart.log:
        first, last = math.ceil(math.log10(chart.bottom) - 1e-9), math.floor(math.log10(chart.top) + 1e-9)
        return [10.0**power for power in range(first, last + 1)]
    span = chart.top - chart.bottom
    wanted = span / max(chart.height / 40, 1)
    power = 10.0 ** math.floor(math.log10(wanted))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= wanted * 0.999)
    if chart.unit == "count":
        step = max(1.0, step)
    return [round(n * step, 9) for n in range(int(chart.top / step) + 1)]


def _x_ticks(chart: Chart) -> list[tuple[int, float]]:
    """Return (number, offset) of the ticks: whole multiples of a round step; odd ones go first on a phone."""
    frame = chart.frame
    span = frame.end - frame.start
    step = next((s for s in _TICKS if span / s <= 9), span / 8)
    first = math.ceil(frame.start / step - 1e-9)
    return [(n, n * step) for n in range(first, math.floor(frame.end / step + 1e-9) + 1)]
