"""The report as JUnit XML, for what a CI server shows beside a job.

A failure is a claim that did not hold; an error is a question that could not be answered (inconclusive, a
probe that raised, an undo that nobody has seen): neither passes. What was not part of the run is skipped. Of
a run that was refused everything is skipped but the reasons, which are an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple
from xml.etree import ElementTree

from chaosdrill.clock import from_iso
from chaosdrill.model.run import Line, Verdict
from chaosdrill.report.document import Document
from chaosdrill.report.material import Material

Outcome = Literal["passed", "failure", "error", "skipped"]

# XML 1.0 forbids these even as references (https://www.w3.org/TR/xml/#charsets).
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

_LINES: dict[str, dict[str, Outcome]] = {
    "execution": {"completed": "passed", "aborted": "failure", "errored": "error", "refused": "error"},
    "response": {"within": "passed", "outside": "failure", "not exercised": "skipped"},
    "cleanup": {"verified": "passed", "failed": "failure", "unverified": "error"},
    "coverage": {"full": "passed", "partial": "failure", "none": "failure", "unknown": "skipped"},
}
_ITEMS: dict[str, Outcome] = {
    "proved": "passed",
    "attested": "passed",
    "not needed": "skipped",
    "overridden": "skipped",
}
_CRITERIA: dict[str, Outcome] = {"held": "passed", "deviated": "failure", "inconclusive": "error"}


class Case(NamedTuple):
    """One test case: `group` is its class name, `text` the sentence behind the outcome."""

    group: str
    name: str
    outcome: Outcome
    text: str


def files(document: Document) -> dict[str, str]:
    """Return the suite under the name of its file."""
    return {"junit.xml": render(document)}


def render(document: Document) -> str:
    """Return one test suite for the run, with a case for each item, criterion, probe and line."""
    material = document.material
    found = list(cases(material))
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(root, "testsuite", _summary(material, found))
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in _properties(document):
        ElementTree.SubElement(properties, "property", {"name": name, "value": _clean(value)})
    for case in found:
        element = ElementTree.SubElement(
            suite,
            "testcase",
            {"classname": f"chaosdrill.{case.group}", "name": _clean(case.name), "time": "0"},
        )
        if case.outcome != "passed":
            told = ElementTree.SubElement(element, case.outcome, {"message": _clean(case.text)})
            if case.outcome != "skipped":
                told.set("type", case.group)
                told.text = _clean(case.text)
    output = ElementTree.SubElement(suite, "system-out")
    output.text = _clean(f"{document.box.sentence}\n{document.box.why}\n")
    ElementTree.indent(root)
    return "<?xml version='1.0' encoding='utf-8'?>\n" + ElementTree.tostring(root, "unicode") + "\n"


def cases(material: Material) -> Iterator[Case]:
    """Yield what the run was asked, one case each; without a verdict, what is known, and an error."""
    verdict = material.verdict
    if verdict is None:
        yield Case("execution", "execution", "error", "the run has no verdict: it never came to its end")
        yield from _unjudged(material)
    else:
        yield _execution(verdict, material.evidence.refused)
        for result in verdict.criteria:
            text = result.text or result.sentence
            yield Case("criteria", result.sentence, _CRITERIA[result.state], text)
    yield from _checklist(material)
    yield from _probes(material)
    if verdict is not None and material.evidence.refused:
        yield from _not_judged(material)
        yield Case("hypothesis", "hypothesis", "skipped", verdict.hypothesis.text)
        for name in ("response", "cleanup", "coverage"):
            yield _line(verdict, name)._replace(outcome="skipped")
    elif verdict is not None:
        if verdict.hypothesis.state == "not evaluated":
            yield Case("hypothesis", "hypothesis", "skipped", verdict.hypothesis.text)
        yield from (_line(verdict, name) for name in ("response", "cleanup", "coverage"))


def _line(verdict: Verdict, name: str) -> Case:
    line: Line = getattr(verdict, name)
    shown = "clean-up" if name == "cleanup" else name
    text = f"{line.state}: {line.text}" if line.text else line.state
    return Case(name, shown, _LINES[name].get(line.state, "error"), text)


def _execution(verdict: Verdict, reasons: tuple[str, ...]) -> Case:
    """Return the first case; of a run that was refused it has every reason: CI shows no more."""
    case = _line(verdict, "execution")
    return case._replace(text="\n".join(("refused:", *reasons))) if reasons else case


def _unjudged(material: Material) -> Iterator[Case]:
    yield from _not_judged(material)
    left = [fault for fault in material.evidence.faults if not fault.undone]
    text = "; ".join(f"{fault.kind} on {fault.target}: {', '.join(fault.residue)}" for fault in left)
    yield Case("cleanup", "clean-up", "error" if left else "passed", text)


def _not_judged(material: Material) -> Iterator[Case]:
    block = material.evidence.block
    for criterion in block.criteria if block else ():
        yield Case("criteria", criterion.sentence(), "skipped", "not judged")


def _checklist(material: Material) -> Iterator[Case]:
    """Yield an item each; one that somebody has overridden, or that was not needed, was not passed."""
    for item in (material.facts.get("clearance") or {}).get("findings") or ():
        state, said = str(item.get("state", "")), str(item.get("said", ""))
        yield Case("checklist", str(item.get("title", "")), _ITEMS.get(state, "error"), f"{state}: {said}")


def _probes(material: Material) -> Iterator[Case]:
    seen: dict[tuple[str, str], int] = {}
    for probe in material.evidence.engine.probes:
        number = seen[probe.name, probe.moment] = seen.get((probe.name, probe.moment), 0) + 1
        name = f"{probe.name} ({probe.moment}{f' {number}' if number > 1 else ''})"
        outcome: Outcome = "passed" if probe.met else "error" if probe.error else "failure"
        text = probe.error or f"{probe.output} where {probe.tolerance} was expected"
        yield Case("probes", name, outcome, text)


def _summary(material: Material, found: list[Case]) -> dict[str, str]:
    facts = material.facts
    outcomes = [case.outcome for case in found]
    seconds = from_iso(facts["ended"]) - from_iso(facts["started"]) if facts.get("ended") else 0.0
    return {
        "name": _clean(material.title),
        "tests": str(len(found)),
        "failures": str(outcomes.count("failure")),
        "errors": str(outcomes.count("error")),
        "skipped": str(outcomes.count("skipped")),
        "time": f"{seconds:.3f}",
        "timestamp": str(facts.get("started", ""))[:19],
        "hostname": _clean(str(facts.get("actor", "")).rpartition("@")[2] or "unknown"),
    }


def _properties(document: Document) -> Iterator[tuple[str, str]]:
    material, box = document.material, document.box
    facts = material.facts
    yield "run", str(facts.get("id") or material.folder.id)
    yield "verdict", box.word
    yield "exit_code", "" if box.exit_code is None else str(box.exit_code)
    for line in box.lines:
        yield line.name.lower(), line.state
    yield "environment", str(facts.get("environment") or "")
    yield "experiment", str((facts.get("source") or {}).get("path", ""))
    yield "digest", str((facts.get("source") or {}).get("digest", ""))
    for name, version in (facts.get("versions") or {}).items():
        yield f"version.{name}", str(version)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
