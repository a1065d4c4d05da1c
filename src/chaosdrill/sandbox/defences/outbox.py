"""Payments that were accepted while the database was away, kept on disk until it is back.

An answer of "queued" is a promise, so it must survive the death of the instance. Knows nothing of breakers.
"""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path

#: More than this is more than a queue: then a payment is refused instead.
LARGEST = 20_000


class OutboxFull(Exception):
    """No more payments can be promised."""


class Outbox:
    """A queue of (order, amount) whose file is read again when the instance comes back."""

    def __init__(self, path: Path) -> None:
        self._waiting = deque(_read(path))
        self._file = path.open("ab", buffering=0)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, order: str, amount: int) -> None:
        """Keep one payment. Raises OutboxFull, and OSError when it can't be written."""
        if len(self._waiting) >= LARGEST:
            raise OutboxFull(f"{LARGEST} payments are waiting already")
        self._file.write(json.dumps([order, amount]).encode() + b"\n")
        self._waiting.append((order, amount))

    def first(self) -> tuple[str, int]:
        """Return the oldest payment, which stays in the queue. Raises IndexError when there is none."""
        return self._waiting[0]

    def booked(self) -> None:
        """Forget the oldest payment; the file is emptied with the last one, as booking twice does no harm."""
        self._waiting.popleft()
        if not self._waiting:
            self._file.truncate(0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _read(path: Path) -> list[tuple[str, int]]:
    if not path.exists():
        return []
    found = []
    for line in path.read_bytes().splitlines():
        try:
            order, amount = json.loads(line)
        except ValueError:
            continue  # The last line of an instance that was killed while writing it: never promised.
        found.append((order, amount))
    return found
