"""What the three HTTP processes share: /health, /metrics, counting, timing, one log line per request.

Knows nothing of what is served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from chaosdrill.sandbox.parts.http import Request, Response, Server, answer
from chaosdrill.sandbox.parts.numbers import Numbers
from chaosdrill.sandbox.parts.runtime import Runtime, listening_socket

#: An instance that is told to leave finishes what it has begun, for this long.
DRAIN = 3.0

_HELPS = {
    "http_requests": "Requests answered, by status code.",
    "http_request_duration_seconds": "Seconds from a request's arrival to its answer.",
}


class Service:
    """An HTTP process: `serve` answers everything but /health and /metrics."""

    def __init__(
        self,
        runtime: Runtime,
        service: str,
        serve: Callable[[Request], Awaitable[Response]],
        helps: Mapping[str, str],
        *,
        log_requests: bool = True,
    ) -> None:
        self._runtime = runtime
        self._log_requests = log_requests
        self._serve = serve
        self.numbers = Numbers(_HELPS | dict(helps), {"service": service, "instance": runtime.id})

    async def run(self) -> None:
        """Serve until told to leave, then finish what has begun."""
        server = Server(self._handle)
        await server.listen(listening_socket(self._runtime.settings["port"]))
        await self._runtime.until_told_to_leave()
        await server.drain(DRAIN)

    async def _handle(self, request: Request) -> Response:
        match request.path.partition("?")[0]:
            case "/health":
                return answer(200, status="ok", instance=self._runtime.id)
            case "/metrics":
                kind, page = self.numbers.exposition()
                return Response(200, page, kind)
        clock = asyncio.get_running_loop().time
        start = clock()
        response = await self._serve(request)
        took = clock() - start
        self.numbers.count("http_requests", code=str(response.status))
        self.numbers.observe("http_request_duration_seconds", took)
        if self._log_requests or response.status >= 500:
            self._runtime.log.write(
                "info" if response.status < 500 else "error",
                "request",
                method=request.method,
                path=request.path,
                status=response.status,
                ms=round(took * 1000, 2),
            )
        return response
