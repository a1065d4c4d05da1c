"""Connections to the database: a bounded number of them, each lent to one request at a time.

The size is a real limit. By Little's law (L = lambda x W: Little, Operations Research 9(3), 1961) a pool of
`size` carries at most size / latency queries per second; requests beyond that wait, and give up after
`patience`. Knows nothing of payments or breakers.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from chaosdrill.sandbox.parts.http import HOST

LONGEST_LINE = 1 << 16


class PoolExhausted(Exception):
    """No connection became free in time."""


class PoolClosed(Exception):
    """Whoever waits should not wait any longer."""


class DatabaseRefused(Exception):
    """The database answered that it can't."""


class Connection:
    """One connection, which carries one query at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Return a connection on which the database has said hello. Raises OSError."""
        connection = cls(*await asyncio.open_connection(HOST, port, limit=LONGEST_LINE))
        try:
            await connection._read()
        except BaseException:
            connection.close()
            raise
        return connection

    async def query(self, **question: Any) -> dict[str, Any]:
        """Ask one question. Raises OSError when the connection broke, DatabaseRefused for a bad answer."""
        self._writer.write(json.dumps(question).encode() + b"\n")
        return await self._read()

    async def _read(self) -> dict[str, Any]:
        line = await self._reader.readline()
        if not line.endswith(b"\n"):
            raise ConnectionResetError("the database closed the connection")
        found: dict[str, Any] = json.loads(line)
        if not found.get("ok"):
            raise DatabaseRefused(str(found.get("error")))
        return found

    @property
    def usable(self) -> bool:
        """Whether nothing is known to be wrong with it."""
        return not self._writer.is_closing() and not self._reader.at_eof()

    def close(self) -> None:
        """Break the connection."""
        self._writer.transport.abort()


class Pool:
    """At most `size` connections to the database behind `port`."""

    def __init__(self, port: int, size: int, patience: float, query_timeout: float) -> None:
        self.size = size
        self.in_use = 0
        self._port = port
        self._patience = patience
        self._query_timeout = query_timeout
        self._idle: list[Connection] = []
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """How many requests wait for a connection."""
        return len(self._waiting)

    async def query(self, **question: Any) -> dict[str, Any]:
        """Ask the database one question on a connection of its own.

        Raises PoolExhausted, PoolClosed, OSError, DatabaseRefused, and TimeoutError when connecting or the
        question took longer than the query time-out.
        """
        async with self._lent():
            connection = self._take() or await self._connect()
            try:
                async with asyncio.timeout(self._query_timeout):
                    found = await connection.query(**question)
            except BaseException:
                # Its late answer would be taken for the next one's.
                connection.close()
                raise
            self._idle.append(connection)
            return found

    async def ping(self) -> None:
        """Ask on a new connection, outside the pool, whether the database answers in time."""
        connection = await self._connect()
        try:
            async with asyncio.timeout(self._query_timeout):
                await connection.query(do="ping")
        finally:
            connection.close()

    def close(self) -> None:
        """Break the connections that nobody uses."""
        while connection := self._take():
            connection.close()

    def send_waiting_away(self) -> None:
        """Let whoever waits for a connection go on without one, with PoolClosed."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(PoolClosed())

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[None]:
        if self.in_use >= self.size:
            await self._wait()
        else:
            self.in_use += 1
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            async with asyncio.timeout(self._patience):
                await future
        except BaseException as problem:
            if future.done() and not future.cancelled() and future.exception() is None:
                # The place was handed over at the very moment of giving up.
                self._pass_on()
            if isinstance(problem, TimeoutError):
                raise PoolExhausted(f"all {self.size} connections were in use") from None
            raise
        finally:
            if future in self._waiting:
                self._waiting.remove(future)

    def _pass_on(self) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return
        self.in_use -= 1

    async def _connect(self) -> Connection:
        async with asyncio.timeout(self._query_timeout):
            return await Connection.open(self._port)

    def _take(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            connection.close()
        return None
