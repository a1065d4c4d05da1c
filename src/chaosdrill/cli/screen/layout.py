"""Texts in columns: labels beside paragraphs, and tables, within the width of the place they are shown in."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from chaosdrill.cli.screen.stream import Stream, stdout

LABEL = 12


#: '34 %' and '10 s' stay on one line.
_UNITS = re.compile(r"(?<=\d) (?=(?:%|ms|s|min|h|d|points)(?!\w))")


def fill(text: str, width: int, head: str = "") -> str:
    """Return `text` wrapped to `width` columns behind `head`; numbers keep their units, names stay whole."""
    wrapped = textwrap.fill(
        _UNITS.sub("\N{NO-BREAK SPACE}", text),
        width,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return wrapped.replace("\N{NO-BREAK SPACE}", " ") or head.rstrip()


def beside(label: str, text: str, out: Stream, width: int = LABEL) -> str:
    """Return `text` wrapped beside a label of `width` columns."""
    return fill(text, out.columns, f"{label:<{width}}")


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


def print_json(facts: Any, out: Stream | None = None) -> None:
    """Write one JSON document to `out`, by default standard output, which then must take it."""
    (out or stdout()).line(json.dumps(facts, indent=2, ensure_ascii=False, default=str))
