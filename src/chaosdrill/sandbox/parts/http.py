"""HTTP/1.1 on both sides over asyncio, as little of it as the sandbox needs.

Bodies are held in memory, because a balancer may only try again while nothing has gone out to the caller.
Knows nothing of balancing, payments or metrics.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import h11

HOST = "127.0.0.1"
LARGEST_BODY = 1 << 20

#: RFC 9110, 9.2.2: repeating these has the same intended effect as sending them once.
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})


@dataclass(slots=True)
class Request:
    """What is asked; `path` starts with a slash and may carry a query."""

    method: str
    path: str
    body: bytes = b""


@dataclass(slots=True)
class Response:
    """What is answered."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"


Handler = Callable[[Request], Awaitable[Response]]


class ConnectionLost(OSError):
    """The other side refused, closed or broke the connection before its answer was complete."""


def answer(status: int, /, **fields: Any) -> Response:
    """Return a response with `fields` as its JSON body."""
    return Response(status, json.dumps(fields).encode() + b"\n")


class _Inbound(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._http = h11.Connection(h11.SERVER)
        self._transport: asyncio.Transport | None = None
        self._request: Request | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self._server.connections.discard(self)
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._http.receive_data(data)
            self._advance()
        except h11.RemoteProtocolError as problem:
            self._refuse(problem.error_status_hint or 400)

    @property
    def busy(self) -> bool:
        """Whether an answer is owed."""
        return self._task is not None

    def close(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def _advance(self) -> None:
        while self._task is None:
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                self._request = Request(event.method.decode(), event.target.decode("latin-1"))
            elif isinstance(event, h11.Data) and self._request is not None:
                self._request.body += bytes(event.data)
                if len(self._request.body) > LARGEST_BODY:
                    raise h11.RemoteProtocolError("body too large", error_status_hint=413)
            elif isinstance(event, h11.EndOfMessage) and self._request is not None:
                self._task = asyncio.create_task(self._answer(self._request))
                self._task.add_done_callback(self._hang_up_after_a_crash)
            elif event is h11.NEED_DATA or event is h11.PAUSED:
                return
            elif isinstance(event, h11.ConnectionClosed):
                if self._transport is not None:
                    self._transport.close()
                return

    async def _answer(self, request: Request) -> None:
        response = await self._server.handler(request)
        self._task = None
        if self._transport is None:
            return
        self._send(response, without_body=request.method == "HEAD")
        if self._http.our_state is h11.MUST_CLOSE or self._server.draining:
            self._transport.close()
            return
        self._http.start_next_cycle()
        try:
            self._advance()
        except h11.RemoteProtocolError as problem:
            self._refuse(problem.error_status_hint or 400)

    def _hang_up_after_a_crash(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (problem := task.exception()) is not None:
            context = {"message": "a request crashed its handler", "exception": problem}
            asyncio.get_running_loop().call_exception_handler(context)
            self.close()

    def _send(self, response: Response, *, without_body: bool = False) -> None:
        assert self._transport is not None
        head = h11.Response(
            status_code=response.status,
            headers=[
                ("content-type", response.content_type),
                ("content-length", str(len(response.body))),
            ],
        )
        out = self._http.send(head) or b""
        if not without_body:
            out += self._http.send(h11.Data(data=response.body)) or b""
        out += self._http.send(h11.EndOfMessage()) or b""
        self._transport.write(out)

    def _refuse(self, status: int) -> None:
        if self._transport is None:
            return
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._send(answer(status, error="not an HTTP request that this server takes"))
        self._transport.close()


class Server:
    """Answers requests on one listening socket with `handler`."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.connections: set[_Inbound] = set()
        self.draining = False
        self._listener: asyncio.Server | None = None

    async def listen(self, listener: socket.socket) -> None:
        """Start to accept connections."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: _Inbound(self), sock=listener, backlog=1024)

    async def drain(self, seconds: float) -> None:
        """Accept nothing new, let what is in flight be answered for at most `seconds`, then close."""
        self.draining = True
        if self._listener is not None:
            self._listener.close()
        for connection in [c for c in self.connections if not c.busy]:
            connection.close()
        deadline = asyncio.get_running_loop().time() + seconds
        while self.connections and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.close()


class _Outbound(asyncio.Protocol):
    """One kept-alive connection to a server."""

    def __init__(self) -> None:
        self._http = h11.Connection(h11.CLIENT)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Response] | None = None
        self._response = Response(0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self._fail("the connection broke")

    def eof_received(self) -> bool:
        self.abort()
        return False

    @property
    def open(self) -> bool:
        """Whether another request may be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def abort(self) -> None:
        """Break the connection; whoever waits for an answer gets ConnectionLost."""
        self._fail("the connection was dropped")
        if self._transport is not None:
            self._transport.abort()

    async def exchange(self, request: Request) -> Response:
        """Send `request` and return its answer."""
        if self._transport is None:
            raise ConnectionLost("the connection is closed")
        self._answer = asyncio.get_running_loop().create_future()
        head = h11.Request(
            method=request.method,
            target=request.path,
            headers=[("host", "sandbox"), ("content-length", str(len(request.body)))],
        )
        out = self._http.send(head) or b""
        out += self._http.send(h11.Data(data=request.body)) or b""
        self._transport.write(out + (self._http.send(h11.EndOfMessage()) or b""))
        return await self._answer

    def data_received(self, data: bytes) -> None:
        try:
            self._http.receive_data(data)
            self._advance()
        except h11.RemoteProtocolError:
            self.abort()

    def _advance(self) -> None:
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Response):
                kind = next((v for k, v in event.headers if k == b"content-type"), b"")
                self._response = Response(event.status_code, b"", kind.decode("latin-1"))
            elif isinstance(event, h11.Data):
                self._response.body += bytes(event.data)
                if len(self._response.body) > LARGEST_BODY:
                    raise h11.RemoteProtocolError("body too large")
            elif isinstance(event, h11.EndOfMessage):
                self._finish()
                return
            elif event is h11.NEED_DATA:
                return
            else:
                self.abort()
                return

    def _finish(self) -> None:
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        elif self._transport is not None:
            self._transport.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(self._response)
        self._answer = None

    def _fail(self, why: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionLost(why))
        self._answer = None


class Client:
    """Sends requests to ports on loopback and keeps connections for the next one."""

    def __init__(self) -> None:
        self._idle: dict[int, list[_Outbound]] = {}
        self._open: dict[int, set[_Outbound]] = {}

    async def send(self, port: int, request: Request, timeout: float) -> Response:
        """Return the answer. Raises ConnectionLost, or TimeoutError after `timeout` seconds."""
        async with asyncio.timeout(timeout):
            connection = self._take(port) or await self._connect(port)
            try:
                response = await connection.exchange(request)
            except BaseException:
                self._open[port].discard(connection)
                connection.abort()
                raise
        if connection.open:
            self._idle.setdefault(port, []).append(connection)
        else:
            self._open[port].discard(connection)
        return response

    def drop(self, port: int) -> None:
        """Break every connection to `port`, so that whoever waits there can go elsewhere at once."""
        self._idle.pop(port, None)
        for connection in self._open.pop(port, set()):
            connection.abort()
        self._open[port] = set()

    def _take(self, port: int) -> _Outbound | None:
        waiting = self._idle.get(port, [])
        while waiting:
            connection = waiting.pop()
            if connection.open:
                return connection
            self._open[port].discard(connection)
        return None

    async def _connect(self, port: int) -> _Outbound:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(_Outbound, HOST, port)
        except OSError as problem:
            raise ConnectionLost(problem.strerror or str(problem)) from None
        self._open.setdefault(port, set()).add(connection)
        return connection
