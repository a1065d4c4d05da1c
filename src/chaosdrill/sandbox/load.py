"""Background traffic: customers who arrive at a fixed rate, whatever the answers do.

`python -m chaosdrill.sandbox.load`. Reports to the supervisor once a second. It is scenery, not evidence:
what a verdict rests on is measured elsewhere.
"""

from __future__ import annotations

import asyncio
from collections import deque

from chaosdrill.sandbox.parts.channel import Message
from chaosdrill.sandbox.parts.http import Client, ConnectionLost, Request
from chaosdrill.sandbox.parts.runtime import Runtime, run

TIMEOUT = 5.0
#: Customers who wait at the same time; more arrivals than that are dropped and count as failed.
MOST_WAITING = 2000


class Load:
    """Sends, counts, reports."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._port: int = runtime.settings["balancer_port"]
        self._rate: float = runtime.settings["rate"]
        self._client = Client()
        self._waiting: set[asyncio.Task[None]] = set()
        self._latencies: deque[float] = deque(maxlen=1000)
        self._sent = 0
        self._failed = 0

    def set_rate(self, message: Message) -> None:
        """Change the arrivals per second."""
        self._rate = message["rate"]

    async def send(self) -> None:
        """Let customers arrive, for ever."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + 1 / self._rate, loop.time() - 1.0)
            await asyncio.sleep(max(0.0, due - loop.time()))
            self._sent += 1
            if len(self._waiting) >= MOST_WAITING:
                self._failed += 1
                continue
            task = asyncio.create_task(self._shop(due))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    async def _shop(self, due: float) -> None:
        try:
            response = await self._client.send(self._port, Request("GET", "/checkout"), TIMEOUT)
        except (ConnectionLost, TimeoutError):
            self._failed += 1
            return
        self._failed += response.status >= 400
        self._latencies.append(asyncio.get_running_loop().time() - due)

    async def report(self) -> None:
        """Tell the supervisor once a second how it goes."""
        while True:
            await asyncio.sleep(1.0)
            waited = sorted(self._latencies)
            self._runtime.channel.tell(
                event="load",
                sent=self._sent,
                failed=self._failed,
                p50=waited[len(waited) // 2] if waited else None,
                p95=waited[int(len(waited) * 0.95)] if waited else None,
            )


async def load(runtime: Runtime) -> None:
    """Send customers until told to leave."""
    traffic = Load(runtime)
    runtime.on("rate", traffic.set_rate)
    tasks = [asyncio.create_task(traffic.send()), asyncio.create_task(traffic.report())]
    await runtime.until_told_to_leave()
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    run(load)
