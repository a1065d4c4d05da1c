"""`chaosdrill` with nobody who takes over: only to measure what the watchdog costs a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chaosdrill.__main__ import main
from chaosdrill.watchdog import line


class Nobody(line.Line):
    """A line with nobody at its other end, who always answers."""

    @property
    def alive(self) -> bool:
        """Pretend."""
        return True

    def start(self) -> None:
        """Start nobody."""

    def arm(self, orders: Mapping[str, Any], descriptors: Sequence[int]) -> None:
        """Tell nobody."""

    def armed(self) -> None:
        """Wait for nobody."""

    def beat(self, patience: float = line.SILENCE) -> None:
        """Tell nobody."""

    def rest(self) -> None:
        """Tell nobody."""

    def done(self) -> None:
        """Tell nobody."""


if __name__ == "__main__":
    line.Line = Nobody  # type: ignore[misc]
    main()
