"""One execution: what was planned, what was hit, what was seen, and the verdict on it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from chaosdrill.model.experiment import ChaosdrillBlock


class Record(BaseModel):
    """Immutable; unknown keys of a newer version are passed over, so that old tools read new records."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=(), defer_build=True)


class Phase(Record):
    """A stretch of the run, in epoch seconds; `end` is None while it lasts."""

    name: Literal["baseline", "fault", "recovery"]
    start: float
    end: float | None = None


class PlannedFault(Record):
    """One fault action of the file as cleared: with its substituted arguments and its pinned targets."""

    activity: str
    kind: str
    system: str = "sandbox"
    target: str
    arguments: dict[str, Any] = {}
    duration: float
    chosen: tuple[str, ...] = ()
    candidates: int = 0


class FaultOutcome(Record):
    """What became of one injected fault, read from the ledger. Moments are epoch seconds."""

    id: str
    activity: str = ""
    kind: str
    target: str
    hit: tuple[str, ...] = ()
    duration: float
    started: float | None = None
    ended: float | None = None
    residue: tuple[str, ...] = ()
    error: str = ""

    @property
    def undone(self) -> bool:
        """Whether the undo was proved: the fault has ended and nothing of it was found afterwards."""
        return self.ended is not None and not self.residue


class Abort(Record):
    """Why a run was stopped before its end."""

    by: str
    rule: str
    requested: float
    undone: float | None = None


class ProbeResult(Record):
    """One steady-state probe of the file, as Chaos Toolkit judged it."""

    name: str
    moment: Literal["before", "during", "after"]
    met: bool
    output: str = ""
    tolerance: str = ""
    error: str = ""


class EngineOutcome(Record):
    """What Chaos Toolkit said. `status` is None when it died before it could say anything."""

    status: str | None = None
    deviated: bool = False
    probes: tuple[ProbeResult, ...] = ()
    activities: tuple[dict[str, Any], ...] = ()
    failed_activities: tuple[str, ...] = ()
    error: str = ""


class Evidence(Record):
    """Everything a verdict may rest on, apart from the samples: read from the run folder alone.

    `refused` are the reasons why nothing was injected, with what to do; none for a run that was played.
    """

    block: ChaosdrillBlock | None = None
    phases: tuple[Phase, ...] = ()
    planned: tuple[PlannedFault, ...] = ()
    faults: tuple[FaultOutcome, ...] = ()
    engine: EngineOutcome = EngineOutcome()
    abort: Abort | None = None
    refused: tuple[str, ...] = ()


State = Literal["held", "deviated", "inconclusive"]


class CriterionResult(Record):
    """How one criterion came out. Values are in the series' own unit."""

    sentence: str
    signal: str
    unit: str
    state: State
    threshold: float
    worst: float | None = None
    worst_at: float | None = None
    margin: float | None = None
    samples: int = 0
    needed: int = 0
    windows: int = 0
    windows_bad: int = 0
    windows_short: int = 0
    text: str = ""


class Line(Record):
    """One line of the verdict: a state from a fixed list, and the sentence behind it."""

    state: str
    text: str


class Verdict(Record):
    """Five independent lines, the criteria behind the second, and what a shell sees.

    execution: completed | aborted | errored | refused · hypothesis: held | deviated | inconclusive | not evaluated ·
    response: within | outside | not exercised · cleanup: verified | unverified | failed · coverage: full |
    partial | none | unknown (no fault of ours in the file). word: HELD | DEVIATED | INCONCLUSIVE |
    NOT EVALUATED | ABORTED | ERRORED | REFUSED | RESIDUE LEFT.
    """

    execution: Line
    hypothesis: Line
    response: Line
    cleanup: Line
    coverage: Line
    criteria: tuple[CriterionResult, ...] = ()
    probes: tuple[ProbeResult, ...] = ()
    exit_code: int
    word: str
    why: str
