"""The report for programs: report.json, whose keys stay as they are within one `version`.

Seconds, shares from 0 to 1 and counts, unrounded; moments as ISO 8601 in UTC; null where nothing was seen.
Keys may be added within a version; none is renamed, removed or given another meaning.
"""

from __future__ import annotations

import json
from typing import Any

from chaosdrill.clock import iso
from chaosdrill.model.run import Abort, FaultOutcome, Phase
from chaosdrill.report.document import Document
from chaosdrill.report.limits import not_observed
from chaosdrill.report.material import Material
from chaosdrill.report.numbers import RequestNumbers

VERSION = 1


def files(document: Document) -> dict[str, str]:
    """Return the report under the name of its file."""
    return {"report.json": render(document)}


def render(document: Document) -> str:
    """Return the report as indented JSON."""
    return json.dumps(content(document), indent=2, ensure_ascii=False, default=str) + "\n"


def content(document: Document) -> dict[str, Any]:
    """Return what report.json holds."""
    material, box = document.material, document.box
    verdict, found = material.verdict, material.evidence
    return {
        "version": VERSION,
        "run": _run(material),
        "verdict": {
            "word": box.word,
            "exit_code": box.exit_code,
            "sentence": box.sentence,
            "why": box.why,
            "lines": [{"name": line.name, "state": line.state, "text": line.text} for line in box.lines],
        },
        "overridden": list(document.alerts),
        "refused": list(found.refused),
        "clearance": material.facts.get("clearance"),
        "afterwards": [finding.as_json() for finding in material.afterwards],
        "criteria": [c.as_json() for c in verdict.criteria] if verdict else [],
        "probes": [probe.as_json() for probe in found.engine.probes],
        "faults": [_fault(fault, material) for fault in found.faults],
        "planned": [planned.as_json() for planned in found.planned],
        "phases": [_phase(phase) for phase in found.phases],
        "abort": _abort(found.abort) if found.abort else None,
        "numbers": {
            "requests": [_request(row) for row in material.numbers.requests],
            "gauges": [row._asdict() for row in material.numbers.gauges],
        },
        "warnings": [str(warning) for warning in material.facts.get("warnings") or ()],
        "not_observed": list(not_observed(material)),
        "files": [
            {"name": f.name, "bytes": f.size, "sha256": f.digest, "sealed_sha256": f.sealed or None}
            for f in material.files
        ],
    }


def _run(material: Material) -> dict[str, Any]:
    facts = material.facts
    kept = (
        "title",
        "service",
        "environment",
        "hypothesis",
        "expected_outcome",
        "source",
        "actor",
        "versions",
    )
    return {
        "id": facts.get("id") or material.folder.id,
        "state": facts.get("state"),
        "started": facts.get("started"),
        "ended": facts.get("ended"),
        **{key: facts.get(key) for key in kept},
    }


def _fault(fault: FaultOutcome, material: Material) -> dict[str, Any]:
    planned = material.planned_for(fault)
    lasted = None if fault.started is None or fault.ended is None else round(fault.ended - fault.started, 6)
    return {
        "id": fault.id,
        "activity": fault.activity,
        "kind": fault.kind,
        "target": fault.target,
        "hit": list(fault.hit),
        "candidates": planned.candidates if planned else None,
        "started": _moment(fault.started),
        "ended": _moment(fault.ended),
        "planned_seconds": fault.duration,
        "seconds": lasted,
        "undone": fault.undone,
        "residue": list(fault.residue),
        "error": fault.error or None,
    }


def _phase(phase: Phase) -> dict[str, Any]:
    return {"name": phase.name, "started": _moment(phase.start), "ended": _moment(phase.end)}


def _abort(abort: Abort) -> dict[str, Any]:
    took = None if abort.undone is None else round(abort.undone - abort.requested, 6)
    return {
        "by": abort.by,
        "rule": abort.rule,
        "requested": _moment(abort.requested),
        "undone": _moment(abort.undone),
        "seconds_to_undo": took,
        "breach": _moment(abort.breach),
        "first_undo": _moment(abort.first_undo),
        "latencies": {name: round(took, 6) for name, took in abort.latencies},
    }


def _request(row: RequestNumbers) -> dict[str, Any]:
    enough = {name: row.enough(name) for name in ("p50", "p95", "p99")}
    return {**row._asdict(), "enough_for": enough}


def _moment(epoch: float | None) -> str | None:
    return None if epoch is None else iso(epoch)
