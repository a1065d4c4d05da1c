"""What a report is made of, before it is HTML or Markdown: a verdict box, sections, tables, charts, moments.

Plain frozen values that hold text as it is, escaped nowhere: each format escapes in its own way. They know
neither a run folder nor a format.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chaosdrill.report.charts.shapes import Chart

#: What a state means to the reader. It is always shown as a word and a sign; a colour only repeats it.
Tone = Literal["good", "bad", "warn", "plain"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One value in words; `tone` makes it a state with a sign, `code` sets it as typed."""

    text: str
    tone: Tone | None = None
    code: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading; numbers stand right."""

    title: str
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns; the first cell names its row. `cards`: on a phone each row becomes a card."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    cards: bool = False


@dataclass(frozen=True, slots=True)
class Pairs:
    """Facts by name."""

    pairs: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True, slots=True)
class Notes:
    """Sentences, one point each."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """What one source showed: charts on one time axis, its key numbers, and the charts as a table."""

    title: str
    lead: str
    charts: tuple[Chart, ...]
    numbers: Table
    table: Table


@dataclass(frozen=True, slots=True)
class Moment:
    """One event: `offset` in seconds from the report's zero, `utc` as ISO 8601, where it is written down."""

    offset: float
    utc: str
    text: str
    source: str
    tone: Tone | None = None
    key: bool = True


@dataclass(frozen=True, slots=True)
class Timeline:
    """Every event in order; `key` ones are enough for a first reading when there are many."""

    moments: tuple[Moment, ...]

    @property
    def key(self) -> tuple[Moment, ...]:
        """The events that a first reading needs."""
        return tuple(moment for moment in self.moments if moment.key)


Block = Table | Pairs | Notes | Figure | Timeline


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, a sentence under it, and what follows."""

    id: str
    title: str
    lead: str = ""
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class VerdictLine:
    """One of the five: its name, its state in a word, and the sentence behind it."""

    name: str
    state: str
    text: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class VerdictBox:
    """What a reader sees first: the word, what it was seen for, why, and the five lines."""

    word: str
    sentence: str
    why: str
    tone: Tone
    exit_code: int | None
    lines: tuple[VerdictLine, ...]
