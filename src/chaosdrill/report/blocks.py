"""What a report is made of, before it is HTML or Markdown: a verdict box, sections, tables, charts, moments.

Plain frozen values that hold text as it is, escaped nowhere: each format escapes in its own way. They know
neither a run folder nor a format.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from chaosdrill.report.charts.shapes import Chart

#: What a state means to the reader. It is always shown as a word and a sign; a colour only repeats it.
Tone = Literal["good", "bad", "warn", "plain"]


class Cell(NamedTuple):
    """One value in words; `tone` makes it a state with a sign, `code` sets it as typed."""

    text: str
    tone: Tone | None = None
    code: bool = False


class Column(NamedTuple):
    """A column's heading; numbers stand right."""

    title: str
    numeric: bool = False


class Table(NamedTuple):
    """Rows under columns; the first cell names its row. `cards`: on a phone each row becomes a card."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    cards: bool = False


class Pairs(NamedTuple):
    """Facts by name."""

    pairs: tuple[tuple[str, Cell], ...]


class Notes(NamedTuple):
    """Sentences, one point each."""

    items: tuple[str, ...]


class Figure(NamedTuple):
    """What one source showed: charts on one time axis, its key numbers, and the charts as a table."""

    title: str
    lead: str
    charts: tuple[Chart, ...]
    numbers: Table
    table: Table


class Moment(NamedTuple):
    """One event: `offset` in seconds from the report's zero, `utc` as ISO 8601, where it is written down."""

    offset: float
    utc: str
    text: str
    source: str
    tone: Tone | None = None
    key: bool = True


class Timeline(NamedTuple):
    """Every event in order; `key` ones are enough for a first reading when there are many."""

    moments: tuple[Moment, ...]

    @property
    def key(self) -> tuple[Moment, ...]:
        """The events that a first reading needs."""
        return tuple(moment for moment in self.moments if moment.key)


Block = Table | Pairs | Notes | Figure | Timeline


class Section(NamedTuple):
    """A heading, a sentence under it, and what follows."""

    id: str
    title: str
    lead: str = ""
    blocks: tuple[Block, ...] = ()


class VerdictLine(NamedTuple):
    """One of the five: its name, its state in a word, and the sentence behind it."""

    name: str
    state: str
    text: str
    tone: Tone


class VerdictBox(NamedTuple):
    """What a reader sees first: the word, what it was seen for, why, and the five lines."""

    word: str
    sentence: str
    why: str
    tone: Tone
    exit_code: int | None
    lines: tuple[VerdictLine, ...]
