"""Texts in columns: labels beside paragraphs, and tables, within the width of the place they are shown in."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from chaosdrill.cli.screen.stream import Stream, stdout

LABEL = 12


def beside(label: str, text: str, out: Stream, width: int = LABEL) -> str:
    """Return `text` wrapped beside a label of `width` columns; names and paths are never broken."""
    return textwrap.fill(
        text,
        out.columns,
        initial_indent=f"{label:<{width}}",
        subsequent_indent=" " * width,
        break_long_words=False,
        break_on_hyphens=False,
    )


def listed(label: str, texts: Iterable[str], out: Stream, width: int = LABEL) -> list[str]:
    """Return each text on lines of its own, the first beside the label; none for no texts."""
    return [beside(label if n == 0 else "", text, out, width) for n, text in enumerate(texts)]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return lines of aligned columns, as wide as they need to be; the last column is never padded."""
    everything = [list(head), *map(list, rows)]
    widths = [max(len(row[n]) for row in everything) for n in range(len(head))]
    return [
        "  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in everything
    ]


def shown(path: Path) -> str:
    """Return a path as somebody in this folder would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def print_json(facts: Any) -> None:
    """Write one JSON document to standard output."""
    stdout().line(json.dumps(facts, indent=2, ensure_ascii=False, default=str))
