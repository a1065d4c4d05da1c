"""CPU stress inside an event loop, so that the instance which runs it feels it. Knows nothing of faults."""

from __future__ import annotations

import asyncio

from chaosdrill.sandbox.parts.quota import Quota, burn

#: One slice and one rest take this long together. Ten milliseconds in the event loop of a small server took
#: its p95 from 6 to 18 ms in a prototype, 50 ms took it to 48: felt, and not yet an outage.
PERIOD = 0.010


class LoopBurner:
    """Burns inside a running event loop, so that whatever else the loop serves has to wait for it.

    Ends by itself after `seconds`.
    """

    def __init__(self, load: float, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + seconds
        self._quota = Quota(load, self._loop.time())
        # While a core is free a slice lasts load x period; 1.5 of that leaves room to catch up, and the rest
        # of the period to the server.
        self._longest = min(1.5 * load * PERIOD, 0.98 * PERIOD)
        self._timer = self._loop.call_later(PERIOD, self._turn)

    def _turn(self) -> None:
        start = self._loop.time()
        if start >= self._deadline:
            return
        self._quota.burned(burn(self._quota.slice(start, self._longest)))
        self._timer = self._loop.call_at(max(start + PERIOD, self._loop.time() + 0.0005), self._turn)

    def stop(self) -> None:
        """Stop burning. Right when called twice."""
        self._timer.cancel()
