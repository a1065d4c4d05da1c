"""One neutral document made from a run folder; every format shows this and nothing else.

It computes no facts: the verdict is the recorded one, the numbers are statistics over the recorded samples.
"""

from __future__ import annotations

from typing import NamedTuple

from chaosdrill.record.folder import RunFolder
from chaosdrill.record.samples import Samples
from chaosdrill.report import checklist, sections
from chaosdrill.report.blocks import Figure, Section, VerdictBox
from chaosdrill.report.charts.shapes import Chart
from chaosdrill.report.limits import limits
from chaosdrill.report.material import Material, material
from chaosdrill.report.wording import verdict_box


class Document(NamedTuple):
    """A report before it has a format; `material` is what it was made from, for raw facts.

    `alerts` stand above everything: what was overridden.
    """

    title: str
    subtitle: str
    box: VerdictBox
    sections: tuple[Section, ...]
    material: Material
    alerts: tuple[str, ...] = ()

    @property
    def charts(self) -> tuple[Chart, ...]:
        """Every chart in reading order."""
        figures = (b for section in self.sections for b in section.blocks if isinstance(b, Figure))
        return tuple(chart for figure in figures for chart in figure.charts)


def document(folder: RunFolder, samples: Samples) -> Document:
    """Return the report on `folder`. Raises RecordUnusable when what it holds can't be understood."""
    found = material(folder, samples)
    parts = (
        checklist.refusal(found),
        sections.what(found),
        checklist.checklist(found),
        sections.hypothesis(found),
        sections.hit(found),
        sections.seen(found),
        sections.happened(found),
        sections.undone(found),
        checklist.afterwards(found),
        sections.warnings(found),
        limits(found),
        sections.files(found),
    )
    facts = found.facts
    about = (
        facts.get("service"),
        facts.get("environment"),
        str(facts.get("started", ""))[:19].replace("T", " "),
    )
    return Document(
        title=found.title,
        subtitle=" · ".join(str(part) for part in about if part) + " UTC",
        box=verdict_box(found),
        sections=tuple(part for part in parts if part is not None),
        material=found,
        alerts=checklist.alerts(found),
    )
