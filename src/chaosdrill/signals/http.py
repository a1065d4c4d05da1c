"""Requests at a fixed rate, as a client with keep-alive connections sees them.

No retries, no redirects followed, no proxies: what users meet at this address is what is recorded. Answers
are read to their end (or to a cap) and thrown away.
"""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import ssl
import string
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, unquote, urlsplit

from chaosdrill import __version__
from chaosdrill.errors import TargetUnreachable, UsageError
from chaosdrill.model.experiment import HttpSource
from chaosdrill.model.signal import parse_statuses
from chaosdrill.ports import Clock
from chaosdrill.signals.answers import Answer, read_answer
from chaosdrill.signals.arrivals import OpenLoop, Pace, Result
from chaosdrill.units import format_duration

_CHUNK = 64 * 1024

#: A connection that rested longer is opened afresh: servers close idle ones (gunicorn after 2 s, uvicorn and
#: Node.js after 5 s), and a request that crosses such a close would look like a failure of the service.
_REST = 1.5

#: The shortest time-out that a socket is given, in seconds; 0 would mean not to wait at all.
_LEAST = 0.001


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent each time, as bytes; `shown` is the address without its password."""

    method: str
    content: bytes
    host: str
    port: int
    tls: ssl.SSLContext | None
    expected: frozenset[int]
    shown: str


class HttpLine:
    """One connection, kept alive between requests."""

    def __init__(self, request: Request, clock: Clock) -> None:
        self.cause = ""
        self._request = request
        self._clock = clock
        self._used = 0.0
        self._socket: socket.socket | None = None

    def attempt(self, deadline: float, body: bytearray | None = None) -> Result:
        """Send the request and read the answer, its body into `body`, by `deadline` (monotonic seconds)."""
        try:
            answer = self._exchange(deadline, body)
        except (OSError, ValueError) as error:
            # ValueError: what is no HTTP, and a host name that IDNA can't encode.
            self.close()
            self.cause = " ".join((getattr(error, "strerror", None) or str(error)).split())[:200]
            return Result(False, _failure(error))
        if not answer.keep:
            self.close()
        self._used = self._clock.mono()
        return Result(answer.status in self._request.expected, str(answer.status))

    def cancel(self) -> None:
        """Shut the connection down, which ends a read at once; called from another thread."""
        held = self._socket
        if held is not None:
            with contextlib.suppress(OSError):
                # The plain one: that of a TLS socket takes its insides away from under the reader.
                socket.socket.shutdown(held, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; the next attempt opens another."""
        held, self._socket = self._socket, None
        if held is not None:
            held.close()

    def _exchange(self, deadline: float, body: bytearray | None) -> Answer:
        connected = self._connected(deadline)

        def receive() -> bytes:
            # Anew for each packet, so that an answer that trickles can't outlive the deadline.
            connected.settimeout(self._left(deadline))
            return connected.recv(_CHUNK)

        connected.settimeout(self._left(deadline))
        connected.sendall(self._request.content)
        return read_answer(receive, self._request.method, body)

    def _connected(self, deadline: float) -> socket.socket:
        held = self._socket
        if held is not None and self._clock.mono() - self._used <= _REST and not _is_readable(held):
            return held
        self.close()
        request = self._request
        opened = socket.create_connection((request.host, request.port), timeout=self._left(deadline))
        self._socket = opened
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if request.tls is not None:
            opened.settimeout(self._left(deadline))
            self._socket = request.tls.wrap_socket(opened, server_hostname=request.host)
        return self._socket

    def _left(self, deadline: float) -> float:
        left = deadline - self._clock.mono()
        if left <= 0:
            raise TimeoutError
        return max(_LEAST, left)


class HttpSignal(OpenLoop):
    """The signal of an `http` source. Raises UsageError for a url or headers that can't be sent."""

    def __init__(self, name: str, source: HttpSource, clock: Clock) -> None:
        self._request = request_of(f"signal {name}", source)
        super().__init__(name, Pace(source.rate, source.timeout), clock, self._line)

    def check(self) -> None:
        """Send one request; raise TargetUnreachable unless the answer is one of the expected ones."""
        line = self._line()
        try:
            result = line.attempt(self._clock.mono() + self.pace.timeout)
        finally:
            line.close()
        if not result.ok:
            raise TargetUnreachable(
                f"signal {self.signal}: {self._request.shown} {self._outcome(result.detail, line.cause)}",
                next_step=f"see that the service is up, or correct the signal {self.signal}",
            )

    def _outcome(self, detail: str, cause: str) -> str:
        return outcome(detail, self.pace.timeout, cause)

    def _line(self) -> HttpLine:
        return HttpLine(self._request, self._clock)


def outcome(detail: str, timeout: float, cause: str) -> str:
    """Return in words what became of an attempt that did not go as expected."""
    words = {
        "timeout": f"gave no answer within {format_duration(timeout)}",
        "refused": "refused the connection",
        "reset": "cut the connection",
        "error": f"cannot be reached: {cause}",
    }
    return words.get(detail, f"answered {detail}, which is not expected")


def request_of(who: str, source: HttpSource) -> Request:
    """Return what `source` sends. Raises UsageError, beginning with `who`, for what can't be sent."""
    try:
        url = urlsplit(source.url)
        host, port = url.hostname or "", url.port
        place = _place(host, port)
    except ValueError:
        url, host, port, place = SplitResult("", "", "", "", ""), "", None, ""
    if not host or url.scheme not in ("http", "https"):
        raise UsageError(f"{who}: {source.url!r} is no address", next_step="write http://host/path")
    return Request(
        method=source.method.upper(),
        content=_content(who, source, url, place),
        host=host,
        port=port or (443 if url.scheme == "https" else 80),
        # One for all connections: reading the system's certificates takes longer than a request.
        tls=ssl.create_default_context() if url.scheme == "https" else None,
        expected=parse_statuses(source.expect),
        shown=url._replace(netloc=place).geturl(),
    )


def _place(host: str, port: int | None) -> str:
    """Return what stands in the Host header. Raises UnicodeError for a name that can't be one."""
    name = f"[{host}]" if ":" in host else host.encode("idna").decode()
    return f"{name}:{port}" if port else name


def _content(who: str, source: HttpSource, url: SplitResult, place: str) -> bytes:
    """Return the request as bytes. Raises UsageError for a method or a header that would break it."""
    method = source.method.upper()
    fields = {
        "Host": place,
        "User-Agent": f"chaosdrill/{__version__}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
    }
    if url.username is not None:
        pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
        fields["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    if method in ("POST", "PUT", "PATCH"):
        fields["Content-Length"] = "0"
    given = {key.lower() for key in source.headers}
    fields = {key: value for key, value in fields.items() if key.lower() not in given} | source.headers
    # What is quoted already stays as it is; a space or an umlaut can't be sent.
    path = quote((url.path or "/") + (f"?{url.query}" if url.query else ""), safe=string.punctuation)
    if not (method.isascii() and method.isalpha()):
        raise UsageError(f"{who}: {source.method!r} is no method", next_step="write GET or HEAD")
    lines = [f"{method} {path} HTTP/1.1"]
    for key, value in fields.items():
        line = f"{key}: {value}"
        if not line.isprintable() or max(line) > "\xff":
            # Without its value, which may be a secret.
            raise UsageError(f"{who}: the header {key!r} holds what no header can", next_step="correct it")
        lines.append(line)
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _is_readable(connected: socket.socket) -> bool:
    """Return whether a resting connection has something to read, which can only be the server's close."""
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    return bool(poll.poll(0))


def _failure(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    return "reset" if isinstance(error, ConnectionError) else "error"
