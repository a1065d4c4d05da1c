"""The database: SQLite behind a line protocol over TCP. `python -m chaosdrill.sandbox.database`.

It says hello on every new connection, so that a slow network shows in connecting too, as it does with real
databases. Knows nothing of who asks.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

from chaosdrill.sandbox.parts.runtime import Runtime, listening_socket, run

#: Rows that are kept: hours at a few hundred per second must not fill a disk.
KEPT = 50_000


class Store:
    """The table of payments."""

    def __init__(self, path: Path) -> None:
        self._base = sqlite3.connect(path, isolation_level=None)
        # WAL with NORMAL survives the death of the process, which is what happens to it here.
        for statement in (
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=NORMAL",
            "CREATE TABLE IF NOT EXISTS payment (id TEXT UNIQUE NOT NULL, amount INTEGER NOT NULL)",
        ):
            self._base.execute(statement)
        self._since_clearing = 0

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to one question."""
        match question:
            case {"do": "pay", "id": str(order), "amount": int(amount)}:
                # The same order paid twice is one payment, so asking again is safe.
                self._base.execute("INSERT OR IGNORE INTO payment VALUES (?, ?)", (order, amount))
                self._clear_now_and_then()
                return {"ok": True}
            case {"do": "find", "id": str(order)}:
                row = self._base.execute("SELECT amount FROM payment WHERE id = ?", (order,)).fetchone()
                return {"ok": True, "amount": row[0] if row else None}
            case {"do": "ping"}:
                return {"ok": True}
        return {"ok": False, "error": "not a question"}

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def _clear_now_and_then(self) -> None:
        self._since_clearing += 1
        if self._since_clearing >= 1000:
            self._since_clearing = 0
            self._base.execute(
                "DELETE FROM payment WHERE rowid <= (SELECT max(rowid) FROM payment) - ?", (KEPT,)
            )


class Session(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b'{"ok": true}\n')

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        assert self._transport is not None
        for line in lines:
            try:
                answer = self._store.answer(json.loads(line))
            except (ValueError, sqlite3.Error) as problem:
                answer = {"ok": False, "error": str(problem)}
            self._transport.write(json.dumps(answer).encode() + b"\n")
        if len(self._rest) > 1 << 16:
            self._transport.abort()


async def database(runtime: Runtime) -> None:
    """Answer questions until told to leave."""
    store = Store(Path(runtime.settings["file"]))
    loop = asyncio.get_running_loop()
    listener = listening_socket(runtime.settings["port"])
    await loop.create_server(lambda: Session(store), sock=listener, backlog=1024)
    await runtime.until_told_to_leave()


if __name__ == "__main__":
    run(database)
