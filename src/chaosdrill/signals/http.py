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
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from urllib.parse import SplitResult, unquote, urlsplit

from chaosdrill import __version__
from chaosdrill.errors import TargetUnreachable, UsageError
from chaosdrill.model.experiment import HttpSource
from chaosdrill.model.signal import parse_statuses
from chaosdrill.ports import Clock
from chaosdrill.signals.arrivals import OpenLoop, Pace, Result
from chaosdrill.units import format_duration

#: More of an answer than this is not read: the connection is closed instead.
BODY_CAP = 1024 * 1024
_CHUNK = 64 * 1024

#: A connection that rested longer is opened afresh: servers close idle ones (gunicorn after 2 s, uvicorn and
#: Node.js after 5 s), and a request that crosses such a close would look like a failure of the service.
_REST = 1.5

#: The shortest time-out that a socket is given, in seconds; 0 would mean not to wait at all.
_LEAST = 0.001


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent each time; `shown` is the address without its password."""

    method: str
    host: str
    port: int
    tls: ssl.SSLContext | None
    path: str
    headers: Mapping[str, str]
    expected: frozenset[int]
    shown: str


class HttpLine:
    """One connection, kept alive between requests."""

    def __init__(self, request: Request, clock: Clock) -> None:
        self.cause = ""
        self._request = request
        self._clock = clock
        self._used = 0.0
        # Kept apart from the connection, which lets go of it when the server announces a close.
        self._socket: socket.socket | None = None
        self._connection = (
            HTTPSConnection(request.host, request.port, context=request.tls)
            if request.tls is not None
            else HTTPConnection(request.host, request.port)
        )

    def attempt(self, deadline: float) -> Result:
        """Send the request and read the answer by `deadline` (monotonic seconds)."""
        try:
            return self._exchange(deadline)
        except (OSError, HTTPException, ValueError) as error:
            # ValueError: what a TLS socket raises when `cancel` shut it under a reader.
            self.close()
            # In one line, and not the megabyte that a server may have put where the status belongs.
            self.cause = " ".join((getattr(error, "strerror", None) or str(error)).split())[:200]
            return Result(False, _failure(error))

    def cancel(self) -> None:
        """Shut the connection down, which ends a read at once; called from another thread."""
        held = self._socket
        if held is not None:
            with contextlib.suppress(OSError, ValueError):
                held.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; the next attempt opens another."""
        self._socket = None
        self._connection.close()

    def _exchange(self, deadline: float) -> Result:
        connection, request = self._connection, self._request
        now = self._clock.mono()
        if self._socket is None or now - self._used > _REST or _is_readable(self._socket):
            self.close()
            connection.timeout = max(_LEAST, deadline - now)
            connection.connect()
            self._socket = connection.sock
            now = self._clock.mono()
        self._socket.settimeout(max(_LEAST, deadline - now))
        connection.request(request.method, request.path, headers=request.headers)
        response = connection.getresponse()
        with response:
            whole = self._read(response, deadline)
        if response.will_close or not whole:
            self.close()
        self._used = self._clock.mono()
        return Result(response.status in request.expected, str(response.status))

    def _read(self, response: HTTPResponse, deadline: float) -> bool:
        """Read the answer and throw it away; return False when there is more of it than the cap."""
        size = 0
        # read1 returns after each packet, so that an answer that trickles can't outlive the deadline.
        while response.length != 0 and (data := response.read1(_CHUNK)):
            size += len(data)
            if size > BODY_CAP:
                return False
            if self._clock.mono() > deadline:
                raise TimeoutError
        if response.length:
            raise IncompleteRead(b"", response.length)
        return True


class HttpSignal(OpenLoop):
    """The signal of an `http` source. Raises UsageError for a url that can't be one."""

    def __init__(self, name: str, source: HttpSource, clock: Clock) -> None:
        self._request = _request(name, source)
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
        words = {
            "timeout": f"gave no answer within {format_duration(self.pace.timeout)}",
            "refused": "refused the connection",
            "reset": "cut the connection",
            "error": f"cannot be reached: {cause}",
        }
        return words.get(detail, f"answered {detail}, which is not expected")

    def _line(self) -> HttpLine:
        return HttpLine(self._request, self._clock)


def _request(name: str, source: HttpSource) -> Request:
    try:
        url = urlsplit(source.url)
        host, port = url.hostname, url.port
    except ValueError:
        url, host, port = SplitResult("", "", "", "", ""), None, None
    if not host or url.scheme not in ("http", "https"):
        raise UsageError(f"signal {name}: {source.url!r} is no address", next_step="write http://host/path")
    headers = {"User-Agent": f"chaosdrill/{__version__}"}
    if url.username is not None:
        pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    # One for all connections: reading the system's certificates takes longer than a request.
    tls = ssl.create_default_context() if url.scheme == "https" else None
    return Request(
        method=source.method.upper(),
        host=host,
        port=port or (443 if tls else 80),
        tls=tls,
        path=(url.path or "/") + (f"?{url.query}" if url.query else ""),
        headers=headers | source.headers,
        expected=parse_statuses(source.expect),
        shown=url._replace(netloc=url.netloc.rpartition("@")[2]).geturl(),
    )


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
    # An answer cut short: the server went away in the middle of it.
    return "reset" if isinstance(error, (ConnectionError, IncompleteRead)) else "error"
