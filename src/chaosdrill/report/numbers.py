"""The key numbers before, during and after: one row per source and phase, unrounded.

Windows are the phases of the record; every number comes from chaosdrill.statistics, so that it is the one
that the verdict judged. Knows nothing of how numbers are shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from chaosdrill import statistics
from chaosdrill.model.run import Phase
from chaosdrill.model.signal import GAUGE_SERIES, REQUEST_SERIES
from chaosdrill.record.samples import Samples
from chaosdrill.statistics import Readings


class RequestNumbers(NamedTuple):
    """A request source in one phase: shares 0 to 1, latencies in seconds, None where nothing was seen."""

    source: str
    phase: str
    seconds: float
    n: int
    availability: float | None
    error_rate: float | None
    timeouts: int
    answered: int
    p50: float | None
    p95: float | None
    p99: float | None
    slowest: float | None

    def enough(self, percentile: str) -> bool:
        """Return whether there were enough latencies for 'p50', 'p95' or 'p99' to mean something."""
        return self.answered >= REQUEST_SERIES[f"{percentile}_latency"].floor


class GaugeNumbers(NamedTuple):
    """A gauge in one phase, in its own unit; None where nothing was read."""

    signal: str
    phase: str
    n: int
    low: float | None
    high: float | None
    last: float | None


class Numbers(NamedTuple):
    """All of them."""

    requests: tuple[RequestNumbers, ...] = ()
    gauges: tuple[GaugeNumbers, ...] = ()


def numbers(samples: Samples, phases: tuple[Phase, ...]) -> Numbers:
    """Return the numbers of every source in every phase; a phase without an end lasts to the last sample."""
    requests: list[RequestNumbers] = []
    gauges: list[GaugeNumbers] = []
    for signal, readings in samples.signals.items():
        for phase, end in _windows(phases, samples.last):
            window = readings.between(phase.start, end)
            if is_gauge(signal):
                gauges.append(_gauge(signal, phase.name, window))
            else:
                requests.append(_requests(signal, phase.name, end - phase.start, window))
    return Numbers(tuple(requests), tuple(gauges))


def is_gauge(signal: str) -> bool:
    """Return whether the column `signal` holds readings of a state and not requests."""
    return signal.rpartition(".")[2] in GAUGE_SERIES and "." in signal


def _windows(phases: tuple[Phase, ...], last: float | None) -> Iterator[tuple[Phase, float]]:
    for phase in phases:
        end = phase.end if phase.end is not None else math.nextafter(last or phase.start, math.inf)
        yield phase, max(end, phase.start)


def _requests(source: str, phase: str, seconds: float, window: Readings) -> RequestNumbers:
    found = statistics.latencies(window)

    def percentile(percent: int) -> float | None:
        return statistics.percentile(found, percent) if found else None

    return RequestNumbers(
        source=source,
        phase=phase,
        seconds=seconds,
        n=len(window),
        availability=statistics.availability(window).value,
        error_rate=statistics.error_rate(window).value,
        timeouts=int(statistics.timeouts(window).value or 0),
        answered=len(found),
        p50=percentile(50),
        p95=percentile(95),
        p99=percentile(99),
        slowest=percentile(100),
    )


def _gauge(signal: str, phase: str, window: Readings) -> GaugeNumbers:
    seen = [value for value in window.value if not math.isnan(value)]
    if not seen:
        return GaugeNumbers(signal, phase, 0, None, None, None)
    return GaugeNumbers(signal, phase, len(seen), min(seen), max(seen), seen[-1])
