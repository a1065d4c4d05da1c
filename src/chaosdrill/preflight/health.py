"""The item *monitoring*: every signal answers now, the system is in its steady state, and it is left alone.

A system that is already unwell is not experimented on. A second of samples proves no percentile, so that too
few are no reason to refuse; silence is, and so is what luck would hardly show.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from chaosdrill import statistics
from chaosdrill.errors import ChaosdrillError
from chaosdrill.model.checklist import Check, Finding
from chaosdrill.model.signal import REQUEST_SERIES, Sample, format_value
from chaosdrill.preflight.subject import Subject
from chaosdrill.statistics import Measurement, Readings

if TYPE_CHECKING:
    # Typed only: a plain Chaos Toolkit file never waits for pydantic before it is played.
    from chaosdrill.model.bounds import Bound

#: How long the system is looked at, in seconds; a slower source is waited for a little longer.
LOOK = 1.0
LONGEST_LOOK = 3.0
#: One bad second may be the start of our own measurement, or a neighbour; so many in a row are the system.
LOOKS = 3


def monitoring(subject: Subject) -> Finding:
    """Signals that answer, a system that is well, nothing that says to leave it alone."""
    item = "monitoring"
    if subject.rules.strict and (missing := _missing(subject)):
        return Finding(item, "failed", *missing)
    checks = [*_left_alone(subject), *_signals(subject)]
    bad = [check for check in checks if not check.ok]
    if bad:
        said = "; ".join(check.said for check in bad)
        return Finding(item, "failed", said, bad[0].next_step, checks=tuple(checks))
    if subject.block is not None and subject.block.signals:
        return Finding(item, "proved", "; ".join(check.said for check in checks), checks=tuple(checks))
    probes = subject.outline.probes
    first = f"; Chaos Toolkit asks its {probes} probe{'' if probes == 1 else 's'} first" if probes else ""
    said = f"nothing is measured, which {subject.policy} allows{first}"
    return Finding(item, "not needed", said, checks=tuple(checks))


def _missing(subject: Subject) -> tuple[str, str] | None:
    """Return what a strict environment lacks of a run, and what to write; None when it lacks nothing."""
    block = subject.block
    if block is None and subject.rules.plain_files and subject.outline.probes:
        return None
    if block is None or not block.signals:
        return "nothing is measured", "write `signals:` and `abort-when:`"
    if not block.abort_when:
        hint = "write `abort-when:`, such as {signal: pay.availability, below: 95 %}"
        return "nothing would stop the run: it has no stop condition", hint
    return None


def _left_alone(subject: Subject) -> list[Check]:
    rules = subject.rules
    if not (rules.quiet.alerts or rules.quiet.deployments or rules.quiet.after_deviation):
        return []
    # Imported here: it reads run folders, and only policies that ask for quiet need it.
    from chaosdrill.preflight.quiet import quiet

    around, service = subject.around, subject.block.service if subject.block else None
    return quiet(rules, service, subject.asked.home, around.clock.now(), around.firing, around.deploying)


def _signals(subject: Subject) -> Iterator[Check]:
    if subject.block is None or not subject.block.signals:
        return
    reached = {}
    for name, signal in subject.around.signals().items():
        try:
            signal.check()
        except ChaosdrillError as error:
            yield Check(name, False, f"{name} does not answer: {error.message}", next_step=error.next_step)
        else:
            reached[name] = signal
    if len(reached) < len(subject.block.signals):
        return
    unwell: list[Check] = []
    for _ in range(LOOKS):
        unwell = list(_unwell(subject, _sampled(subject)))
        if not unwell:
            break
    if not any(check.name in reached for check in unwell):
        yield Check("signals", True, f"{', '.join(reached)} answer{'s' if len(reached) == 1 else ''}")
    yield from unwell
    if not unwell:
        yield Check("steady state", True, "the system is well now")


def _sampled(subject: Subject) -> dict[str, Readings]:
    """Return about a second of readings, by the column that they belong to."""
    clock, signals = subject.around.clock, subject.around.signals()
    lock, samples, waiting = threading.Lock(), list[Sample](), set(signals)
    everything = threading.Event()

    def take(sample: Sample) -> None:
        with lock:
            samples.append(sample)
            waiting.discard(_source(sample.signal))
            if not waiting:
                everything.set()

    began = clock.mono()
    for signal in signals.values():
        signal.start(take)
    try:
        clock.wait(threading.Event(), LOOK)
        clock.wait(everything, LONGEST_LOOK - (clock.mono() - began))
    finally:
        for signal in signals.values():
            with suppress(ChaosdrillError):
                signal.stop()
    columns: dict[str, list[Sample]] = {}
    for sample in samples:
        columns.setdefault(sample.signal, []).append(sample)
    return {name: Readings.of(found) for name, found in columns.items()}


def _unwell(subject: Subject, seen: Mapping[str, Readings]) -> Iterator[Check]:
    """Yield one failed check for each silent signal, and each limit that the system is beyond already."""
    assert subject.block is not None
    there = {_source(column) for column, readings in seen.items() if len(readings)}
    for name in subject.block.signals:
        if name not in there:
            said = f"{name} answers, but gives no samples"
            yield Check(name, False, said, next_step=f"check signals.{name}")
    for condition in subject.block.abort_when:
        if condition.signal and (bad := _beyond(condition, seen, is_bad=True)):
            rule = f"the run would stop at once: {condition.signal} is {bad} ({condition.sentence()})"
            yield Check(condition.signal, False, rule, next_step="wait until the system is well")
    for criterion in subject.block.criteria:
        # What must come true during a fault need not be true before it.
        lasting = "recovery" in criterion.phase and (
            criterion.within is None or criterion.after == "fault-end"
        )
        if lasting and (bad := _beyond(criterion, seen, is_bad=False)):
            rule = (
                f"the system is not in its steady state: {criterion.signal} is {bad}, not {_limit(criterion)}"
            )
            yield Check(criterion.signal, False, rule, next_step="wait until the system is well")


def _limit(bound: Bound) -> str:
    return (
        bound.sentence()
        .removeprefix(bound.signal)
        .split(" within ")[0]
        .split(" over ")[0]
        .split(" in every ")[0]
        .strip()
    )


def _beyond(bound: Bound, seen: Mapping[str, Readings], *, is_bad: bool) -> str:
    """Return what a signal says now when that is beyond its limit for certain, '' otherwise."""
    request = bound.series.name in REQUEST_SERIES
    window = seen.get(bound.source if request else bound.signal)
    if window is None:
        return ""
    if not request:
        known = [value for value in window.value if not math.isnan(value)]
        found = Measurement(known[-1] if known else None, len(known))
    else:
        found = statistics.measure(bound.series.name, window)
    if found.value is None or bound.allows(found.value) != is_bad:
        return ""
    if found.n < statistics.needed(bound.series, bound.threshold) and not _unlikely(bound, window, found):
        return ""
    return format_value(found.value, bound.series.unit)


def _unlikely(bound: Bound, window: Readings, found: Measurement) -> bool:
    """Return whether a system within its limit would show so many bad samples by luck hardly ever."""
    share = statistics.allowed_share(bound.series, bound.threshold)
    if share is None or found.value is None:
        return False
    if bound.series.unit == "share":
        bad = round((1 - found.value if bound.series.name == "availability" else found.value) * found.n)
    else:
        bad = sum(1 for latency in statistics.latencies(window) if latency > bound.threshold)
    return statistics.at_least_by_luck(bad, found.n, share) < statistics.DOUBT


def _source(column: str) -> str:
    return column.partition(".")[0]
