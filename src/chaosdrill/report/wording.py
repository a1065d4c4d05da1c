"""The sentences of a report that claim something: always for what was injected, for how long, at which load.

"Hypothesis held for instance failure on payment-api (1 of 3) over 30 s at 50 requests per second", never "is
resilient": one run is one observation.
"""

from __future__ import annotations

from chaosdrill.errors import Exit
from chaosdrill.model.run import FaultOutcome, Verdict
from chaosdrill.report.blocks import Tone, VerdictBox, VerdictLine
from chaosdrill.report.material import Material
from chaosdrill.report.timeline import plain
from chaosdrill.units import format_duration

_EXITS: dict[int, Tone] = {
    Exit.HELD: "good",
    Exit.DEVIATED: "bad",
    Exit.INCONCLUSIVE: "warn",
    Exit.ABORTED: "warn",
    Exit.RESIDUE: "bad",
    Exit.REFUSED: "warn",
    Exit.CRASH: "bad",
}
_TONES: dict[str, Tone] = {
    "refused": "warn",
    "completed": "good", "aborted": "warn", "errored": "bad",
    "held": "good", "deviated": "bad", "inconclusive": "warn", "not evaluated": "plain",
    "within": "good", "outside": "bad", "not exercised": "plain",
    "verified": "good", "unverified": "warn", "failed": "bad",
    "full": "good", "partial": "warn", "none": "bad", "unknown": "plain",
}  # fmt: skip
_LINES = ("execution", "hypothesis", "response", "cleanup", "coverage")
_NAMES = {"cleanup": "Clean-up"}
_CLAIMS = {
    "held": "Hypothesis held for",
    "deviated": "Hypothesis deviated under",
    "inconclusive": "Hypothesis inconclusive for",
    "not evaluated": "Hypothesis not evaluated for",
}
#: More faults than this are counted and not listed.
_LISTED = 3


def tone(state: str) -> Tone:
    """Return what a state of the verdict means to a reader."""
    return _TONES.get(state, "plain")


def verdict_box(material: Material) -> VerdictBox:
    """Return what stands on top of the report."""
    verdict = material.verdict
    if verdict is None:
        return _unjudged(material)
    return VerdictBox(
        word=verdict.word.capitalize(),
        sentence=claim(material),
        why=verdict.why,
        tone=_EXITS.get(verdict.exit_code, "plain"),
        exit_code=verdict.exit_code,
        lines=tuple(_line(verdict, name) for name in _LINES),
    )


def claim(material: Material) -> str:
    """Return what the run showed, within its limits, as one sentence."""
    verdict = material.verdict
    if material.evidence.refused:
        return f"Refused before anything was injected, for {count(len(material.evidence.refused), 'reason')}."
    state = verdict.hypothesis.state if verdict else "not evaluated"
    return f"{_CLAIMS.get(state, f'Hypothesis {state} for')} {conditions(material)}."


def count(number: int, noun: str) -> str:
    """Return '1 reason', '2 reasons'."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def conditions(material: Material) -> str:
    """Return what was injected, for how long and at which load: what every claim is limited to."""
    faults = [fault for fault in material.evidence.faults if fault.started is not None]
    if not faults:
        what = "a run in which chaosdrill injected nothing"
    elif len(faults) > _LISTED:
        what = f"{len(faults)} faults"
    else:
        what = "; ".join(_injected(fault, material) for fault in faults)
    return f"{what}{_load(material)}"


def hit_of(fault: FaultOutcome, material: Material) -> str:
    """Return how much was hit: '1 of 3', or the number alone when the candidates are not known."""
    planned = material.planned_for(fault)
    out_of = f" of {planned.candidates}" if planned and planned.candidates else ""
    return f"{len(fault.hit)}{out_of}"


def lasted(fault: FaultOutcome) -> float | None:
    """Return how long a fault was on, in seconds; None while nobody knows of its end."""
    if fault.started is None or fault.ended is None:
        return None
    return fault.ended - fault.started


def _injected(fault: FaultOutcome, material: Material) -> str:
    seconds = lasted(fault)
    what = f"{plain(fault.kind)} on {fault.target} ({hit_of(fault, material)})"
    if seconds is None:
        return f"{what}, its end not on record,"
    return f"{what} over {format_duration(round(seconds, 1))}"


def _load(material: Material) -> str:
    block = material.evidence.block
    sources = block.signals.items() if block else ()
    rates = [(name, spec.http.rate) for name, spec in sources if spec.http]
    if not rates:
        return ""
    if len(rates) == 1:
        return f" at {rates[0][1]:g} requests per second"
    return " at " + " and ".join(f"{rate:g} requests per second ({name})" for name, rate in rates)


def _line(verdict: Verdict, name: str) -> VerdictLine:
    line = getattr(verdict, name)
    return VerdictLine(_NAMES.get(name, name.capitalize()), line.state, line.text, tone(line.state))


def _unjudged(material: Material) -> VerdictBox:
    still = [fault for fault in material.evidence.faults if not fault.undone]
    if material.sealed:
        why = "The record is sealed but holds no verdict."
    else:
        why = "The record was never sealed: the run still goes on, or its runner died."
    if still:
        why += f" Faults that are not known to be undone: {len(still)} of {len(material.evidence.faults)}."
    why += f" To judge what is on record: chaosdrill judge {material.folder.id}"
    return VerdictBox(
        word="No verdict",
        sentence=f"Not judged for {conditions(material)}.",
        why=why,
        tone="bad" if still else "warn",
        exit_code=None,
        lines=tuple(
            VerdictLine(_NAMES.get(name, name.capitalize()), "not judged", "The run has no verdict.", "plain")
            for name in _LINES
        ),
    )
