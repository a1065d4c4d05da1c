"""Run folders for tests and benchmarks, written as the runner writes them, without running anything.

Everything in them follows from a Story and its seed, so that two builds are equal byte for byte. It goes
through the record's own writers and knows nothing of how a report or a verdict is made.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from chaosdrill import __version__
from chaosdrill.clock import ManualClock, iso
from chaosdrill.model.experiment import ChaosdrillBlock
from chaosdrill.model.signal import Sample
from chaosdrill.record.evidence import evidence
from chaosdrill.record.folder import ENGINE, ENGINE_LOG, JOURNAL, LEDGER, SAMPLES, RunFolder
from chaosdrill.record.journal import Event, Journal
from chaosdrill.record.ledger import Entry, Ledger, Undoing
from chaosdrill.record.samples import SampleWriter, read_samples
from chaosdrill.verdict import judge

Variant = Literal["held", "deviated", "inconclusive", "aborted", "residue", "plain", "crashed"]

#: 2026-11-21T10:02:11Z
OPENED = 1_795_255_331.0
_FAULT = "f1-7c01d2"
_HIT = ("payment-api-2",)
_DIGEST = "sha256:9f2c5d0e6a7b41c8833e0f7d5a1b6c2d4e8f9a0b1c2d3e4f5061728394a5b6c7"


@dataclass(frozen=True, slots=True)
class Story:
    """What the folder shall tell of.

    `samples` requests at `rate` per second make the length of the run: a seventh of it is baseline, three
    sevenths each are fault and recovery. `activities` counts the fault action too. `spike` is the latency, in
    seconds, of one request in the middle of the fault; `gap` is (seconds after the fault's start, seconds)
    without a single sample.
    """

    variant: Variant = "held"
    title: str = "Payments survive the loss of one instance"
    samples: int = 3500
    rate: float = 50.0
    activities: int = 3
    spike: float | None = None
    gap: tuple[float, float] | None = None
    seed: int = 7

    @property
    def has_fault(self) -> bool:
        """Whether chaosdrill injects anything; a plain Chaos Toolkit file has no block either."""
        return self.variant != "plain"


def build_run_folder(path: Path, story: Story | None = None) -> RunFolder:
    """Write the folder that a run such as `story` leaves at `path`, and return it.

    Raises RecordUnusable when it can't be written.
    """
    tale = _Tale(story or Story())
    path.mkdir(parents=True, exist_ok=True)
    folder = RunFolder(path)
    folder.write_text("experiment.yaml", f"title: {json.dumps(tale.story.title)}\n")
    if tale.story.has_fault:
        _write_ledger(folder, tale)
        _write_samples(folder.file(SAMPLES), tale)
    folder.write_text(ENGINE_LOG, "[INFO] Experiment started\n")
    if tale.story.variant != "crashed":
        folder.write_text(ENGINE, json.dumps(_engine(tale), indent=1))
    folder.write_facts(_facts(folder, tale))
    _write_journal(folder, tale)
    if tale.lost is None:
        _seal(folder, tale)
    return folder


def _seal(folder: RunFolder, tale: _Tale) -> None:
    verdict = judge(evidence(folder), read_samples(folder.file(SAMPLES)))
    journal = Journal(folder.file(JOURNAL), ManualClock(OPENED))
    said = {"word": verdict.word, "exit_code": verdict.exit_code, "why": verdict.why}
    journal.write("run.judged", at=tale.ended + 0.2, **said)
    journal.write("run.sealed", at=tale.ended + 0.3)
    journal.close()
    ended = iso(tale.ended + 0.3)
    folder.update_facts(state="sealed", ended=ended, verdict=verdict.as_json())
    folder.update_facts(checksums=folder.checksums())


class _Tale:
    """When what happened, in epoch seconds."""

    def __init__(self, story: Story) -> None:
        self.story = story
        seventh = (story.samples / story.rate if story.has_fault else 3.5) / 7
        self.baseline = OPENED + 0.4
        self.fault = self.baseline + seventh
        self.undone = self.fault + 3 * seventh
        self.breach: float | None = None
        if story.variant == "aborted":
            self.breach = self.fault + seventh
            self.undone = self.breach + 0.31
        self.ended = self.undone + (3 * seventh if self.breach is None else 0.6)
        self.lost = self.fault + seventh if story.variant == "crashed" else None
        self.planned = 3 * seventh

    @property
    def sampled_until(self) -> float:
        return self.lost or self.ended

    @property
    def block(self) -> ChaosdrillBlock | None:
        if not self.story.has_fault:
            return None
        return ChaosdrillBlock.model_validate(
            {
                "service": "payment-api",
                "hypothesis": "When one instance dies, customers notice nothing, and it is soon back.",
                "expected-outcome": "The supervisor restarts it; the balancer routes around it meanwhile.",
                "signals": {
                    "pay": {
                        "http": {"url": "http://127.0.0.1:8080/checkout", "rate": f"{self.story.rate:g}"}
                    },
                    "instances": {"target": "payment-api"},
                },
                "criteria": [
                    {"signal": "pay.availability", "above": "99.9 %", "over": "phase"},
                    {"signal": "pay.error_rate", "below": "0.5 %", "over": "phase"},
                    {"signal": "pay.p95_latency", "below": "500 ms", "over": "10 s"},
                    {"signal": "instances.ready", "at-least": "3", "within": "1 min", "after": "fault-end"},
                ],
                "abort-when": [{"signal": "pay.availability", "below": "95 %", "for": "5 s"}],
                "blast-radius": {"max-targets": "1", "max-share": "34 %"},
            }
        )

    def activities(self) -> Iterator[tuple[str, str, float, float]]:
        """Yield name, type, start and end of the method's activities; the fault action is among them."""
        count = self.story.activities
        if self.story.has_fault:
            yield "fail-one-instance", "action", self.fault - 0.02, self.undone + 0.02
            count = 0 if self.breach else count - 1
        room = (self.ended - self.undone - 0.1) / max(count, 1)
        for n in range(count):
            start = self.undone + 0.05 + n * room
            name = f"look-at-order-{n + 1}" if n % 2 else f"place-order-{n + 1}"
            yield name, "probe" if n % 2 else "action", start, start + min(0.012, room * 0.8)


# ---- run.json


def _facts(folder: RunFolder, tale: _Tale) -> dict[str, Any]:
    block = tale.block
    return {
        "version": 1,
        "id": folder.id,
        "state": "open",
        "title": tale.story.title,
        "service": block.service if block else None,
        "environment": "sandbox",
        "hypothesis": (block.hypothesis if block else None) or "Payments keep flowing",
        "expected_outcome": block.expected_outcome if block else None,
        "source": {
            "path": "experiments/sandbox/pod-failure.yaml",
            "file": "experiment.yaml",
            "digest": _DIGEST,
        },
        "actor": "ada@bench",
        "pid": 4242,
        "versions": {"chaosdrill": __version__, "chaostoolkit-lib": "1.44.0", "python": "3.11.7"},
        "started": iso(OPENED),
        "ended": None,
        "block": block.model_dump(mode="json", by_alias=True) if block else None,
        "configuration": {"fault_seconds": f"{tale.planned:g}"} if block else {},
        "planned": _planned(tale) if block else [],
        "warnings": ["the file has no rollbacks; only chaosdrill's own undo is played"] if block else [],
        "options": {"hypothesis_strategy": "default", "rollback_strategy": "always"},
        "verdict": None,
        "checksums": {},
    }


def _planned(tale: _Tale) -> list[dict[str, Any]]:
    return [
        {
            "activity": "fail-one-instance",
            "kind": "instance_failure",
            "system": "sandbox",
            "target": "payment-api",
            "arguments": {"target": "payment-api", "count": 1, "duration": f"{tale.planned:g} s"},
            "duration": tale.planned,
            "chosen": list(_HIT),
            "candidates": 3,
        }
    ]


# ---- ledger.jsonl and journal.jsonl


def _write_ledger(folder: RunFolder, tale: _Tale) -> None:
    clock = ManualClock(tale.fault - 0.02)
    ledger = Ledger(folder.file(LEDGER), clock)
    ledger.intend(
        Entry(
            _FAULT, "instance_failure", "sandbox", "payment-api", "fail-one-instance", _HIT, tale.planned, {}
        )
    )
    clock.advance(0.02)
    ledger.active(_FAULT)
    if tale.lost is None:
        clock.advance(tale.undone - clock.now())
        how = "abort" if tale.breach else "time limit"
        ledger.undone(_FAULT, Undoing(tale.undone, _residue(tale)), how)


def _residue(tale: _Tale) -> tuple[str, ...]:
    return ("payment-api-2 is still held down",) if tale.story.variant == "residue" else ()


def _write_journal(folder: RunFolder, tale: _Tale) -> None:
    rows = sorted(_events(tale, folder), key=lambda row: row["at"])
    journal = Journal(folder.file(JOURNAL), ManualClock(OPENED))
    for row in rows:
        if tale.lost is None or row["at"] <= tale.lost:
            journal.write(row.pop("event"), **row)
    journal.close()


def _events(tale: _Tale, folder: RunFolder) -> Iterator[Event]:
    def at(when: float, event: str, /, **facts: Any) -> Event:
        return {"at": when, "event": event, **facts}

    yield at(OPENED, "run.opened", id=folder.id, title=tale.story.title)
    if tale.story.has_fault:
        yield from _watched(tale, at)
    yield at(OPENED + 0.2, "engine.started", pid=4243)
    for moment, start in (("before", tale.baseline + 0.1), ("after", tale.ended - 0.06)):
        if moment == "after" and tale.breach:
            continue
        yield at(start, "hypothesis.started", moment=moment)
        yield at(start + 0.02, "hypothesis.ended", moment=moment, met=True)
    for name, kind, start, end in tale.activities():
        said = {"name": name, "type": kind, "section": "method"}
        yield at(start, "activity.started", **said, background=False)
        failed = tale.breach and name == "fail-one-instance"
        error = {"error": "chaoslib.exceptions.InterruptExecution: the run is being stopped"}
        outcome = {"status": "failed", **error} if failed else {"status": "succeeded"}
        yield at(end, "activity.ended", **said, **outcome)
    status = "interrupted" if tale.breach else "completed"
    yield at(tale.ended - 0.02, "engine.ended", status=status, deviated=False, code=20 if tale.breach else 0)


def _watched(tale: _Tale, at: Callable[..., Event]) -> Iterator[Event]:
    told = {"id": _FAULT, "kind": "instance_failure", "hit": list(_HIT)}
    pinned = {"kind": "instance_failure", "target": "payment-api", "chosen": list(_HIT), "candidates": 3}
    yield at(OPENED + 0.1, "scope.pinned", activity="fail-one-instance", **pinned, duration=tale.planned)
    yield at(OPENED + 0.3, "signals.started", sources=["pay", "instances"])
    yield at(tale.baseline, "phase.started", phase="baseline", seconds=tale.fault - tale.baseline)
    yield at(tale.fault, "phase.started", phase="fault", seconds=tale.planned)
    intended = {**told, "activity": "fail-one-instance", "target": "payment-api"}
    yield at(tale.fault - 0.02, "fault.intended", **intended, duration=tale.planned)
    yield at(tale.fault, "fault.active", **told, duration=tale.planned)
    if tale.breach:
        rule = "pay.availability below 95 % for 5 s"
        yield at(tale.breach, "guard.breach", rule=rule, value="91.2 %")
        yield at(tale.breach + 0.001, "abort.requested", by="guard", rule=rule)
        yield at(tale.breach + 0.004, "unwind.started", count=1)
        yield at(tale.undone + 0.03, "unwind.ended", residue=[])
    how = "abort" if tale.breach else "time limit"
    yield at(tale.undone, "fault.undone", **told, residue=list(_residue(tale)), how=how)
    yield at(tale.undone + 0.01, "phase.started", phase="recovery", seconds=tale.ended - tale.undone)
    yield at(tale.ended, "phase.started", phase="ended")
    yield at(tale.ended + 0.1, "signals.stopped", samples=tale.story.samples)


# ---- samples.csv


def _samples(tale: _Tale) -> Iterator[Sample]:
    dice = random.Random(tale.story.seed)
    due = tale.baseline
    gap_from, gap_for = tale.story.gap or (0.0, 0.0)
    spike_due = (tale.fault + tale.undone) / 2 if tale.story.spike else float("inf")
    reading = tale.baseline
    while due < tale.sampled_until:
        silent = gap_from <= due - tale.fault < gap_from + gap_for
        if not silent:
            if due >= spike_due and tale.story.spike:
                yield Sample(due, "pay", tale.story.spike, True, "200")
                spike_due = float("inf")
            else:
                yield _request(due, tale, dice)
        if due >= reading:
            if not silent:
                yield from _readings(reading, tale, dice)
            reading += 1.0
        due += 1 / tale.story.rate


def _request(due: float, tale: _Tale, dice: random.Random) -> Sample:
    latency = dice.lognormvariate(-4.6, 0.35)
    if tale.fault <= due < tale.undone:
        if tale.story.variant in ("deviated", "aborted") and dice.random() < 0.09:
            return Sample(due, "pay", 2.0, False, "timeout")
        worse = {"deviated": 22.0, "aborted": 25.0}.get(tale.story.variant, 2.4)
        latency *= worse if dice.random() < 0.34 else 1.1
    return Sample(due, "pay", round(latency, 6), True, "200")


def _readings(due: float, tale: _Tale, dice: random.Random) -> Iterator[Sample]:
    down = tale.fault <= due < tale.undone + 1.5 or (tale.story.variant == "residue" and due >= tale.fault)
    yield Sample(due, "instances.ready", 2.0 if down else 3.0, True)
    yield Sample(due, "instances.cpu", round((0.31 if down else 0.21) + dice.gauss(0, 0.015), 4), True)


def _write_samples(path: Path, tale: _Tale) -> None:
    writer = SampleWriter(path)
    for sample in _samples(tale):
        writer.write(sample)
    writer.close()


# ---- engine.json


def _engine(tale: _Tale) -> dict[str, Any]:
    probe = {
        "type": "probe",
        "name": "checkout-answers",
        "tolerance": 200,
        "provider": {"type": "http", "url": "http://127.0.0.1:8080/checkout", "timeout": 2},
    }

    def run(activity: dict[str, Any], start: float, end: float, **said: Any) -> dict[str, Any]:
        times = {"start": _zoned(start), "end": _zoned(end), "duration": round(end - start, 6)}
        return {"activity": activity, "output": None, "status": "succeeded", **times, **said}

    def steady(start: float) -> dict[str, Any]:
        output = {"status": 200, "headers": {}, "body": '{"order": 17}'}
        return {
            "steady_state_met": True,
            "probes": [run(probe, start, start + 0.02, output=output, tolerance_met=True)],
        }

    method = []
    for name, kind, start, end in tale.activities():
        provider = {"type": "python", "module": "chaosdrill.actions", "func": "instance_failure"}
        failed = bool(tale.breach) and name == "fail-one-instance"
        said: dict[str, Any] = {"status": "failed", "exception": ["Traceback\n", "InterruptExecution\n"]}
        method.append(
            run({"type": kind, "name": name, "provider": provider}, start, end, **(said if failed else {}))
        )
    title = tale.story.title
    return {
        "chaoslib-version": "1.44.0",
        "platform": "Linux",
        "node": "bench",
        "experiment": {
            "title": title,
            "description": "One of three instances is killed and held down.",
            "steady-state-hypothesis": {"title": "Payments keep flowing", "probes": [probe]},
            "method": [run["activity"] for run in method],
            "rollbacks": [],
        },
        "start": _zoned(OPENED),
        "status": "interrupted" if tale.breach else "completed",
        "deviated": False,
        "steady_states": {
            "before": steady(tale.baseline + 0.1),
            "after": None if tale.breach else steady(tale.ended - 0.06),
            "during": [],
        },
        "run": method,
        "rollbacks": [],
        "end": _zoned(tale.ended),
        "duration": tale.ended - OPENED,
    }


def _zoned(moment: float) -> str:
    """Return UTC as Chaos Toolkit writes it: '2026-11-21T10:02:11.250000+00:00'."""
    return iso(moment).replace("Z", "000+00:00")
