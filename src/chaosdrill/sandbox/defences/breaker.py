"""A circuit breaker: after enough failures in a row it stops asking for a while, then tries again by itself.

closed -> open after `threshold` failures in a row; open -> half-open after `rest` seconds, when one probe of
its own is sent (no customer's request is used for that); half-open -> closed or open by that probe's outcome.
Nygard, Release It!, 2nd ed., section 5.2. Knows nothing of what it protects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import IntEnum


class State(IntEnum):
    """In the order from good to bad, so that the worst of several is their maximum."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Breaker:
    """Counts failures; `probe` must raise OSError or TimeoutError as long as the other side is ill."""

    def __init__(
        self,
        threshold: int,
        rest: float,
        probe: Callable[[], Awaitable[None]],
        on_change: Callable[[State], None],
    ) -> None:
        self._threshold = threshold
        self._rest = rest
        self._probe = probe
        self._on_change = on_change
        self._failures = 0
        self._probing: asyncio.Task[None] | None = None
        self.state = State.CLOSED

    def succeeded(self) -> None:
        """Note a call that went well."""
        self._failures = 0

    def failed(self) -> None:
        """Note a call that did not; opens when it was one too many."""
        self._failures += 1
        if self.state is State.CLOSED and self._failures >= self._threshold:
            self._change(State.OPEN)
            self._probing = asyncio.create_task(self._recover())

    async def _recover(self) -> None:
        while self.state is not State.CLOSED:
            await asyncio.sleep(self._rest)
            self._change(State.HALF_OPEN)
            try:
                await self._probe()
            except (OSError, TimeoutError):
                self._change(State.OPEN)
            else:
                self._failures = 0
                self._change(State.CLOSED)

    def _change(self, state: State) -> None:
        self.state = state
        self._on_change(state)
