"""What a dry run shows: whom a run would hit and for how long, what it would watch, when it would stop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaosdrill.cli.screen.checklists import checklist, summary, would_start
from chaosdrill.cli.screen.layout import beside, listed, print_json, shown
from chaosdrill.cli.screen.stream import Stream, stdout
from chaosdrill.cli.screen.words import clean, fault_words
from chaosdrill.pipeline import Plan
from chaosdrill.preflight.gate import Decision
from chaosdrill.units import format_duration, format_share

if TYPE_CHECKING:
    # Typed only: a plain Chaos Toolkit file never waits for pydantic before it is played.
    from chaosdrill.model.experiment import ChaosdrillBlock, SourceSpec
    from chaosdrill.model.run import PlannedFault


def show_plan(plan: Plan, decision: Decision, as_json: bool) -> None:
    """Print what a run of `plan` would do, and whether it would be let; nothing has been injected."""
    if as_json:
        print_json({**_facts(plan), **_decided(decision)})
        return
    out = stdout()
    block = plan.block
    _show_head(plan, out)
    sections = [
        ("hypothesis", [clean(block.hypothesis)] if block and block.hypothesis else []),
        ("expected", [clean(block.expected_outcome)] if block and block.expected_outcome else []),
        ("would hit", [words for fault in plan.planned for words in _fault(fault)]),
        ("watched", [_source(name, spec) for name, spec in block.signals.items()] if block else []),
        ("criteria", [criterion.sentence() for criterion in block.criteria] if block else []),
        ("aborts when", list(_stops(block)) if block else []),
        ("warnings", [clean(warning) for warning in plan.file.warnings]),
    ]
    for label, texts in sections:
        for line in listed(label, texts or ["nothing"] if label == "would hit" else texts, out, 13):
            out.line(line)
    out.line()
    _show_decision(decision, out)
    out.line(beside("", f"nothing was injected; to run it: {_command(plan)}", out, 0))


def show_preflight(plan: Plan, decision: Decision, as_json: bool) -> None:
    """Print the checklist of a run of `plan`, evidence and the very targets; nothing was injected."""
    if as_json:
        print_json({**_facts(plan), **_decided(decision)})
        return
    out = stdout()
    _show_head(plan, out)
    hit = [words for fault in plan.planned for words in _fault(fault)]
    for line in listed("would hit", hit or ["nothing"], out, 13):
        out.line(line)
    out.line()
    _show_decision(decision, out)
    if would_start(decision):
        out.line(beside("", f"nothing was injected; to run it: {_command(plan)}", out, 0))
    else:
        out.line("nothing was injected; a run would be refused (exit 3)")


def _show_head(plan: Plan, out: Stream) -> None:
    out.line(out.paint(clean(plan.title), bold=True))
    rules = f" ({shown(Path(plan.rules.source))})" if plan.rules.source else ""
    out.line(beside("", f"{shown(plan.file.path)}, on {plan.environment}{rules}", out, 0))
    out.line()


def _show_decision(decision: Decision, out: Stream) -> None:
    for line in checklist(decision.findings, out):
        out.line(line)
    out.line()
    for line in summary(decision, out):
        out.line(line)


def _command(plan: Plan) -> str:
    chosen = plan.draft.request.environment
    return f"chaosdrill run {f'-e {chosen} ' if chosen else ''}{shown(plan.file.path)}"


def _decided(decision: Decision) -> dict[str, Any]:
    return {
        "cleared": would_start(decision),
        "blocked": decision.blocked or None,
        "checklist": [finding.as_json() for finding in decision.findings],
    }


def _fault(fault: PlannedFault) -> Iterator[str]:
    spec = {"kind": fault.kind, "hit": fault.chosen or [fault.target]}
    yield f"{fault_words(spec)} for {format_duration(fault.duration)}"
    share = len(fault.chosen) / fault.candidates if fault.candidates else 0.0
    of = f"{len(fault.chosen)} of {fault.candidates} ({format_share(round(share, 3))}) of {fault.target}"
    # What is allowed stands with the item of the checklist: the policy has a word in it too.
    yield f"  {of}"


def _source(name: str, spec: SourceSpec) -> str:
    if spec.http is not None:
        return f"{name}: {spec.http.method} {spec.http.url}, {spec.http.rate:g} per second"
    if spec.tcp is not None:
        return f"{name}: connections to {spec.tcp.address}, {spec.tcp.rate:g} per second"
    return f"{name}: the service {spec.target}, every {format_duration(spec.every)}"


def _stops(block: ChaosdrillBlock) -> Iterator[str]:
    for condition in block.abort_when:
        yield condition.sentence()
    if block.abort_when:
        yield "one of these signals falls silent"
    yield f"the experiment takes longer than {format_duration(block.time_limit)}"


def _facts(plan: Plan) -> dict[str, Any]:
    block = plan.block
    signals = block.signals if block else {}
    return {
        "title": plan.title,
        "file": str(plan.file.path),
        "environment": plan.environment,
        "policy": plan.rules.source or None,
        "hypothesis": block.hypothesis if block else None,
        "expected_outcome": block.expected_outcome if block else None,
        "faults": [fault.as_json() for fault in plan.planned],
        "signals": {name: spec.model_dump(mode="json", by_alias=True) for name, spec in signals.items()},
        "criteria": [c.sentence() for c in block.criteria] if block else [],
        "aborts_when": list(_stops(block)) if block else [],
        "warnings": [str(warning) for warning in plan.file.warnings],
        "injected": False,
    }
