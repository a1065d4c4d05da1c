"""One execution: what was planned, what was hit, what was seen, and the verdict on it.

Standard library only: what a plain Chaos Toolkit file shows is judged without waiting for pydantic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

if TYPE_CHECKING:
    from chaosdrill.model.experiment import ChaosdrillBlock


class Record:
    """Immutable; goes to JSON and back, and passes over unknown keys, so that old tools read new records."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Any]]
    #: The fields that are records themselves, or tuples of them.
    parts: ClassVar[Mapping[str, type[Record]]] = {}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Return the record that `as_json` made. Raises ValueError when a field is missing."""
        given: dict[str, Any] = {}
        for known in fields(cls):
            if known.name in data:
                given[known.name] = _read(data[known.name], cls.parts.get(known.name))
            elif known.default is MISSING and known.default_factory is MISSING:
                raise ValueError(f"{cls.__name__} without {known.name}")
        return cls(**given)

    def as_json(self) -> dict[str, Any]:
        """Return the record as JSON: records as objects, tuples as lists."""
        return {known.name: _written(getattr(self, known.name)) for known in fields(self)}


def _read(value: Any, part: type[Record] | None) -> Any:
    if isinstance(value, list):
        return tuple(_read(item, part) for item in value)
    return part.read(value) if part is not None and isinstance(value, Mapping) else value


def _written(value: Any) -> Any:
    if isinstance(value, Record):
        return value.as_json()
    if isinstance(value, (list, tuple)):
        return [_written(item) for item in value]
    return {k: _written(v) for k, v in value.items()} if isinstance(value, dict) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase(Record):
    """A stretch of the run, in epoch seconds; `end` is None while it lasts."""

    name: Literal["baseline", "fault", "recovery"]
    start: float
    end: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFault(Record):
    """One fault action of the file as cleared: with its substituted arguments and its pinned targets."""

    activity: str
    kind: str
    system: str = "sandbox"
    target: str
    arguments: dict[str, Any] = field(default_factory=dict)
    duration: float
    chosen: tuple[str, ...] = ()
    candidates: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort(Record):
    """Why a run was stopped before its end. Moments are epoch seconds.

    `breach` is the reading that broke a stop condition, None when a person or a limit stopped the run;
    `requested` the decision; `first_undo` the first thing that was undone after it, `undone` the last.
    """

    by: str
    rule: str
    requested: float
    undone: float | None = None
    breach: float | None = None
    first_undo: float | None = None

    @property
    def latencies(self) -> tuple[tuple[str, float], ...]:
        """How long each step took, in seconds: from the breach, where there was one, or from the decision."""
        start = self.requested if self.breach is None else self.breach
        steps = (("decision", self.requested), ("first undo", self.first_undo), ("last undo", self.undone))
        return tuple(
            (name, moment - start)
            for name, moment in steps
            if moment is not None and (self.breach is not None or name != "decision")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult(Record):
    """One steady-state probe of the file, as Chaos Toolkit judged it."""

    name: str
    moment: Literal["before", "during", "after"]
    met: bool
    output: str = ""
    tolerance: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOutcome(Record):
    """What Chaos Toolkit said. `status` is None when it died before it could say anything."""

    parts: ClassVar[Mapping[str, type[Record]]] = {"probes": ProbeResult}
    status: str | None = None
    deviated: bool = False
    probes: tuple[ProbeResult, ...] = ()
    activities: tuple[dict[str, Any], ...] = ()
    failed_activities: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence(Record):
    """Everything a verdict may rest on, apart from the samples: read from the run folder alone.

    `refused` are the reasons why nothing was injected, with what to do; none for a run that was played.
    `unplayed` are the rollbacks of the file that failed or were never played, in words; `lost` is how the
    runner was lost, if it was.
    """

    block: ChaosdrillBlock | None = None
    phases: tuple[Phase, ...] = ()
    planned: tuple[PlannedFault, ...] = ()
    faults: tuple[FaultOutcome, ...] = ()
    engine: EngineOutcome = EngineOutcome()
    abort: Abort | None = None
    refused: tuple[str, ...] = ()
    unplayed: tuple[str, ...] = ()
    lost: str = ""


State = Literal["held", "deviated", "inconclusive"]


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Line(Record):
    """One line of the verdict: a state from a fixed list, and the sentence behind it."""

    state: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict(Record):
    """Five independent lines, the criteria behind the second, and what a shell sees.

    execution: completed | aborted | errored | refused · hypothesis: held | deviated | inconclusive |
    not evaluated · response: within | outside | not exercised · cleanup: verified | unverified | failed ·
    coverage: full | partial | none | unknown (no fault of ours in the file). word: HELD | DEVIATED |
    INCONCLUSIVE | NOT EVALUATED | ABORTED | ERRORED | REFUSED | RESIDUE LEFT.
    """

    parts: ClassVar[Mapping[str, type[Record]]] = {
        **dict.fromkeys(("execution", "hypothesis", "response", "cleanup", "coverage"), Line),
        "criteria": CriterionResult,
        "probes": ProbeResult,
    }
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
