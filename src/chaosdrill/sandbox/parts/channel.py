"""The line between the supervisor and one of its processes: JSON objects, one per line, both ways.

It is the child's standard input, a socket pair. Its end is how a child notices that the supervisor is gone,
however it died. Knows nothing of what is said.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]
LONGEST_LINE = 1 << 20


class ChannelClosed(OSError):
    """The other end is gone."""


class Channel(asyncio.Protocol):
    """One end. `on_message` gets what the other end says unasked, `on_end` is called once at the end."""

    def __init__(self, on_message: Callable[[Message], None], on_end: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._asked: dict[int, asyncio.Future[Message]] = {}
        self._number = 0

    async def attach(self, end: socket.socket) -> None:
        """Begin to use `end`, which the channel owns from now on."""
        end.setblocking(False)
        await asyncio.get_running_loop().create_connection(lambda: self, sock=end)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        for future in self._asked.values():
            if not future.done():
                future.set_exception(ChannelClosed("the process is gone"))
        self._asked.clear()
        self._on_end()

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            self.close()
        for line in lines:
            message: Message = json.loads(line)
            answered = self._asked.pop(message.get("answers", 0), None)
            if answered is None:
                self._on_message(message)
            elif not answered.done():
                answered.set_result(message)

    def tell(self, **message: Any) -> None:
        """Say something that needs no answer; nothing happens when the other end is gone."""
        if self._transport is not None:
            self._transport.write(json.dumps(message).encode() + b"\n")

    async def ask(self, timeout: float, **message: Any) -> Message:
        """Say something and return the answer. Raises ChannelClosed, or TimeoutError after `timeout` s."""
        if self._transport is None:
            raise ChannelClosed("the process is gone")
        self._number += 1
        number = self._number
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._asked[number] = future
        self.tell(**message, number=number)
        try:
            async with asyncio.timeout(timeout):
                return await future
        finally:
            self._asked.pop(number, None)

    def answer(self, question: Message, **fields: Any) -> None:
        """Answer what the other end asked."""
        self.tell(**fields, answers=question.get("number", -1))

    def close(self) -> None:
        """End the line."""
        if self._transport is not None:
            self._transport.abort()


def read_first_line(end: socket.socket) -> Message:
    """Return the first message on `end`, blocking, and leave the rest unread. Raises ChannelClosed."""
    line = b""
    while not line.endswith(b"\n"):
        # Byte by byte through a peek, so that what follows stays in the socket for the event loop.
        seen = end.recv(LONGEST_LINE, socket.MSG_PEEK)
        if not seen:
            raise ChannelClosed("the supervisor is gone")
        upto = seen.find(b"\n") + 1 or len(seen)
        line += end.recv(upto)
    message: Message = json.loads(line)
    return message
