"""Which instance of a service gets a request, and what happens when it does not answer.

Two ways to notice an ill instance: an active check every CHECK_EVERY seconds, and every request that finds
its connection broken. An ill instance gets nothing until a check succeeds again, and whoever still waits for
it is let go at once, to try elsewhere. When all are ill, all get requests: a wrong guess about everybody's
health must not be the outage. Knows nothing of payments or checkouts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from chaosdrill.sandbox.parts.http import IDEMPOTENT, Client, ConnectionLost, Request, Response, answer

CHECK_EVERY = 0.2
CHECK_TIMEOUT = 0.5
#: A refused connection is proof; a slow answer is one of these many hints. Two miss a hung instance for 1 s.
SLOW_CHECKS = 2


@dataclass(slots=True)
class Backend:
    """One instance behind the balancer."""

    id: str
    port: int
    healthy: bool = False
    slow: int = 0
    checking: asyncio.Task[None] | None = None


class Upstream:
    """The instances of one service."""

    def __init__(
        self,
        client: Client,
        timeout: float,
        on_change: Callable[[], None] = lambda: None,
        on_retry: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = client
        self._timeout = timeout
        self._on_change = on_change
        self._on_retry = on_retry
        self._backends: dict[str, Backend] = {}
        self._turn = 0

    def health(self) -> dict[str, bool]:
        """Return which instances are healthy, by id."""
        return {b.id: b.healthy for b in self._backends.values()}

    def set_backends(self, ports: Iterable[tuple[str, int]]) -> None:
        """Send requests to these from now on; what others are answering may be finished."""
        wanted = dict(ports)
        for gone in [b for b in self._backends.values() if wanted.get(b.id) != b.port]:
            del self._backends[gone.id]
            if gone.checking is not None:
                gone.checking.cancel()
        for name, port in wanted.items():
            if name not in self._backends:
                backend = self._backends[name] = Backend(name, port)
                backend.checking = asyncio.create_task(self._watch(backend))

    async def send(self, request: Request) -> Response:
        """Return an answer: from one instance, or from a second one when the first broke and it is safe.

        502 when the connection broke and may not be tried again, 503 when there is no instance, 504 when one
        took too long.
        """
        try:
            async with asyncio.timeout(self._timeout):
                return await self._attempt(request)
        except TimeoutError:
            return answer(504, error="the instance did not answer in time")

    async def _attempt(self, request: Request) -> Response:
        first = self._pick(None)
        if first is None:
            return answer(503, error="no instance")
        try:
            return await self._client.send(first.port, request)
        except ConnectionLost as problem:
            self._eject(first)
            second = self._pick(first) if request.method in IDEMPOTENT else None
            if second is None:
                return answer(502, error=f"{first.id}: {problem}")
        self._on_retry()
        try:
            return await self._client.send(second.port, request)
        except ConnectionLost as problem:
            self._eject(second)
            return answer(502, error=f"{second.id}: {problem}")

    def _pick(self, other_than: Backend | None) -> Backend | None:
        possible = [b for b in self._backends.values() if b is not other_than]
        healthy = [b for b in possible if b.healthy] or possible
        if not healthy:
            return None
        self._turn += 1
        return healthy[self._turn % len(healthy)]

    def _eject(self, backend: Backend) -> None:
        self._client.drop(backend.port)
        self._set_health(backend, False)

    def _set_health(self, backend: Backend, healthy: bool) -> None:
        if backend.healthy != healthy and self._backends.get(backend.id) is backend:
            backend.healthy = healthy
            self._on_change()

    async def _watch(self, backend: Backend) -> None:
        while True:
            await self._check(backend)
            await asyncio.sleep(CHECK_EVERY)

    async def _check(self, backend: Backend) -> None:
        response = None
        try:
            response = await self._client.send(backend.port, Request("GET", "/health"), CHECK_TIMEOUT)
        except TimeoutError:
            backend.slow += 1
        except ConnectionLost:
            backend.slow = SLOW_CHECKS
        if response is not None and response.status == 200:
            backend.slow = 0
            self._set_health(backend, True)
        elif response is not None or backend.slow >= SLOW_CHECKS:
            self._eject(backend)

    async def close(self) -> None:
        """Stop checking."""
        tasks = [b.checking for b in self._backends.values() if b.checking is not None]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
