"""How many instances there should be, from the CPU they use: the rule of Kubernetes' HorizontalPodAutoscaler.

wanted = ceil(current x mean / target), unless mean / target is within 10 % of 1; it grows by the smallest
recommendation of a short window and shrinks by the largest of a long one, so that a spike moves nothing
(kubernetes.io, "Horizontal Pod Autoscaling", algorithm details and stabilization window). Pure.
"""

from __future__ import annotations

import math
from collections import deque

#: Share of one core: 60 % of a request of a quarter of a core. At 200 checkouts per second an instance uses
#: 0.06; two workers at 80 % in one of three make 0.53 on average, and still 0.25 when two other programs want
#: all they can get of a machine with two cores.
TARGET = 0.15
TOLERANCE = 0.1
GROW_AFTER = 10.0
SHRINK_AFTER = 45.0


class Autoscaler:
    """Remembers recommendations; `decide` is called about once a second."""

    def __init__(self, smallest: int, largest: int) -> None:
        self._smallest = smallest
        self._largest = largest
        self._seen: deque[tuple[float, int]] = deque()
        self._began: float | None = None

    def decide(self, now: float, current: int, cpus: list[float]) -> int:
        """Return how many instances there should be; `cpus` are shares of a core of those that are ready."""
        if self._began is None:
            self._began = now
        self._seen.append((now, self._recommend(current, cpus)))
        while self._seen and self._seen[0][0] < now - SHRINK_AFTER:
            self._seen.popleft()
        lowest = min(n for t, n in self._seen if t >= now - GROW_AFTER)
        highest = max(n for _, n in self._seen)
        if lowest > current and now - self._began >= GROW_AFTER:
            return lowest
        if highest < current and now - self._began >= SHRINK_AFTER:
            return highest
        return current

    def _recommend(self, current: int, cpus: list[float]) -> int:
        ratio = sum(cpus) / len(cpus) / TARGET if cpus else 1.0
        wanted = current if abs(ratio - 1) <= TOLERANCE else math.ceil(len(cpus) * ratio)
        return max(self._smallest, min(self._largest, wanted))
