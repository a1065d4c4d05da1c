"""How a run came out: the word first, then five lines, the criteria, where it is written, what to do next."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from chaosdrill.cli.screen.layout import beside, listed, print_json, shown
from chaosdrill.cli.screen.stream import Stream, stderr, stdout
from chaosdrill.cli.screen.words import clean, count, short_name
from chaosdrill.errors import Exit, NotCleared, Refused
from chaosdrill.model.checklist import ITEMS, Finding
from chaosdrill.model.signal import Unit, format_value
from chaosdrill.pipeline import Outcome
from chaosdrill.record import answers
from chaosdrill.record.folder import RunFolder
from chaosdrill.verdict.wording import margin as distance

if TYPE_CHECKING:
    # Typed only: a plain Chaos Toolkit file never waits for pydantic before it is played.
    from chaosdrill.model.run import CriterionResult, Verdict


#: The five lines, as the verdict names them and as people read them.
LINES = (
    ("execution", "execution"),
    ("hypothesis", "hypothesis"),
    ("response", "response"),
    ("cleanup", "clean-up"),
    ("coverage", "coverage"),
)
#: As wide as 'report' and no wider: the path of a report then just fits into 80 columns.
PATHS = 8
_COLOURS: dict[int, str] = {Exit.HELD: "green", Exit.RESIDUE: "red", Exit.DEVIATED: "red", Exit.CRASH: "red"}
_REPORTS = ("report.html", "report.md", "report.json", "junit.xml")
_MARKS = {"held": ("✓", "+"), "deviated": ("✗", "x"), "inconclusive": ("?", "?")}


def show_outcome(outcome: Outcome, as_json: bool) -> None:
    """Print how a run came out; unless it held, one line on standard error says why."""
    verdict, out = outcome.verdict, stdout(forgiving=True)
    if as_json:
        print_json(outcome_facts(outcome), out)
    else:
        facts = outcome.folder.facts()
        for line in box(verdict, str(facts.get("title", "")), out):
            out.line(line)
        for line in criteria(verdict, out):
            out.line(line)
        out.line()
        out.line(beside("run", shown(outcome.folder.path), out, PATHS))
        for line in _reports(outcome.reports, out):
            out.line(line)
        for warning in outcome.warnings:
            out.line(beside("warning", clean(warning), out, PATHS))
        steps = [*next_steps(verdict, outcome.folder.id, facts), *_unanswered(outcome.folder)]
        for line in listed("next", steps, out, PATHS):
            out.line(line)
    if verdict.exit_code != Exit.HELD:
        stderr().line(f"chaosdrill: {verdict.word.upper()}: {clean(verdict.why)}")


def show_refusal(folder: RunFolder, refusal: Refused, *, as_json: bool) -> None:
    """Print every reason on a line of its own, then where the record is; one line goes to standard error."""
    out = stdout(forgiving=True)
    reasons = refusal.reasons if isinstance(refusal, NotCleared) else (str(refusal),)
    if as_json:
        facts = folder.facts()
        print_json(
            {
                "run": folder.id,
                "folder": str(folder.path),
                "word": "REFUSED",
                "exit_code": int(refusal.exit_code),
                "why": (facts.get("verdict") or {}).get("why") or str(refusal),
                "reasons": list(reasons),
                "verdict": facts.get("verdict"),
                "reports": [str(folder.file(name)) for name in _REPORTS if folder.file(name).exists()],
                "warnings": [],
            },
            out,
        )
    else:
        out.line(out.paint("REFUSED: nothing was injected", fg="yellow", bold=True))
        for reason in reasons:
            out.line(beside("-", clean(reason), out, 2))
        out.line()
        out.line(beside("run", shown(folder.path), out, PATHS))
        for line in _reports([folder.file(name) for name in _REPORTS if folder.file(name).exists()], out):
            out.line(line)
    stderr().line(f"chaosdrill: {clean(refusal)}")


def outcome_facts(outcome: Outcome) -> dict[str, Any]:
    """Return what `run --json` prints."""
    return {
        **verdict_facts(outcome.folder, outcome.verdict),
        "reports": [str(path) for path in outcome.reports],
        "warnings": list(outcome.warnings),
        "open": [finding.item for finding in answers.open_items(outcome.folder)],
    }


def verdict_facts(folder: RunFolder, verdict: Verdict) -> dict[str, Any]:
    """Return a run with its verdict as JSON: {run, folder, word, exit_code, why, verdict}."""
    return {
        "run": folder.id,
        "folder": str(folder.path),
        "word": verdict.word,
        "exit_code": verdict.exit_code,
        "why": verdict.why,
        "verdict": verdict.as_json(),
    }


def box(verdict: Verdict, title: str, out: Stream) -> Iterator[str]:
    """Yield the verdict: its word, why, and five independent lines."""
    rule = "─" if out.unicode else "-"
    word = verdict.word.upper()
    colour = _COLOURS.get(verdict.exit_code, "yellow")
    ends = (out.paint(rule * 2, fg=colour), out.paint(rule * (out.columns - 4 - len(word)), fg=colour))
    yield f"{ends[0]} {out.paint(word, fg=colour, bold=True)} {ends[1]}"
    if title:
        yield out.paint(beside("", clean(title), out, 0), bold=True)
    said = verdict.exit_code != Exit.HELD
    if said:
        # Of a verdict that held, the line of the hypothesis says the same.
        yield beside("", clean(verdict.why), out, 0)
    yield ""
    lines = [(label, getattr(verdict, name)) for name, label in LINES]
    state = max(len(line.state) for _, line in lines) + 2
    for label, line in lines:
        text = "see above" if said and line.text == verdict.why else clean(line.text)
        yield beside(f"{label:<12}{line.state:<{state}}", text, out, 12 + state)
    yield out.paint(rule * out.columns, fg=colour)


def criteria(verdict: Verdict, out: Stream) -> Iterator[str]:
    """Yield each criterion with what was measured, then each probe that was not met."""
    rows = [_row(result, out) for result in verdict.criteria]
    widths = [max(map(len, column)) for column in zip(_HEAD, *rows, strict=True)]
    narrow = sum(widths) + 2 * len(widths) > out.columns
    if rows and not narrow:
        yield out.paint(_aligned(_HEAD, widths), dim=True)
    for result, row in zip(verdict.criteria, rows, strict=True):
        yield beside("", f"{row[0][:2]}{result.sentence}", out, 0) if narrow else _aligned(row, widths)
        if narrow or result.state != "held":
            yield beside("", _measured(result), out, 2)
    for probe in verdict.probes:
        if not probe.met:
            why = probe.error or f"{probe.output} is outside the tolerance {probe.tolerance}"
            words = f"probe {clean(probe.name)}, {probe.moment}: not met: {clean(why)}"
            yield beside(_mark("deviated", out), words, out, 2)


def overrides(findings: Sequence[Finding], out: Stream) -> Iterator[str]:
    """Yield what was overridden, in red, above everything else."""
    for item in findings:
        if item.state == "overridden":
            by = f" ({clean(item.by)})" if item.by else ""
            text = f"OVERRIDDEN: {item.title}: {clean(item.said)}{by}"
            yield out.paint(beside("", text, out, 0), fg="red", bold=True)


def recorded(facts: Mapping[str, Any]) -> list[Finding]:
    """Return how the items before the run were decided, from run.json; none in an older record."""
    told = (facts.get("clearance") or {}).get("findings") or ()
    known = [item for item in told if isinstance(item, dict) and item.get("item") in ITEMS]
    return [
        Finding(i["item"], i["state"], i["said"], i.get("next_step", ""), i.get("by", ""), i.get("at", ""))
        for i in known
    ]


_HEAD = ("  criterion", "worst", "margin", "n")


def _row(result: CriterionResult, out: Stream) -> tuple[str, str, str, str]:
    worst = "-" if result.worst is None else format_value(result.worst, cast(Unit, result.unit))
    # Which phases a criterion is judged over is said in the report; here it would break the line.
    short = re.split(r" of | over | after ", result.sentence)[0]
    margin = "-" if result.margin is None else distance(result.margin, result.unit)
    sign = "-" if result.margin is not None and result.margin < 0 else ""
    return f"{_mark(result.state, out)}{short}", worst, f"{sign}{margin}", f"{result.samples:,}"


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    rest = (f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
    return "  ".join([f"{row[0]:<{widths[0]}}", *rest])


def _mark(state: str, out: Stream) -> str:
    return f"{_MARKS[state][0 if out.unicode else 1]} "


def _measured(result: CriterionResult) -> str:
    """Return the sentence of a criterion without what stands beside it already."""
    return clean(result.text).removeprefix(f"{result.sentence}: ")


def _reports(paths: Sequence[Path], out: Stream) -> Iterator[str]:
    """Yield where the reports are; the charts of one are no reports."""
    reports = [path for path in paths if path.suffix != ".svg"]
    if reports:
        also = f" (and {', '.join(path.name for path in reports[1:])})" if len(reports) > 1 else ""
        yield beside("report", shown(reports[0]) + also, out, PATHS)


def _unanswered(folder: RunFolder) -> Sequence[str]:
    left = len(answers.open_items(folder)) if answers.is_open(folder) else 0
    return (f"{count(left, 'item')} after the run to be answered: chaosdrill runs --open",) if left else ()


def _more(verdict: Verdict) -> str:
    few = any(result.samples < result.needed for result in verdict.criteria)
    return "for longer, or with more requests" if few else "again"


def next_steps(verdict: Verdict, run: str, facts: Mapping[str, Any]) -> Sequence[str]:
    """Return what to type next; the same run again is the same file with the same variables."""
    show = f"what happened, in order: chaosdrill show {short_name(run)}"
    given = (facts.get("options") or {}).get("var") or ()
    variables = "".join(f"--var {shlex.quote(clean(pair))} " for pair in given)
    file = shown(Path((facts.get("source") or {}).get("path", "FILE")))
    again = f"chaosdrill run {variables}{file}"
    if not verdict.criteria and not verdict.probes and verdict.execution.state == "completed":
        return (show, f"say in {file} what should stay true: a steady-state-hypothesis, or criteria")
    steps: dict[int, Sequence[str]] = {
        Exit.RESIDUE: ("what is still on, and how to stop it: chaosdrill status", show),
        Exit.DEVIATED: (show, f"after the fix: {again}"),
        Exit.INCONCLUSIVE: (show, f"{_more(verdict)}: {again}"),
        Exit.ABORTED: (show, f"again: {again}"),
    }
    return steps.get(verdict.exit_code, (show,))
