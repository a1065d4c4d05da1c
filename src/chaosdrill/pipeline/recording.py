"""The record around a run: opened with intent, closed with a verdict, or with the reasons of a refusal."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaosdrill import redact
from chaosdrill.clock import iso
from chaosdrill.errors import ChaosdrillError, NotCleared, RecordUnusable, Refused
from chaosdrill.model.checklist import ITEMS
from chaosdrill.model.policy import BESIDE
from chaosdrill.pipeline.parts import Draft, Outcome, Plan, Workshop
from chaosdrill.ports import Clock
from chaosdrill.record import folder as folders
from chaosdrill.record.folder import JOURNAL, SAMPLES, RunFolder
from chaosdrill.record.journal import Journal
from chaosdrill.record.samples import read_samples

if TYPE_CHECKING:
    # Typed only: a plain Chaos Toolkit file never waits for pydantic before it is played.
    from chaosdrill.model.run import Verdict

#: Tells people how a run came out, and returns what went wrong with that.
Teller = Callable[["Verdict", Journal], Sequence[str]]


def open_record(drafted: Draft, plan: Plan | None, workshop: Workshop) -> RunFolder:
    """Open the run folder with intent: who runs what, from which bytes, on which targets.

    Without a plan, because it was refused, it says what is known.
    """
    file, request = drafted.file, drafted.request
    now = workshop.clock.now()
    title = plan.title if plan else file.title
    name = folders.run_id(title, now, workshop.entropy)
    copy = f"experiment{file.path.suffix}"
    folder = folders.create(
        request.home,
        name,
        {
            "version": 1,
            "id": name,
            "state": "open",
            "title": title,
            "environment": drafted.environment,
            "source": {"path": str(request.source), "file": copy, "digest": f"sha256:{file.digest}"},
            "actor": request.actor,
            "pid": os.getpid(),
            "versions": {**workshop.versions, **(plan.toolkit if plan else {})},
            "started": iso(now),
            "ended": None,
            **_planned(plan),
            "policy": {"path": drafted.rules.source, "digest": drafted.rules.digest},
            "waived": {k: why for k, why in drafted.rules.waived.items() if ITEMS[k].stage != "before"},
            "warnings": [str(w) for w in file.warnings],
            "options": {k: v for k, v in request.options.items() if v},
            "clearance": None,
            "verdict": None,
            "checksums": {},
        },
    )
    _keep(folder, copy, file.content)
    if file.beside is not None:
        _keep(folder, f"experiment{BESIDE}", file.beside.content)
    return folder


def _keep(folder: RunFolder, name: str, content: bytes) -> None:
    """Write a file as given, unless somebody has written a secret into it: that is in no file of ours."""
    text = content.decode("utf-8", errors="surrogateescape")
    folder.file(name).write_bytes(redact.known.text(text).encode("utf-8", errors="surrogateescape"))


def _planned(plan: Plan | None) -> dict[str, Any]:
    block = plan.block if plan else None
    return {
        "service": block.service if block else None,
        "hypothesis": block.hypothesis if block else None,
        "expected_outcome": block.expected_outcome if block else None,
        "block": block.model_dump(mode="json", by_alias=True) if block else None,
        "configuration": dict(plan.configuration) if plan else {},
        "planned": [p.as_json() for p in plan.planned] if plan else [],
    }


def refuse(folder: RunFolder, refusal: Refused, clock: Clock, tell: Teller | None = None) -> None:
    """Close the record of a run that was refused: the reasons, and that nothing was injected."""
    reasons = refusal.reasons if isinstance(refusal, NotCleared) else (str(refusal),)
    try:
        journal = Journal(folder.file(JOURNAL), clock)
        journal.write("run.refused", reasons=list(reasons))
        journal.close()
        conclude(folder, ("html", "md", "json", "junit"), clock, tell)
        refusal.record = str(folder.path)
    except RecordUnusable:
        return  # The refusal itself is what counts, and it is about to be said.


def conclude(
    folder: RunFolder, formats: Sequence[str], clock: Clock, tell: Teller | None = None, **facts: Any
) -> Outcome:
    """Judge what the folder holds, seal it with `facts` added to run.json, and write the reports.

    `tell` sends people the verdict, before the record is sealed, and returns what went wrong. That, and a
    report that can't be written, is a warning: it never changes a verdict.
    """
    judged = judge(folder)
    journal = Journal(folder.file(JOURNAL), clock)
    journal.write("run.judged", word=judged.word, exit_code=judged.exit_code, why=judged.why)
    warnings: list[str] = list(tell(judged, journal)) if tell is not None else []
    journal.write("run.sealed")
    journal.close()
    folder.update_facts(
        **facts,
        state="sealed",
        ended=iso(clock.now()),
        verdict=judged.as_json(),
        checksums=folder.checksums(),
    )
    reports: list[Path] = []
    try:
        from chaosdrill import report

        reports = report.write(folder, formats)
    except (ChaosdrillError, OSError) as error:
        warnings.append(f"no report could be written: {error}")
    except Exception as bug:  # noqa: BLE001 - the verdict stands, whatever a mistake of ours does to its picture
        warnings.append(f"no report could be written: {type(bug).__name__}: {bug}")
    return Outcome(folder, judged, tuple(reports), tuple(warnings))


def judge(folder: RunFolder) -> Verdict:
    """Return the verdict on what the folder holds; the same folder gives the same verdict, whenever asked."""
    from chaosdrill import verdict
    from chaosdrill.record.evidence import evidence

    return verdict.judge(evidence(folder), read_samples(folder.file(SAMPLES)))
