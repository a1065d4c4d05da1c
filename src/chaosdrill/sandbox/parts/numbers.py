"""What a process counts, and how Prometheus reads it.

Counting is adding to a dictionary; prometheus-client is imported when somebody scrapes, because its import
takes longer than starting everything else in the process. Knows no metric by name.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from typing import Any

#: Seconds. From a fast local answer to beyond every time-out in the sandbox.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

Labels = tuple[tuple[str, str], ...]


class Numbers:
    """Counters, gauges and latency histograms of one process; `constant` labels go on every series."""

    def __init__(self, helps: Mapping[str, str], constant: Mapping[str, str]) -> None:
        self._helps = helps
        self._constant = dict(constant)
        self._counters: dict[str, dict[Labels, float]] = {}
        self._histograms: dict[str, list[float]] = {}
        self._gauges: dict[str, Callable[[], float]] = {}

    def count(self, name: str, by: float = 1.0, **labels: str) -> None:
        """Add to the counter `name` (without `_total`); adding 0 lets it be seen before anything happens."""
        series = self._counters.setdefault(name, {})
        key = tuple(labels.items())
        series[key] = series.get(key, 0.0) + by

    def observe(self, name: str, seconds: float) -> None:
        """Add one duration to the histogram `name`; the last cell holds the sum."""
        cells = self._histograms.setdefault(name, [0.0] * (len(BUCKETS) + 2))
        cells[bisect_left(BUCKETS, seconds)] += 1
        cells[-1] += seconds

    def gauge(self, name: str, read: Callable[[], float]) -> None:
        """Read the gauge `name` by calling `read` at each scrape."""
        self._gauges[name] = read

    def exposition(self) -> tuple[str, bytes]:
        """Return the content type and the page that Prometheus scrapes."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

        registry = CollectorRegistry()
        registry.register(self)
        return CONTENT_TYPE_LATEST, generate_latest(registry)

    def collect(self) -> Iterator[Any]:
        """Yield every family; prometheus-client calls this."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        constant = list(self._constant.items())
        for name, series in self._counters.items():
            names = [k for k, _ in constant] + [k for k, _ in next(iter(series))]
            counter = CounterMetricFamily(name, self._helps[name], labels=names)
            for labels, value in series.items():
                counter.add_metric([v for _, v in constant] + [v for _, v in labels], value)
            yield counter
        names, values = [k for k, _ in constant], [v for _, v in constant]
        for name, read in self._gauges.items():
            gauge = GaugeMetricFamily(name, self._helps[name], labels=names)
            gauge.add_metric(values, read())
            yield gauge
        for name, cells in self._histograms.items():
            histogram = HistogramMetricFamily(name, self._helps[name], labels=names)
            histogram.add_metric(values, list(_cumulative(cells)), cells[-1])
            yield histogram


def _cumulative(cells: list[float]) -> Iterator[tuple[str, float]]:
    seen = 0.0
    for edge, count in zip((*map(str, BUCKETS), "+Inf"), cells, strict=False):
        seen += count
        yield edge, seen
