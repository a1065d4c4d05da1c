"""The HTTP signal against real servers on loopback that answer, stall, refuse, reset and lie."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator

import pytest

from chaosdrill import signals, statistics
from chaosdrill.clock import SystemClock
from chaosdrill.errors import TargetUnreachable, UsageError
from chaosdrill.model.experiment import HttpSource, SourceSpec
from chaosdrill.model.signal import Sample
from chaosdrill.signals.answers import BODY_CAP
from chaosdrill.signals.http import HttpSignal
from chaosdrill.statistics import Readings

CLOCK = SystemClock()
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server(socketserver.ThreadingTCPServer):
    """Answers each request with the next of `answers`, the last one for ever; for an Event it waits."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[bytes | threading.Event | str] = [OK]
        self.requests: list[bytes] = []
        self.connections = 0
        self.closed = threading.Event()
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        self.server.connections += 1
        with contextlib.suppress(ConnectionError):
            while (request := self._request()) and self._answer(request):
                pass

    def finish(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().finish()

    def _request(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in (b"", b"\r\n"):
            lines.append(line)
        return b"".join(lines)

    def _answer(self, request: bytes) -> bool:
        self.server.requests.append(request)
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, threading.Event):
            answer.wait()
            answer = OK
        if answer == "reset":
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.request.close()
            return False
        if answer == "drip":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not self.server.over.wait(0.02):
                self.wfile.write(b".")
            return False
        assert isinstance(answer, bytes)
        last = answer.endswith(b"#close")
        self.wfile.write(answer.removesuffix(b"#close"))
        if last:
            self.request.shutdown(socket.SHUT_RDWR)
            self.server.closed.set()
        return not last


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.over.set()
        for answer in running.answers:
            if isinstance(answer, threading.Event):
                answer.set()
        running.shutdown()
        thread.join()


def made(url: str, count: int, **source: object) -> list[Sample]:
    """Return what the signal hands over until it has handed over `count` samples and stopped."""
    found: list[Sample] = []
    enough = threading.Event()

    def sink(sample: Sample) -> None:
        found.append(sample)
        if len(found) >= count:
            enough.set()

    spec = SourceSpec(
        http=HttpSource.model_validate({"url": url, "rate": "100", "timeout": "10 s", **source})
    )
    signal = signals.open("pay", spec, CLOCK)
    signal.start(sink)
    assert enough.wait(60)
    signal.stop()
    return found


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def test_answers_are_recorded_with_their_status_and_latency(server: Server) -> None:
    found = made(server.url, 20)
    assert {(s.signal, s.ok, s.detail) for s in found} == {("pay", True, "200")}
    assert all(s.value is not None and 0 < s.value < 10 for s in found)
    assert len({s.t for s in found}) == len(found)


def test_connections_are_kept_alive(server: Server) -> None:
    found = made(server.url, 60)
    assert server.connections < len(found) / 2


def test_a_server_that_stalls_shows_in_p95(server: Server) -> None:
    stall = threading.Event()
    server.answers = [OK] * 30 + [stall] * 20 + [OK]  # type: ignore[list-item]
    threading.Timer(0.6, stall.set).start()
    found = made(server.url, 100)
    p95 = statistics.measure("p95_latency", Readings.of(found)).value
    assert p95 is not None and p95 > 0.1
    assert all(s.ok for s in found)


def test_a_server_that_never_answers_gives_time_outs_with_the_time_waited(server: Server) -> None:
    server.answers = [threading.Event()]
    found = made(server.url, 10, timeout="200 ms")
    assert {(s.ok, s.detail) for s in found} == {(False, "timeout")}
    assert all(s.value is not None and s.value >= 0.2 for s in found)


def test_a_server_that_refuses_has_no_latency() -> None:
    found = made(f"http://127.0.0.1:{free_port()}/", 5)
    assert {(s.value, s.ok, s.detail) for s in found} == {(None, False, "refused")}


def test_a_server_that_resets_has_no_latency(server: Server) -> None:
    server.answers = ["reset"]
    assert {(s.value, s.ok, s.detail) for s in made(server.url, 5)} == {(None, False, "reset")}


@pytest.mark.parametrize(
    "cut",
    [
        b"#close",
        b"HTTP/1.1 2#close",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok#close",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab#close",
    ],
)
def test_an_answer_cut_short_is_no_answer(server: Server, cut: bytes) -> None:
    server.answers = [cut]
    found = made(server.url, 3)
    assert all(s.value is None and not s.ok for s in found)
    assert {s.detail for s in found} <= {"reset", "error"}


def test_what_is_no_http_is_an_error(server: Server) -> None:
    server.answers = [b"220 smtp.example ESMTP\r\n\r\n#close"]
    assert {(s.value, s.ok, s.detail) for s in made(server.url, 3)} == {(None, False, "error")}


def test_an_answer_that_trickles_is_over_at_its_time_out(server: Server) -> None:
    server.answers = ["drip"]
    found = made(server.url, 3, rate="20", timeout="300 ms")
    assert {(s.ok, s.detail) for s in found} == {(False, "timeout")}


@pytest.mark.parametrize(
    "body",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"." * 100_000,
        b"HTTP/1.0 200 OK\r\n\r\nuntil the end#close",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok#close",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
def test_every_way_to_end_an_answer_leaves_the_next_request_right(server: Server, body: bytes) -> None:
    server.answers = [body]
    found = made(server.url, 30)
    assert all(s.ok for s in found)
    assert {s.detail for s in found} <= {"200", "204"}


def test_more_than_the_cap_is_not_read_and_still_an_answer(server: Server) -> None:
    length = 64 * BODY_CAP
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode()
    server.answers = [head + b"." * (2 * BODY_CAP)]
    found = made(server.url, 3, rate="20")
    assert {(s.ok, s.detail) for s in found} == {(True, "200")}


def test_a_connection_that_the_server_closed_meanwhile_is_no_failure(server: Server) -> None:
    server.answers = [OK + b"#close"]
    signal = HttpSignal("pay", HttpSource(url=server.url), CLOCK)
    line = signal._line()
    for _ in range(5):
        assert line.attempt(CLOCK.mono() + 10).detail == "200"
        assert server.closed.wait(30)
        server.closed.clear()
    line.close()


def test_statuses_decide_what_is_right(server: Server) -> None:
    server.answers = [b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"]
    assert {(s.ok, s.detail) for s in made(server.url, 3)} == {(False, "404")}
    assert {(s.ok, s.detail) for s in made(server.url, 3, expect="200,404")} == {(True, "404")}


def test_redirects_are_an_answer_and_not_followed(server: Server) -> None:
    server.answers = [b"HTTP/1.1 302 Found\r\nLocation: /else\r\nContent-Length: 0\r\n\r\n"]
    assert {(s.ok, s.detail) for s in made(server.url, 3)} == {(True, "302")}
    assert {(s.ok, s.detail) for s in made(server.url, 3, expect="200")} == {(False, "302")}
    assert all(b"GET / HTTP/1.1" in request for request in server.requests)


def test_method_path_headers_and_password_are_sent(server: Server) -> None:
    url = server.url.replace("http://", "http://me:p%40ss@") + "pay?x=1#there"
    made(url, 1, method="head", headers={"X-Drill": "yes"})
    request = server.requests[0]
    assert request.startswith(b"HEAD /pay?x=1 HTTP/1.1\r\n")
    assert b"X-Drill: yes\r\n" in request
    assert b"Authorization: Basic bWU6cEBzcw==\r\n" in request
    assert b"User-Agent: chaosdrill/" in request


def test_check_is_silent_when_the_service_answers(server: Server) -> None:
    signals.open("pay", SourceSpec(http=HttpSource(url=server.url)), CLOCK).check()


def test_check_names_the_address_the_cause_and_the_next_step(server: Server) -> None:
    def said(url: str, **source: object) -> str:
        source = {"url": url, "timeout": "200 ms", **source}
        with pytest.raises(TargetUnreachable) as raised:
            signals.open("pay", SourceSpec(http=HttpSource.model_validate(source)), CLOCK).check()
        assert raised.value.next_step
        return raised.value.message

    port = free_port()
    secret = f"http://me:secret@127.0.0.1:{port}/checkout"
    assert said(secret) == f"signal pay: http://127.0.0.1:{port}/checkout refused the connection"
    server.answers = [b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"]
    assert said(server.url) == f"signal pay: {server.url} answered 503, which is not expected"
    server.answers = ["reset"]
    assert said(server.url).endswith("cut the connection")
    server.answers = [threading.Event()]
    assert said(server.url).endswith("gave no answer within 200 ms")
    server.answers = [b"220 smtp.example ESMTP\r\n\r\n#close"]
    cause = "no HTTP answer: '220 smtp.example ESMTP'"
    assert said(server.url) == f"signal pay: {server.url} cannot be reached: {cause}"


@pytest.mark.parametrize("url", ["http:///x", "http://shop:port/", "http://[::1/"])
def test_an_address_that_cannot_be_one_is_refused_by_name(url: str) -> None:
    with pytest.raises(UsageError, match=r"signal pay: .* is no address"):
        signals.open("pay", SourceSpec(http=HttpSource(url=url)), CLOCK)


@pytest.mark.parametrize("headers", [{"X-Token": "s3cret\r\nEvil: yes"}, {"X-Token": "s3cret→"}])
def test_a_header_that_cannot_be_sent_is_refused_without_its_value(headers: dict[str, str]) -> None:
    source = HttpSource(url="http://127.0.0.1/", headers=headers)
    with pytest.raises(UsageError, match="signal pay: the header 'X-Token'") as raised:
        signals.open("pay", SourceSpec(http=source), CLOCK)
    assert "s3cret" not in str(raised.value)


def test_a_method_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="signal pay: 'GET /x' is no method"):
        signals.open("pay", SourceSpec(http=HttpSource(url="http://127.0.0.1/", method="GET /x")), CLOCK)


def test_own_headers_replace_ours_and_paths_are_quoted(server: Server) -> None:
    made(server.url + "k%C3%A4se/käse brot?q=a b", 1, headers={"host": "shop.example", "user-agent": "me"})
    request = server.requests[0]
    assert request.startswith(b"GET /k%C3%A4se/k%C3%A4se%20brot?q=a%20b HTTP/1.1\r\n")
    assert request.lower().count(b"host:") == 1
    assert b"host: shop.example\r\n" in request
    assert b"user-agent: me\r\n" in request
