"""What every signal says just now, as the guard sees it: a short window per source, and when it last spoke.

A source has a window of its own, so that one that is read every ten seconds makes no other one sluggish.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chaosdrill.model.signal import Sample
from chaosdrill.statistics import Measurement, Rolling

#: A condition looks at the last second, or at three readings where they come slower than that.
WINDOW_SECONDS = 1.0
WINDOW_INTERVALS = 3.0


class Windows:
    """The windows of some sources, given with the seconds between two of their readings."""

    def __init__(self, intervals: Mapping[str, float]) -> None:
        self.intervals = intervals
        self.last_seen: dict[str, float] = {}
        self._windows = {name: Rolling(window_of(seconds)) for name, seconds in intervals.items()}
        self._listener: Callable[[str], None] = _nobody

    @property
    def longest(self) -> float:
        """The longest of the windows, in seconds; 0 without any."""
        return max((window.seconds for window in self._windows.values()), default=0.0)

    def start(self, now: float) -> None:
        """Count silence from `now` (epoch seconds)."""
        self.last_seen = dict.fromkeys(self.intervals, now)

    def listen(self, listener: Callable[[str], None]) -> None:
        """Have `listener` called with the source of each sample, at once and in the thread that sampled."""
        self._listener = listener

    def take(self, sample: Sample) -> None:
        """Take in one sample, from any thread, and have it listened to."""
        self.add(sample)
        self._listener(sample.signal.partition(".")[0])

    def add(self, sample: Sample) -> None:
        """Take in one sample of several that are judged together."""
        name, _, series = sample.signal.partition(".")
        self._windows[name].add(sample)
        if sample.value is not None or not series:
            # A gauge that could not be read says nothing; a request that failed says a lot.
            known = sample.t + (0.0 if series else sample.value or 0.0)
            self.last_seen[name] = max(self.last_seen.get(name, 0.0), known)

    def value(self, signal: str, now: float) -> Measurement:
        """Return what `signal` ('pay.availability') says of the seconds before `now` (epoch seconds)."""
        return self._windows[signal.rpartition(".")[0]].value(signal, now)

    def newest(self, signal: str) -> float | None:
        """Return when its newest sample became known, in epoch seconds; None before the first."""
        return self._windows[signal.rpartition(".")[0]].newest(signal)


def window_of(interval: float) -> float:
    """Return how long a window is over readings that come every `interval` seconds, in seconds."""
    return max(WINDOW_SECONDS, WINDOW_INTERVALS * interval)


def _nobody(_source: str) -> None:
    pass
