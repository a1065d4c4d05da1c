"""What the evidence does not show. A report that leaves this out claims more than it knows."""

from __future__ import annotations

from chaosdrill.report.blocks import Notes, Section
from chaosdrill.report.charts.shapes import when_text
from chaosdrill.report.material import Material
from chaosdrill.report.wording import conditions
from chaosdrill.units import format_duration

#: Holes of one source that are listed one by one; the rest is counted.
_LISTED = 5


def limits(material: Material) -> Section:
    """Return everything that was not observed, and how far the result may be carried."""
    reach = (
        f"One run is one observation. It was seen for {conditions(material)}, and says nothing about longer "
        "faults, other loads or other targets."
    )
    lead = "What was not measured was not observed, which is not the same as fine."
    return Section("limits", "Limits of this evidence", lead, (Notes((*not_observed(material), reach)),))


def not_observed(material: Material) -> tuple[str, ...]:
    """Return, one sentence each, what this run cannot speak about."""
    return (*_signals(material), *_phases(material), *_criteria(material), *_engine(material))


def _signals(material: Material) -> list[str]:
    block, samples = material.evidence.block, material.samples
    if not samples.signals:
        return ["No signal was sampled: latency, errors and availability were not observed."]
    found = []
    columns = {name.partition(".")[0] for name in samples.signals}
    for name in block.signals if block else ():
        if name not in columns:
            found.append(f"{name}: not a single sample; not observed.")
    for name, gaps in material.gaps.items():
        for start, end in gaps[:_LISTED]:
            found.append(
                f"{name}: no samples for {format_duration(round(end - start, 1))}, from "
                f"{when_text(material.frame, start)}; not observed."
            )
        if len(gaps) > _LISTED:
            found.append(f"{name}: {len(gaps) - _LISTED} more stretches without samples.")
    if block and any(spec.http or spec.tcp for spec in block.signals.values()):
        found.append("Requests were sent from one place, the machine that ran chaosdrill.")
    return found


def _phases(material: Material) -> list[str]:
    seen = {phase.name for phase in material.evidence.phases}
    if not seen:
        return ["No phase was recorded: before, during and after can't be told apart."]
    return [
        f"The {name} phase was not observed."
        for name in ("baseline", "fault", "recovery")
        if name not in seen
    ]


def _criteria(material: Material) -> list[str]:
    found = [c.text or c.sentence for c in material.criteria if c.state == "inconclusive"]
    block = material.evidence.block
    if block is not None and not block.criteria:
        found.append("There were no success criteria; only the file's own probes were held against it.")
    return found


def _engine(material: Material) -> list[str]:
    moments = {probe.moment for probe in material.evidence.engine.probes}
    words = {"before": "before the method", "during": "while the fault was on", "after": "after the method"}
    if not moments:
        return ["Chaos Toolkit's steady-state probes left no result."]
    return [
        f"The file's steady-state probes were not asked {words[moment]}."
        for moment in ("before", "during", "after")
        if moment not in moments
    ]
