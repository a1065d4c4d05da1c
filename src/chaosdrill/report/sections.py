"""The sections of a report, in the order in which a reviewer asks: what, did it hold, what was hit, what was
seen, when, how it was undone, and what none of this shows.

Everything here is wording and arrangement; facts come from Material.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from chaosdrill.clock import from_iso, iso
from chaosdrill.model.run import Abort, CriterionResult, FaultOutcome, PlannedFault
from chaosdrill.model.signal import Unit, format_value
from chaosdrill.record.folder import RUN
from chaosdrill.report import timeline
from chaosdrill.report.blocks import Block, Cell, Column, Notes, Pairs, Section, Table, Timeline, Tone
from chaosdrill.report.figures import NOT_OBSERVED, figures
from chaosdrill.report.material import File, Material
from chaosdrill.report.wording import hit_of, lasted, tone
from chaosdrill.units import format_duration, format_share

#: The steps from a breach to everything undone.
_ABORT_STEPS = (
    "guard.breach",
    "abort.requested",
    "unwind.started",
    "fault.undone",
    "engine.ended",
    "unwind.ended",
)


def what(material: Material) -> Section:
    """What was tested, where, why, by whom and with what."""
    facts = material.facts
    source = facts.get("source") or {}
    pairs = [
        ("Hypothesis", _given(facts.get("hypothesis"))),
        ("Expected outcome", _given(facts.get("expected_outcome"))),
        ("Service", _given(facts.get("service"))),
        ("Environment", _given(facts.get("environment"))),
        ("Experiment file", Cell(str(source.get("path", "")), code=True)),
        ("Digest of its bytes", Cell(str(source.get("digest", "")), code=True)),
        ("Started", Cell(_utc(facts.get("started")))),
        ("Ended", Cell(_ended(facts))),
        ("Actor", _given(facts.get("actor"))),
        ("Versions", Cell(_listed(facts.get("versions")))),
        ("Configuration", Cell(_listed(facts.get("configuration")))),
        ("Options", Cell(_listed(facts.get("options")))),
        ("Run", Cell(str(facts.get("id") or material.folder.id), code=True)),
    ]
    return Section("what", "What was tested, where and why", blocks=(Pairs(tuple(pairs)),))


def hypothesis(material: Material) -> Section:
    """The hypothesis against what was observed: criteria and probes."""
    blocks: list[Block] = []
    block = material.evidence.block
    if material.criteria:
        blocks.append(_criteria(material.criteria))
    elif block and block.criteria:
        blocks.append(Notes(tuple(f"{c.sentence()}: not judged" for c in block.criteria)))
    if material.evidence.engine.probes:
        blocks.append(_probes(material))
    lead = str(material.facts.get("hypothesis") or "No hypothesis was written down.")
    if not blocks:
        lead += " There were no criteria and no steady-state probe to hold it against."
    return Section("hypothesis", "Hypothesis against observation", lead, tuple(blocks))


def hit(material: Material) -> Section:
    """What was planned, what was hit, and what share of the candidates that is."""
    rows = [_fault_row(fault, material) for fault in material.evidence.faults]
    injected = {(fault.activity, fault.kind) for fault in material.evidence.faults}
    rows += [_missed_row(p) for p in material.evidence.planned if (p.activity, p.kind) not in injected]
    if not rows:
        lead = "chaosdrill injected no fault in this run; actions of the file's own are in the timeline."
        return Section("hit", "What was hit", lead)
    columns = ("Fault", "State", "Hit", "Blast radius", "Active", "Lasted", "Still on")
    table = Table("Faults, planned and injected", tuple(map(Column, columns)), tuple(rows), cards=True)
    return Section("hit", "What was hit", _limits_of_blast(material), (table,))


def seen(material: Material) -> Section:
    """Charts and key numbers before, during and after."""
    title = "Before, during and after"
    if not material.samples.signals:
        return Section("seen", title, "No signal was sampled, so nothing can be drawn or counted here.")
    lead = f"{_zero_in_words(material)} A request counts at the moment when it was due to be sent."
    return Section("seen", title, lead, figures(material.seen))


def happened(material: Material) -> Section:
    """Everything that happened, on one UTC timeline."""
    found = timeline.moments(material.events, material.entries, material.evidence.engine, material.origin)
    since = "the first phase" if material.evidence.phases else "the run"
    lead = f"All times are UTC. T+ counts from the start of {since}, {_utc(iso(material.origin))}."
    return Section("timeline", "Timeline", lead, (Timeline(found),))


def undone(material: Material) -> Section:
    """How the run was stopped if it was, how every fault was undone, and how fast."""
    blocks: list[Block] = []
    abort = material.evidence.abort
    if abort is None:
        lead = "The run was not aborted."
    else:
        lead = f"Aborted by {abort.by}: {abort.rule}."
        if abort.latencies:
            blocks.append(_guard_table(abort))
        blocks.append(_abort_table(material, abort.requested))
    if material.entries:
        blocks.append(_undo_table(material))
    else:
        lead += " There was no fault of chaosdrill's to undo."
    return Section("undone", "Abort and undo", lead, tuple(blocks))


def warnings(material: Material) -> Section | None:
    """What was noticed and did not stop the run, and files that changed since; None without any."""
    items = [str(warning) for warning in material.facts.get("warnings") or ()]
    for file in material.files:
        if file.size < 0:
            items.append(f"{file.name} was there when the run was sealed and is gone.")
        elif file.altered:
            items.append(f"{file.name} has changed since the run was sealed: do not rely on it.")
    if material.samples.unreadable:
        items.append(
            f"{material.samples.unreadable:,} rows of samples.csv could not be read and are left out."
        )
    return Section("warnings", "Warnings", blocks=(Notes(tuple(items)),)) if items else None


def files(material: Material) -> Section:
    """The raw files with their checksums."""
    rows = []
    for file in material.files:
        state, meaning = _seal(file)
        size = f"{file.size:,}" if file.size >= 0 else "gone"
        cells = (Cell(file.name, code=True), Cell(size), Cell(state, meaning), Cell(file.digest, code=True))
        rows.append(cells)
    columns = (Column("File"), Column("Bytes", numeric=True), Column("State"), Column("SHA-256 now"))
    lead = "These files lie beside this report; it was made from them alone."
    return Section("files", "Files", lead, (Table("Files of the run", columns, tuple(rows), cards=True),))


def _seal(file: File) -> tuple[str, Tone]:
    """Return whether a file is as it was sealed, and how bad that is."""
    if file.size < 0:
        return "gone", "bad"
    if file.name == RUN:
        return "holds the checksums", "plain"
    if not file.sealed:
        return "not sealed", tone("none")
    return ("altered", "bad") if file.altered else ("as sealed", tone("verified"))


# ---- criteria and probes


def _criteria(results: Iterable[CriterionResult]) -> Table:
    rows = []
    for r in results:
        worst = NOT_OBSERVED if r.worst is None else Cell(_value(r.worst, r.unit))
        count = f"{r.samples:,}" if r.samples >= r.needed else f"{r.samples:,} (needs {r.needed:,})"
        cells = (Cell(r.state, tone(r.state)), Cell(_value(r.threshold, r.unit)), worst, Cell(_margin(r)))
        rows.append((Cell(r.sentence), *cells, Cell(count), Cell(_windows(r))))
    columns = (
        Column("Criterion"), Column("State"), Column("Limit", numeric=True), Column("Worst", numeric=True),
        Column("Margin", numeric=True), Column("Samples", numeric=True), Column("Windows", numeric=True),
    )  # fmt: skip
    return Table("Success criteria", columns, tuple(rows), cards=True)


def _value(value: float, unit: str) -> str:
    known: Unit = unit if unit in ("share", "seconds", "breaker") else "count"  # type: ignore[assignment]
    return format_value(value, known)


def _margin(result: CriterionResult) -> str:
    if result.margin is None:
        return "not observed"
    side = "to spare" if result.state == "held" else "beyond" if result.margin < 0 else "inside"
    amount = abs(result.margin)
    if result.unit == "share":
        return f"{amount * 100:.4g} points {side}"
    return f"{_value(amount, result.unit)} {side}" if amount or side != "to spare" else "none to spare"


def _windows(result: CriterionResult) -> str:
    notes = [(result.windows_bad, "bad"), (result.windows_short, "too short")]
    said = ", ".join(f"{count} {word}" for count, word in notes if count)
    return f"{result.windows}{f' ({said})' if said else ''}"


def _probes(material: Material) -> Table:
    rows = []
    for probe in material.evidence.engine.probes:
        state = Cell("met", "good") if probe.met else Cell("not met", "bad")
        output = probe.error or probe.output or "nothing"
        cells = (state, Cell(output, code=True), Cell(probe.tolerance, code=True))
        rows.append((Cell(probe.name), Cell(probe.moment), *cells))
    columns = tuple(map(Column, ("Probe", "When", "State", "Output", "Tolerance")))
    return Table(
        "Steady-state probes of the file, as Chaos Toolkit judged them", columns, tuple(rows), cards=True
    )


# ---- faults


def _fault_row(fault: FaultOutcome, material: Material) -> tuple[Cell, ...]:
    planned = material.planned_for(fault)
    seconds = lasted(fault)
    if fault.undone:
        state = Cell("undone", "good")
    else:
        state = Cell("residue left" if fault.ended is not None else "not known to be undone", "bad")
    candidates = planned.candidates if planned else 0
    share = f" ({100 * len(fault.hit) / candidates:.0f}\N{NO-BREAK SPACE}%)" if candidates else ""
    planned_for = format_duration(fault.duration)
    return (
        Cell(_described(fault.kind, fault.target, planned.arguments if planned else {})),
        state,
        Cell(", ".join(fault.hit) or "nothing"),
        Cell(f"{hit_of(fault, material)}{share}"),
        Cell(_active(fault)),
        Cell(
            f"{format_duration(round(seconds, 3))} (planned {planned_for})"
            if seconds is not None
            else "not observed"
        ),
        Cell("; ".join(fault.residue) or "nothing found"),
    )


def _missed_row(planned: PlannedFault) -> tuple[Cell, ...]:
    share = f"0 of {planned.candidates}" if planned.candidates else "0"
    fault = Cell(_described(planned.kind, planned.target, planned.arguments))
    never = (Cell("never injected", "warn"), Cell(f"planned: {', '.join(planned.chosen) or 'nothing'}"))
    lasted_for = Cell(f"planned {format_duration(planned.duration)}")
    return (fault, *never, Cell(share), Cell("never"), lasted_for, Cell("nothing injected"))


def _active(fault: FaultOutcome) -> str:
    if fault.started is None:
        return "never seen to be active"
    until = iso(fault.ended)[11:23] if fault.ended is not None else "not observed"
    return f"{iso(fault.started)[11:23]} to {until} UTC"


def _described(kind: str, target: str, arguments: dict[str, Any]) -> str:
    said = {k: v for k, v in arguments.items() if k not in ("target", "duration")}
    extra = f" ({_listed(said)})" if said else ""
    return f"{timeline.plain(kind)} on {target}{extra}"


def _limits_of_blast(material: Material) -> str:
    block = material.evidence.block
    limits = []
    if block and block.blast_radius.max_targets is not None:
        most = block.blast_radius.max_targets
        limits.append(f"{most} target{'' if most == 1 else 's'}")
    if block and block.blast_radius.max_share is not None:
        limits.append(f"{format_share(block.blast_radius.max_share)} of the candidates")
    return f"The blast radius was limited to {' and '.join(limits)}." if limits else ""


# ---- abort and undo


def _guard_table(abort: Abort) -> Table:
    start = "the breach" if abort.breach is not None else "the decision"
    rows = [
        (Cell(name.capitalize()), Cell(format_duration(round(took, 4)))) for name, took in abort.latencies
    ]
    columns = (Column("Step"), Column(f"After {start}", numeric=True))
    return Table("Guard: how fast", columns, tuple(rows), cards=True)


def _abort_table(material: Material, requested: float) -> Table:
    rows = []
    for event in material.events:
        if event["event"] in _ABORT_STEPS:
            at = from_iso(event["t"])
            text, meaning, _ = timeline.tell(event)
            rows.append((Cell(text, meaning), Cell(event["t"][11:23]), Cell(_after(at - requested))))
    columns = (Column("Step"), Column("UTC"), Column("After the request", numeric=True))
    return Table("The abort, step by step", columns, tuple(rows), cards=True)


def _undo_table(material: Material) -> Table:
    rows = []
    for entry in material.entries:
        due = entry.started + entry.duration if entry.started is not None else None
        late = _after(entry.ended - due) if entry.ended is not None and due is not None else "not observed"
        found = Cell("; ".join(entry.residue), "bad") if entry.residue else Cell("nothing found", "good")
        if entry.ended is None:
            found = Cell("never checked", "bad")
        cells = (
            Cell(_moment(due) or "not observed"),
            Cell(_moment(entry.ended) or "not observed"),
            Cell(late),
        )
        name = f"{timeline.plain(entry.kind)} on {entry.target} ({entry.id})"
        rows.append((Cell(name), Cell(entry.how or "not known"), *cells, found))
    columns = ("Fault", "Ended by", "Due", "Undone", "Against the plan", "Residue check")
    return Table("Undo of every fault, from the ledger", tuple(map(Column, columns)), tuple(rows), cards=True)


def _after(seconds: float) -> str:
    if abs(seconds) < 0.0005:
        return "0 s"
    return f"{'+' if seconds > 0 else chr(0x2212)}{format_duration(round(abs(seconds), 3))}"


# ---- words for single values


def _given(value: Any) -> Cell:
    return Cell(str(value)) if value not in (None, "") else Cell("not given")


def _listed(values: Any) -> str:
    if not isinstance(values, dict) or not values:
        return "none"
    return ", ".join(
        f"{key}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)}"
        for key, value in values.items()
    )


def _utc(stamp: Any) -> str:
    return str(stamp).replace("T", " ").replace("Z", " UTC") if stamp else "not recorded"


def _moment(epoch: float | None) -> str:
    return f"{iso(epoch)[11:23]} UTC" if epoch is not None else ""


def _ended(facts: dict[str, Any]) -> str:
    if not facts.get("ended"):
        return "not recorded"
    took = from_iso(facts["ended"]) - from_iso(facts["started"])
    return f"{_utc(facts['ended'])} (after {format_duration(round(took, 1))})"


def _zero_in_words(material: Material) -> str:
    faults = any(fault.started is not None for fault in material.evidence.faults)
    phased = any(phase.name == "fault" for phase in material.evidence.phases)
    start = "of the first fault" if faults else "of the method" if phased else "of the run"
    return f"The charts count from the start {start}, {_utc(iso(material.zero))}."
