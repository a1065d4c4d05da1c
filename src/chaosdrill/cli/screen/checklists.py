"""How the checklist is shown: each item, how it was decided, on which evidence, and what to do.

The state stands there as a word; mark and colour only help the eye.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from chaosdrill.cli.screen.layout import fill
from chaosdrill.cli.screen.stream import Stream
from chaosdrill.cli.screen.words import clean, count
from chaosdrill.model.checklist import Finding
from chaosdrill.preflight.gate import Decision

_MARKS = {
    "proved": ("✓", "+", "green"),
    "attested": ("✓", "+", "green"),
    "not needed": ("–", "-", ""),
    "pending": ("…", ".", "yellow"),
    "overridden": ("!", "!", "yellow"),
    "failed": ("✗", "x", "red"),
}


#: What needs no explanation where there is little room: a machine has looked, or the policy says so.
_SETTLED = ("proved", "not needed")


def checklist(findings: Sequence[Finding], out: Stream, *, brief: bool = False) -> Iterator[str]:
    """Yield the lines of the checklist: an item and its state, then why, and what to do about it.

    `brief` leaves out why an item was proved or is not needed; the report has it.
    """
    for number, finding in enumerate(findings, 1):
        mark, plain, colour = _MARKS[finding.state]
        word = finding.state.upper() if finding.state in ("failed", "overridden") else finding.state
        style: dict[str, Any] = {"fg": colour} if colour else {}
        painted = out.paint(
            f"{mark if out.unicode else plain} {word}", bold=finding.state == "failed", **style
        )
        by = f" by {clean(finding.by)}" if finding.by else ""
        at = f", {clean(finding.at)}" if finding.at else ""
        yield f"{number:>2}  {out.paint(finding.title, bold=True)}: {painted}{by}{at}"
        if brief and finding.state in _SETTLED:
            continue
        yield fill(clean(finding.said), out.columns, "    ")
        if finding.next_step:
            yield fill(clean(finding.next_step), out.columns, "    to do: ")


def summary(decision: Decision, out: Stream) -> Iterator[str]:
    """Yield what it comes to: cleared, or what stands in the way."""
    findings = decision.findings
    failed = [finding for finding in findings if finding.state == "failed"]
    later = [finding for finding in findings if finding.state == "pending"]
    if failed:
        head = out.paint("NOT CLEARED", fg="red", bold=True)
        names = "; ".join(finding.title for finding in failed)
        rest = fill(f"{count(len(failed), 'item')} of {len(findings)} failed: {names}", out.columns, " " * 13)
        yield head + rest[len("NOT CLEARED") :]
    else:
        head = out.paint("CLEARED", fg="green", bold=True)
        rest = f"{head}      {len(findings) - len(later)} of {len(findings)} items"
        yield rest + (f", {count(len(later), 'item')} at the start" if later else "")
    for finding in findings:
        if finding.state == "overridden":
            yield fill(f"{finding.title}: {clean(finding.said)}", out.columns, "overridden   ")

    if decision.blocked:
        yield fill(clean(decision.blocked), out.columns, "REFUSED      ")


def would_start(decision: Decision) -> bool:
    """Return whether a run would not be refused now, as far as can be told before people are asked."""
    return not decision.blocked and not any(finding.state == "failed" for finding in decision.findings)
