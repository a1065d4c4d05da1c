"""The end of an HTTP/1.x answer: just enough of RFC 9112 to know the status, and when it is whole.

A general client builds header objects that a probe throws away; reading only what frames the body takes a
fifth of the CPU. Knows nothing of sockets, time-outs or samples: it asks for bytes until it has enough.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

#: A head or a line longer than this is no answer. Servers stop at 8 to 64 KiB themselves.
LONGEST_HEAD = 64 * 1024

#: More of a body than this is not read: the connection is closed instead.
BODY_CAP = 1024 * 1024

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?:[ \r\n]|$)")
_BEGINNING = b"HTTP/1."
_WITHOUT_BODY = (204, 304)


class Answer(NamedTuple):
    """What was answered, and whether the connection may be used again."""

    status: int
    keep: bool


class BadAnswer(ValueError):
    """What came is not HTTP."""


def read_answer(receive: Callable[[], bytes], method: str, body: bytearray | None = None) -> Answer:
    """Read one answer to a request with `method`, to its end; its body goes into `body`, if there is one.

    `receive` returns the next bytes, b"" at the end of the connection; what it raises passes through. Raises
    ConnectionResetError for an answer that is cut short, BadAnswer for what is none.
    """
    stream = _Stream(receive, body)
    while True:
        head = stream.head()
        match = _STATUS.match(head)
        if match is None:
            raise BadAnswer(_not_http(head))
        minor, status = int(match[1]), int(match[2])
        if status >= 200 or status == 101:
            break
    fields = _fields(head)
    connection = fields.get(b"connection", b"").lower()
    keep = status != 101 and (b"close" not in connection if minor else b"keep-alive" in connection)
    if method == "HEAD" or status in _WITHOUT_BODY or status == 101:
        return Answer(status, keep and stream.empty)
    coding = fields.get(b"transfer-encoding", b"").lower()
    length = fields.get(b"content-length")
    if coding.endswith(b"chunked"):
        whole = stream.chunks()
    elif coding or length is None:
        whole, keep = stream.rest(), False
    else:
        whole = stream.skip(_number(length, 10))
    return Answer(status, keep and whole and stream.empty)


def _not_http(head: bytes) -> str:
    return f"no HTTP answer: {head[:80].decode('latin-1')!r}"


def _fields(head: bytes) -> dict[bytes, bytes]:
    fields = {}
    for line in head.split(b"\n")[1:]:
        name, _, value = line.partition(b":")
        fields[name.lower()] = value.strip()
    return fields


def _number(text: bytes, base: int) -> int:
    digits = text.strip()
    if not digits.isalnum():
        raise BadAnswer(f"no length: {text[:80]!r}")
    try:
        return int(digits, base)
    except ValueError as error:
        raise BadAnswer(f"no length: {text[:80]!r}") from error


class _Stream:
    """Bytes as they come, and what of them is not used yet."""

    def __init__(self, receive: Callable[[], bytes], body: bytearray | None = None) -> None:
        self._receive = receive
        self._body = body
        self._held = b""
        self._taken = 0

    @property
    def empty(self) -> bool:
        """Whether nothing came that nobody asked for."""
        return not self._held

    def head(self) -> bytes:
        """Return everything up to the first empty line."""
        while True:
            head, end, rest = self._held.partition(b"\r\n\r\n")
            if not end:
                head, end, rest = self._held.partition(b"\n\n")
            if end:
                self._held = rest
                return head
            if not _BEGINNING.startswith(self._held[: len(_BEGINNING)]):
                # Nobody who greets like this will end it the way HTTP does.
                raise BadAnswer(_not_http(self._held))
            self._more()

    def skip(self, count: int) -> bool:
        """Drop `count` bytes; return False when that goes beyond the cap, with the rest unread."""
        while count > len(self._held):
            count -= len(self._held)
            self._keep(self._held)
            self._taken += len(self._held)
            if self._taken > BODY_CAP:
                return False
            self._held = b""
            self._more()
        self._keep(self._held[:count])
        self._held = self._held[count:]
        self._taken += count
        return True

    def chunks(self) -> bool:
        """Drop a chunked body with its trailers; return False beyond the cap."""
        while size := _number(self._line().partition(b";")[0], 16):
            if not self.skip(size):
                return False
            if self._line():
                raise BadAnswer("a chunk does not end where it should")
        while self._line():
            pass
        return True

    def rest(self) -> bool:
        """Drop everything up to the end of the connection; return False beyond the cap."""
        while self._taken <= BODY_CAP:
            self._keep(self._held)
            self._taken += len(self._held)
            self._held = self._receive()
            if not self._held:
                return True
        return False

    def _keep(self, part: bytes) -> None:
        if self._body is not None:
            self._body += part

    def _line(self) -> bytes:
        while b"\n" not in self._held:
            self._more()
        line, _, self._held = self._held.partition(b"\n")
        return line.removesuffix(b"\r")

    def _more(self) -> None:
        if len(self._held) > LONGEST_HEAD:
            raise BadAnswer(f"no end within {LONGEST_HEAD} bytes")
        data = self._receive()
        if not data:
            raise ConnectionResetError("the answer was cut short")
        self._held += data
