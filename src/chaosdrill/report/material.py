"""Everything that a report is made from, read from the run folder once.

Reads and computes no verdict: a run that was never judged has none here either.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from chaosdrill.clock import from_iso
from chaosdrill.errors import RecordUnusable
from chaosdrill.model.checklist import Finding
from chaosdrill.model.run import CriterionResult, Evidence, FaultOutcome, PlannedFault, Verdict
from chaosdrill.record import answers, journal, ledger
from chaosdrill.record.evidence import evidence
from chaosdrill.record.folder import JOURNAL, LEDGER, RUN, RunFolder
from chaosdrill.record.samples import Samples
from chaosdrill.report.charts.shapes import Frame
from chaosdrill.report.figures import Gap, Seen, frame, holes
from chaosdrill.report.numbers import Numbers, numbers

#: What a report writes itself: it is newer than the seal, and no evidence.
WRITTEN = ("report.html", "report.md", "report.json", "junit.xml")


class File(NamedTuple):
    """One file of the folder; `sealed` is its checksum at sealing, '' when it was not sealed."""

    name: str
    size: int
    digest: str
    sealed: str

    @property
    def altered(self) -> bool:
        """Whether it has changed since the run was sealed."""
        return bool(self.sealed) and self.sealed != self.digest


@dataclass(frozen=True)
class Material:
    """A run as its folder tells it, in epoch seconds.

    Charts count from `zero`, the start of the first fault; T+ counts from `origin`, the start of the first
    phase, as the verdict does.
    """

    folder: RunFolder
    facts: dict[str, Any]
    evidence: Evidence
    events: list[journal.Event]
    entries: list[ledger.Entry]
    samples: Samples
    verdict: Verdict | None
    zero: float
    origin: float

    @property
    def sealed(self) -> bool:
        """Whether the run came to its end."""
        return self.facts.get("state") == "sealed"

    @property
    def title(self) -> str:
        """The experiment's title."""
        return str(self.facts.get("title") or self.folder.id)

    @property
    def criteria(self) -> tuple[CriterionResult, ...]:
        """How each criterion came out; none when the run was not judged."""
        return self.verdict.criteria if self.verdict else ()

    @cached_property
    def afterwards(self) -> tuple[Finding, ...]:
        """How the items during and after the run stand now; none where nothing is asked."""
        return tuple(answers.findings(self.folder))

    @cached_property
    def frame(self) -> Frame:
        """The stretch of time that charts show."""
        return frame(self.evidence, self.samples, self.zero)

    @cached_property
    def numbers(self) -> Numbers:
        """The key numbers by source and phase."""
        return numbers(self.samples, self.evidence.phases)

    @cached_property
    def gaps(self) -> dict[str, tuple[Gap, ...]]:
        """The stretches without samples, by column, as offsets from `zero`."""
        block = self.evidence.block
        return {name: holes(name, found, block, self.frame) for name, found in self.samples.signals.items()}

    @property
    def seen(self) -> Seen:
        """What figures are made from."""
        block = self.evidence.block
        return Seen(block, self.samples, self.criteria, self.numbers, self.frame, self.gaps)

    @cached_property
    def files(self) -> tuple[File, ...]:
        """The files of the folder but those that a report writes, and those that are missing (size -1)."""
        sealed = dict(self.facts.get("checksums") or {})
        found = []
        for path in sorted(self.folder.path.iterdir()):
            if path.is_file() and not path.name.startswith(".") and not is_written(path.name):
                content = path.read_bytes()
                digest = hashlib.sha256(content).hexdigest()
                found.append(File(path.name, len(content), digest, sealed.pop(path.name, "")))
        gone = [File(name, -1, "", digest) for name, digest in sealed.items() if not is_written(name)]
        return (*found, *gone)

    def planned_for(self, fault: FaultOutcome) -> PlannedFault | None:
        """Return the plan that an injected fault came from."""
        same = [p for p in self.evidence.planned if p.activity == fault.activity and p.kind == fault.kind]
        return same[0] if same else None

    def event(self, name: str) -> journal.Event | None:
        """Return the first event of that name."""
        return next((event for event in self.events if event["event"] == name), None)


def is_written(name: str) -> bool:
    """Return whether a report writes the file of that name."""
    return name in WRITTEN or (name.startswith("chart-") and name.endswith(".svg"))


def material(folder: RunFolder, samples: Samples) -> Material:
    """Read the folder. Raises RecordUnusable when what it holds can't be understood."""
    facts = folder.facts()
    try:
        found = evidence(folder)
        judged = Verdict.read(facts["verdict"]) if facts.get("verdict") else None
        return Material(
            folder=folder,
            facts=facts,
            evidence=found,
            events=journal.read(folder.file(JOURNAL)),
            entries=ledger.entries(folder.file(LEDGER)),
            samples=_in_order(samples, found),
            verdict=judged,
            zero=_zero(found, facts),
            origin=min([phase.start for phase in found.phases] or [from_iso(facts["started"])]),
        )
    except (ValueError, KeyError, TypeError) as error:
        # pydantic's errors are ValueErrors; a record by another version may lack a key.
        raise RecordUnusable(
            f"{folder.file(RUN)} and the files beside it can't be understood: {error}",
            next_step="a report needs the version of chaosdrill that wrote them, or a newer one",
        ) from error


def _in_order(samples: Samples, found: Evidence) -> Samples:
    """Return the samples by source as the experiment lists them: two reports on one run must be equal."""
    listed = list(found.block.signals) if found.block else []

    def place(name: str) -> tuple[int, str]:
        source = name.partition(".")[0]
        return (listed.index(source) if source in listed else len(listed), name)

    return Samples(
        {name: samples.signals[name] for name in sorted(samples.signals, key=place)}, samples.unreadable
    )


def _zero(found: Evidence, facts: dict[str, Any]) -> float:
    started = [fault.started for fault in found.faults if fault.started is not None]
    in_fault = [phase.start for phase in found.phases if phase.name == "fault"]
    return min(started or in_fault or [from_iso(facts["started"])])
