"""The verdict in words, for people: one sentence per criterion, and lines for a terminal.

Computes nothing; whatever stands here was decided elsewhere.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, cast

from chaosdrill.model.run import CriterionResult, Line, Verdict
from chaosdrill.model.signal import REQUEST_SERIES, Unit, format_value
from chaosdrill.units import format_duration

if TYPE_CHECKING:
    from chaosdrill.model.experiment import Criterion

_COLUMNS = 80


def criterion(found: CriterionResult, at: str | None, reason: str) -> str:
    """Return the sentence of one criterion: what was asked, how it came out, and the numbers behind it."""
    parts = [reason] if reason else []
    if found.worst is not None:
        parts.append(_worst(found, at))
    if found.state == "deviated" and found.windows > 1:
        parts.append(f"in {found.windows_bad:,} of {found.windows:,} windows")
    samples = f"{found.samples:,} sample{'' if found.samples == 1 else 's'}"
    return f"{found.sentence}: {found.state}; {', '.join([*parts, samples])}"


def unknown(asked: Criterion) -> CriterionResult:
    """Return the result for a criterion on a signal that this version does not know."""
    words = " ".join(
        [asked.signal, asked.comparison.replace("_", " "), str(getattr(asked, asked.comparison))]
    )
    return CriterionResult(
        sentence=words,
        signal=asked.signal,
        unit="",
        state="inconclusive",
        threshold=0.0,
        text=f"{words}: inconclusive; {asked.signal} is no signal that this version knows",
    )


def margin(amount: float, unit: str) -> str:
    """Return a distance between two values: '288 ms', '0.07 points' (percentage points), '2'."""
    if unit == "share":
        return f"{round(abs(amount) * 100, 4):g} points"
    return format_duration(abs(amount)) if unit == "seconds" else f"{abs(amount):g}"


def describe(verdict: Verdict) -> list[str]:
    """Return the verdict as plain lines of at most 80 columns: the word first, then the five lines."""
    lines = _wrapped(f"{verdict.word}: ", verdict.why)
    named = (
        ("Execution", verdict.execution),
        ("Hypothesis", verdict.hypothesis),
        ("Response", verdict.response),
        ("Clean-up", verdict.cleanup),
        ("Coverage", verdict.coverage),
    )
    for name, line in named:
        lines += _wrapped(f"  {name:<11}", _spoken(line), indent=13)
    if verdict.criteria:
        lines.append("  Criteria")
    for found in verdict.criteria:
        lines += _wrapped("    - ", found.text, indent=6)
    return lines


def _worst(found: CriterionResult, at: str | None) -> str:
    unit = cast(Unit, found.unit)
    when = f" at {at}" if at else ""
    # One window of requests has one value; "worst" is for the worst of several.
    one = found.windows == 1 and found.signal.rpartition(".")[2] in REQUEST_SERIES
    words = f"{'' if one else 'worst '}{format_value(found.worst or 0.0, unit)}{when}"
    if found.margin is None or found.unit == "breaker":
        return words
    if found.state == "deviated":
        beyond = f"{margin(found.margin, unit)} beyond" if found.margin else "exactly at"
        return f"{words} ({beyond} the limit)"
    side = "margin" if found.margin >= 0 else "beyond the limit by"
    return f"{words} ({side} {margin(found.margin, unit)})"


def _spoken(line: Line) -> str:
    return f"{line.state}: {line.text}" if line.text else line.state


def _wrapped(head: str, text: str, indent: int = 2) -> list[str]:
    return textwrap.wrap(
        head + text,
        _COLUMNS,
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
        drop_whitespace=True,
    ) or [head.rstrip()]
