"""The runner's end of the line to its watchdog. Standard library only: it is started before anything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class Line:
    """One watchdog: `arm`, `beat` while the run goes on, `done` when it was recorded."""

    pid = 0
    alive = True

    def arm(self, orders: Mapping[str, Any], descriptors: Sequence[int]) -> None:
        """Hand over what the watchdog needs to finish the run without us."""

    def beat(self) -> None:
        """Say that this process lives and decides."""

    def done(self) -> None:
        """Say that the run is over and recorded, so that the watchdog ends."""


def started() -> Line:
    """Return a watchdog that has been started."""
    return Line()
