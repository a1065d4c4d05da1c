"""The report as GitHub-flavoured Markdown, with its charts as SVG files beside it.

Everything that comes from a run is escaped, so that a title can neither break a table nor become markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from chaosdrill.report.blocks import Block, Cell, Figure, Notes, Pairs, Table, Timeline
from chaosdrill.report.charts.shapes import elapsed_text
from chaosdrill.report.document import Document

_SIGNS = {"good": "✔", "bad": "✘", "warn": "▲", "plain": "–"}
# An underscore inside a word is no emphasis in GitHub's dialect and is left readable.
_MARKUP = re.compile(r"[\\`*\[\]<>|~#]|(?<!\w)_|_(?!\w)|&(?=[\w#])|!(?=\[)|@(?=\w)")
_BREAKS = re.compile(r"[\r\n\t\v\f\x00-\x08\x0e-\x1f\u2028\u2029]+")


def files(document: Document) -> dict[str, str]:
    """Return the report and its charts under the names of their files."""
    found = {"report.md": render(document)}
    for number, chart in enumerate(document.charts, 1):
        from chaosdrill.report.charts.svg import standalone  # a run without signals does not pay for it

        found[f"chart-{number}.svg"] = standalone(chart)
    return found


def render(document: Document) -> str:
    """Return the report as Markdown; it refers to chart-1.svg, chart-2.svg and so on beside it."""
    return "\n".join(_lines(document)).rstrip() + "\n"


def text(value: str) -> str:
    """Return `value` on one line, with everything escaped that Markdown or a table would act on."""
    return _MARKUP.sub(_escaped, _BREAKS.sub(" ", value)).strip()


def _escaped(found: re.Match[str]) -> str:
    sign = found[0]
    # An @ before a word would call a person on GitHub; an entity is shown and calls nobody.
    entities = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "&#64;", "|": "&#124;"}
    return entities.get(sign, f"\\{sign}")


def _lines(document: Document) -> Iterator[str]:
    box = document.box
    yield f"# {text(document.title)}\n"
    yield f"{text(document.subtitle)}\n"
    for alert in document.alerts:
        yield f"> {_SIGNS['bad']} **{text(alert)}**\n"
    code = f" (exit code {box.exit_code})" if box.exit_code is not None else ""
    yield f"## {_SIGNS[box.tone]} {text(box.word)}{code}\n"
    yield f"**{text(box.sentence)}**\n"
    yield f"{text(box.why)}\n"
    yield "| | State | |\n| --- | --- | --- |"
    for line in box.lines:
        yield f"| **{line.name}** | {_SIGNS[line.tone]} {text(line.state)} | {text(line.text)} |"
    yield ""
    numbers = iter(range(1, len(document.charts) + 1))
    for section in document.sections:
        yield f"## {text(section.title)}\n"
        if section.lead:
            yield f"{text(section.lead)}\n"
        for block in section.blocks:
            yield from _block(block, numbers)


def _block(block: Block, numbers: Iterator[int]) -> Iterator[str]:
    if isinstance(block, Table):
        yield from _table(block)
    elif isinstance(block, Pairs):
        yield "| | |\n| --- | --- |"
        for name, value in block.pairs:
            yield f"| {text(name)} | {_cell(value)} |"
        yield ""
    elif isinstance(block, Notes):
        for item in block.items:
            yield f"- {text(item)}"
        yield ""
    elif isinstance(block, Timeline):
        yield from _timeline(block)
    else:
        yield from _figure(block, numbers)


def _figure(figure: Figure, numbers: Iterator[int]) -> Iterator[str]:
    yield f"### {text(figure.title)}\n"
    if figure.lead:
        yield f"{text(figure.lead)}\n"
    for chart in figure.charts:
        yield f"![{text(f'{chart.title}. {chart.about}')}](chart-{next(numbers)}.svg)\n"
    yield from _table(figure.numbers)


def _table(table: Table) -> Iterator[str]:
    yield f"**{text(table.caption)}**\n"
    yield "| " + " | ".join(text(column.title) for column in table.columns) + " |"
    yield "| " + " | ".join("---:" if column.numeric else "---" for column in table.columns) + " |"
    for row in table.rows:
        yield "| " + " | ".join(map(_cell, row)) + " |"
    yield ""


def _timeline(timeline: Timeline) -> Iterator[str]:
    yield "| T+ | UTC | Event | Written in |\n| ---: | --- | --- | --- |"
    for moment in timeline.moments:
        sign = f"{_SIGNS[moment.tone]} " if moment.tone else ""
        when = f"{elapsed_text(moment.offset)} | {text(moment.utc[11:23])}"
        yield f"| {when} | {sign}{text(moment.text)} | {moment.source} |"
    yield ""


def _cell(cell: Cell) -> str:
    if cell.tone:
        return f"{_SIGNS[cell.tone]} {text(cell.text)}"
    return _code(cell.text) if cell.code and cell.text else text(cell.text)


def _code(value: str) -> str:
    """Return a code span; a pipe ends a cell even there, so a value with one is set as plain text."""
    line = _BREAKS.sub(" ", value).strip()
    if "|" in line or "`" in line or not line:
        return text(line)
    return f"`{line}`"
