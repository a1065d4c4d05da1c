"""What happened, in order, one JSON object a line; and the inbox through which others speak to a run.

Exactly one process writes a journal. Everybody else appends to `inbox.jsonl` under a file lock, and the
writer takes that over. Followers (console, report) read lines or register as listeners; none may write.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from chaosdrill import redact
from chaosdrill.clock import iso
from chaosdrill.errors import RecordUnusable
from chaosdrill.ports import Clock

Event = dict[str, Any]


class Journal:
    """The writer of one journal; `write` may be called from any thread."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._listeners: list[Callable[[Event], None]] = []
        self.path = path
        try:
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise RecordUnusable(f"the journal {path} cannot be written: {error.strerror}") from error

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Have `listener` called with each event, in the writing thread, after it is written."""
        self._listeners.append(listener)

    def write(self, event: str, *, at: float | None = None, **facts: Any) -> Event:
        """Append one event and return it; `at` (epoch seconds) when it happened before now elsewhere.

        Raises RecordUnusable when it can't be written, say on a full disk.
        """
        moment = self._clock.now() if at is None else at
        mono = self._clock.mono() - (self._clock.now() - moment)
        row: Event = {"t": iso(moment), "mono": round(mono, 6), "event": event, **redact.known.tree(facts)}
        with self._lock:
            try:
                self._file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
                self._file.flush()
            except OSError as error:
                raise RecordUnusable(
                    f"the journal {self.path} cannot be written: {error.strerror}"
                ) from error
        for listener in self._listeners:
            listener(row)
        return row

    def close(self) -> None:
        """Close the file; writing afterwards is an error."""
        with self._lock:
            self._file.close()


def read(path: Path) -> list[Event]:
    """Return the events at `path` in order; none when there is no file, and without a torn last line."""
    return list(_rows(path))


def renew(path: Path) -> None:
    """Put a copy in the place of the file at `path`, its torn last line ended; right when there is none.

    A writer that was taken for dead and wakes up in the middle of a line goes on in the old file, which
    nobody reads any more. Raises RecordUnusable.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        data = path.read_bytes()
        fresh.write_bytes(data if data.endswith(b"\n") or not data else data + b"\n")
        fresh.replace(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise RecordUnusable(f"{path} cannot be written: {error.strerror}") from error


def hand_in(path: Path, event: str, **facts: Any) -> None:
    """Append one event to the inbox at `path`, under its lock. Raises RecordUnusable."""
    told = {"event": event, **redact.known.tree(facts)}
    line = (json.dumps(told, ensure_ascii=False) + "\n").encode()
    try:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise RecordUnusable(f"the run cannot be told: {path}: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.write(file, line)
    finally:
        os.close(file)


class Inbox:
    """The reading end of an inbox: each entry is handed out once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def take(self) -> list[Event]:
        """Return what has been handed in, whole lines only, since the last call."""
        try:
            if self._path.stat().st_size <= self._offset:
                return []
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return list(_parsed(whole.decode("utf-8", errors="replace").splitlines()))


def _rows(path: Path) -> Iterator[Event]:
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return iter(())
    return _parsed(lines)


def _parsed(lines: list[str]) -> Iterator[Event]:
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("event"), str):
            yield row
