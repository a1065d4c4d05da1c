"""The line between payment-api and the database, which can be made slow, lossy, or cut.

It shapes what leaves the database, as a fault on the database's own network interface would: answers, and
the hello on a new connection. Every shape ends by itself here, whatever happens outside.
`python -m chaosdrill.sandbox.proxy`. Knows nothing of what it carries.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import deque
from dataclasses import dataclass

from chaosdrill.sandbox.parts.channel import Message
from chaosdrill.sandbox.parts.http import HOST
from chaosdrill.sandbox.parts.runtime import Runtime, listening_socket, run

#: What TCP waits before it sends a lost segment again, doubling each time: Linux' TCP_RTO_MIN, 200 ms
#: (RFC 6298 allows 1 s), and no more than 120 s (TCP_RTO_MAX).
FIRST_RETRANSMISSION = 0.2
LAST_RETRANSMISSION = 120.0

#: More than this waiting in one direction stops reading, so that a slow side can't fill the memory.
LARGEST_BACKLOG = 1 << 20


@dataclass(frozen=True, slots=True)
class Shape:
    """What happens to each chunk: seconds of delay give or take jitter, and the share that is lost."""

    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    cut: bool = False


def retransmission_delay(loss: float, chance: random.Random) -> float:
    """Return the seconds that TCP needs to bring one chunk through a line that loses this share of them.

    Nothing is lost for good: each loss costs one retransmission time-out, twice as long as the one before.
    """
    waited, timeout = 0.0, FIRST_RETRANSMISSION
    while chance.random() < loss and waited < LAST_RETRANSMISSION:
        waited += timeout
        timeout *= 2
    return waited


class Line:
    """All shapes that are on, and the connections they act on."""

    def __init__(self, listener_port: int, database_port: int) -> None:
        self._listener_port = listener_port
        self._database_port = database_port
        self._shapes: dict[str, Shape] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._server: asyncio.Server | None = None
        self._chance = random.Random()
        self._reopening: asyncio.Future[None] | None = None
        self.connections: set[Inbound] = set()

    async def open(self) -> None:
        """Accept connections."""
        await self._accept(listening_socket(self._listener_port))

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Inbound(self, self._database_port), sock=listener, backlog=1024
        )
        if self._is_cut():
            self._cut()

    def put_on(self, name: str, shape: Shape, seconds: float) -> None:
        """Add a shape that ends by itself after `seconds`."""
        self.take_off(name)
        self._shapes[name] = shape
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, self.take_off, name)
        if shape.cut:
            self._cut()

    def take_off(self, name: str) -> None:
        """Remove a shape. Right when it is gone already."""
        if timer := self._timers.pop(name, None):
            timer.cancel()
        was = self._shapes.pop(name, None)
        if was is not None and was.cut and not self._is_cut():
            # Listening begins here and now: whoever is told that the cut is over may connect at once.
            listener = listening_socket(self._listener_port)
            listener.listen(1024)
            self._reopening = asyncio.ensure_future(self._accept(listener))

    def delay(self) -> float:
        """Return how long the next chunk from the database takes more than it would."""
        wait = 0.0
        for shape in self._shapes.values():
            wait += max(0.0, shape.delay + self._chance.uniform(-shape.jitter, shape.jitter))
            wait += retransmission_delay(shape.loss, self._chance) if shape.loss else 0.0
        return wait

    def _is_cut(self) -> bool:
        return any(shape.cut for shape in self._shapes.values())

    def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self.connections):
            connection.reset()


class Flow:
    """One direction: chunks leave in the order they came, each not before its time."""

    def __init__(self, source: asyncio.Transport, sink: asyncio.Transport) -> None:
        self._loop = asyncio.get_running_loop()
        self._source = source
        self._sink = sink
        self._chunks: deque[tuple[float, bytes]] = deque()
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._last = 0.0
        self._ended = False

    def take(self, data: bytes, delay: float) -> None:
        """Pass `data` on after `delay` seconds; an empty chunk is the end."""
        if not delay and not self._chunks:
            self._pass_on(data)
            return
        # A chunk that has to be sent again holds up everything behind it: TCP delivers in order.
        self._last = max(self._last, self._loop.time() + delay)
        self._chunks.append((self._last, data))
        self._size += len(data)
        if self._size > LARGEST_BACKLOG:
            self._source.pause_reading()
        if self._timer is None:
            self._timer = self._loop.call_at(self._last, self._turn)

    def _turn(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._chunks and self._chunks[0][0] <= now:
            _, data = self._chunks.popleft()
            self._size -= len(data)
            self._pass_on(data)
        if self._chunks:
            self._timer = self._loop.call_at(self._chunks[0][0], self._turn)
        if self._size <= LARGEST_BACKLOG // 2 and not self._source.is_closing():
            self._source.resume_reading()

    def _pass_on(self, data: bytes) -> None:
        if data:
            self._sink.write(data)
        else:
            self._sink.close()

    def stop(self) -> None:
        """Drop what has not left yet."""
        if self._timer is not None:
            self._timer.cancel()
        self._chunks.clear()


class Inbound(asyncio.Protocol):
    """A connection of a client, paired with one to the database."""

    def __init__(self, line: Line, database_port: int) -> None:
        self._line = line
        self._port = database_port
        self._early = b""
        self.transport: asyncio.Transport | None = None
        self.outbound: Outbound | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._line.connections.add(self)
        self._connecting = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, outbound = await loop.create_connection(lambda: Outbound(self, self._line), HOST, self._port)
        except OSError:
            self.reset()
            return
        if self.transport is None:
            outbound.close()
            return
        self.outbound = outbound
        if self._early:
            outbound.send(self._early)

    def data_received(self, data: bytes) -> None:
        if self.outbound is None:
            self._early += data
        else:
            self.outbound.send(data)

    def connection_lost(self, _: Exception | None) -> None:
        self.transport = None
        self._line.connections.discard(self)
        if self.outbound is not None:
            self.outbound.close()

    def reset(self) -> None:
        """Break the connection as a cut line looks from here: RST instead of a farewell."""
        if self.transport is not None:
            end: socket.socket = self.transport.get_extra_info("socket")
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()


class Outbound(asyncio.Protocol):
    """The connection to the database that belongs to one Inbound."""

    def __init__(self, inbound: Inbound, line: Line) -> None:
        self._inbound = inbound
        self._line = line
        self._transport: asyncio.Transport | None = None
        self._flow: Flow | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._inbound.transport is not None:
            self._flow = Flow(transport, self._inbound.transport)

    def data_received(self, data: bytes) -> None:
        if self._flow is not None:
            self._flow.take(data, self._line.delay())

    def connection_lost(self, _: Exception | None) -> None:
        if self._flow is not None and self._inbound.transport is not None:
            self._flow.take(b"", self._line.delay())

    def send(self, data: bytes) -> None:
        """Send towards the database."""
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """Break the connection to the database."""
        if self._flow is not None:
            self._flow.stop()
        if self._transport is not None:
            self._transport.abort()


async def proxy(runtime: Runtime) -> None:
    """Carry and shape until told to leave."""
    line = Line(runtime.settings["port"], runtime.settings["database_port"])

    def put_on(message: Message) -> None:
        shape = Shape(**message["shape"])
        line.put_on(message["fault"], shape, message["seconds"])
        runtime.log.write("warning", "shape on", seconds=message["seconds"], **message["shape"])

    def take_off(message: Message) -> None:
        line.take_off(message["fault"])
        runtime.log.write("info", "shape off", fault=message["fault"])

    runtime.on("shape", put_on)
    runtime.on("unshape", take_off)
    await line.open()
    await runtime.until_told_to_leave()


if __name__ == "__main__":
    run(proxy)
