"""Where samples go while a run is on: to the disk, to the guard's windows, and to whoever watches."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chaosdrill.errors import RecordUnusable
from chaosdrill.execute.windows import WINDOW_INTERVALS, Windows
from chaosdrill.model.signal import Sample
from chaosdrill.ports import Signal
from chaosdrill.record.samples import SampleWriter
from chaosdrill.statistics import Rolling

if TYPE_CHECKING:
    # Typed only: a plain Chaos Toolkit file never waits for pydantic before it is played.
    from chaosdrill.model.experiment import ChaosdrillBlock, SourceSpec


#: What is shown live is the mean over this long; a criterion may be judged over any other window.
LIVE_SECONDS = 5.0
#: Points of a sparkline, one a second.
HISTORY = 60


@dataclass(frozen=True, slots=True)
class Reading:
    """The newest value of one series, with its last minute."""

    signal: str
    value: float | None
    count: int
    history: tuple[float | None, ...]


class Sampling:
    """All sources of one run."""

    def __init__(self, sources: Mapping[str, Signal], block: ChaosdrillBlock, writer: SampleWriter) -> None:
        self.sources = sources
        self._writer = writer
        bounds = (*block.criteria, *block.abort_when)
        self._watched = tuple(dict.fromkeys(bound.signal for bound in bounds if bound.signal))
        self.intervals = {name: _interval(spec) for name, spec in block.signals.items()}
        slowest = max(self.intervals.values(), default=0.0)
        self.live = Rolling(max(LIVE_SECONDS, WINDOW_INTERVALS * slowest))
        self.windows = Windows(self.intervals)
        #: The whole baseline, until it is over.
        self.baseline: Rolling | None = Rolling(max(block.phases.baseline, WINDOW_INTERVALS * slowest))
        self._history: dict[str, deque[float | None]] = {s: deque(maxlen=HISTORY) for s in self._watched}
        self.count = 0
        self.running = False

    def start(self) -> None:
        """Begin to sample."""
        self.running = True
        for source in self.sources.values():
            source.start(self._take)

    @property
    def failure(self) -> str:
        """Why samples can't be written at the moment; empty while they can."""
        return self._writer.failure

    def stop(self) -> str:
        """End every source and write out what was in flight; return what was lost, in words, if anything."""
        self.running = False
        for source in self.sources.values():
            source.stop()
        try:
            self._writer.close()
        except RecordUnusable as error:
            return str(error)
        return ""

    def _take(self, sample: Sample) -> None:
        self._writer.write(sample)
        self.live.add(sample)
        if (baseline := self.baseline) is not None:
            baseline.add(sample)
        self.count += 1
        # Last, for the guard judges in here.
        self.windows.take(sample)

    def remember(self, now: float) -> None:
        """Keep this moment's values for the sparklines; called once a second."""
        for signal, history in self._history.items():
            history.append(self.live.value(signal, now)[0])

    def readings(self, now: float) -> Iterable[Reading]:
        """Return the newest value of every series that a criterion or a stop condition names."""
        for signal in self._watched:
            value, count = self.live.value(signal, now)
            yield Reading(signal, value, count, tuple(self._history[signal]))


def _interval(spec: SourceSpec) -> float:
    if spec.http is not None:
        return 1.0 / spec.http.rate
    return 1.0 / spec.tcp.rate if spec.tcp is not None else spec.every
