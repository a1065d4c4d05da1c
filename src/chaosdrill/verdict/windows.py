"""Where a criterion looks: stretches of the run, the windows in them, and moments as T+.

Pure arithmetic on phases; knows nothing of thresholds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from chaosdrill.model.run import Phase
from chaosdrill.units import format_duration

#: Windows slide by this share of their length: a bad stretch can't hide by straddling two of them.
_HOP = 0.1

#: So many windows are enough for 13 hours in steps of one second; a longer run is looked at in wider steps.
_MOST = 50_000

#: A stretch may be this much shorter than the window that is asked of it.
_NEARLY = 0.99


class Span(NamedTuple):
    """A stretch of time in epoch seconds; `end` is not part of it."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.start

    def overlap(self, other: Span) -> float:
        """Return how many seconds the two share."""
        return max(0.0, min(self.end, other.end) - max(self.start, other.start))


def stretches(phases: Sequence[Phase], names: Iterable[str], last: float | None) -> list[Span]:
    """Return the phases called `names` in order of time, those that follow each other as one.

    A phase that never ended (the runner died in it) ends with the `last` sample.
    """
    wanted = set(names)
    found: list[Span] = []
    for phase in sorted(phases, key=lambda p: p.start):
        end = phase.end if phase.end is not None else max(phase.start, last or phase.start)
        if phase.name not in wanted or end <= phase.start:
            continue
        if found and phase.start - found[-1].end < 0.001:
            found[-1] = Span(found[-1].start, end)
        else:
            found.append(Span(phase.start, end))
    return found


def windows(span: Span, seconds: float) -> list[Span]:
    """Return every window of that many seconds in `span`, sliding by a tenth, the last flush with its end.

    A shorter span gives itself, as one window that is too short; see `is_full`.
    """
    if span.seconds <= seconds:
        return [span]
    hop = max(seconds * _HOP, span.seconds / _MOST)
    starts = [span.start + i * hop for i in range(int((span.seconds - seconds) / hop + 1e-9) + 1)]
    if span.end - seconds - starts[-1] > 1e-6:
        starts.append(span.end - seconds)
    return [Span(start, start + seconds) for start in starts]


def is_full(window: Span, seconds: float) -> bool:
    """Return whether `window` is as long as asked."""
    return window.seconds >= seconds * _NEARLY


def anchor(phases: Sequence[Phase], after: str) -> float | None:
    """Return when the first fault phase started or the last one ended; None when that never happened."""
    faults = sorted((p for p in phases if p.name == "fault"), key=lambda p: p.start)
    if not faults:
        return None
    return faults[0].start if after == "fault-start" else faults[-1].end


def t_plus(phases: Sequence[Phase], moment: float) -> str:
    """Return `moment` as people say it in a drill: 'T+34 s', counted from the start of the first phase."""
    start = min((p.start for p in phases), default=moment)
    return f"T+{format_duration(round(max(0.0, moment - start), 1))}"
