"""The pipe between the runner and the engine: one JSON object a line, in both directions.

Commands go to the engine's standard input; when that closes, the runner is gone. Events come back on a pipe
of their own, because activities write to standard output what they like.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

Message = dict[str, Any]


class Events:
    """The engine's end: each message is one write, so that lines of several threads never mix."""

    def __init__(self, descriptor: int, now: Callable[[], float]) -> None:
        self._descriptor = descriptor
        self._now = now
        self._lock = threading.Lock()
        # Only this end needs it, and the other one is in a hurry.
        from chaosdrill.redact import Redactor

        self.redactor = Redactor()

    def send(self, message: Message) -> None:
        """Send `message`, stamped and with secrets masked; a runner that is gone is not an error here."""
        self.send_openly(self.redactor.tree(message))

    def send_openly(self, message: Message) -> None:
        """Send `message` as it is: only for what the runner itself must know."""
        stamped = {"at": self._now(), **message}
        data = (json.dumps(stamped, ensure_ascii=False, default=repr) + "\n").encode()
        with self._lock:
            try:
                while data:
                    data = data[os.write(self._descriptor, data) :]
            except BrokenPipeError:
                pass


def messages(descriptor: int) -> Iterator[Message]:
    """Yield what arrives on `descriptor` until the other end closes it; broken lines are passed over."""
    with os.fdopen(descriptor, "r", encoding="utf-8", errors="replace", closefd=True) as stream:
        for line in stream:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if isinstance(message, dict):
                yield message
