"""What the sandbox's HTTP takes and refuses, over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from http.client import HTTPConnection

import pytest

from chaosdrill.sandbox.defences.upstream import Upstream
from chaosdrill.sandbox.parts.http import Client, ConnectionLost, Request, Response, Server, answer
from chaosdrill.sandbox.parts.runtime import listening_socket


async def echo(request: Request) -> Response:
    return answer(200, method=request.method, path=request.path, size=len(request.body))


def serving(
    work: Callable[[int], Awaitable[object]], handler: Callable[..., Awaitable[Response]] = echo
) -> object:
    """Run `work(port)` against a server and return what it returns."""

    async def play() -> object:
        server = Server(handler)
        listener = listening_socket(0)
        await server.listen(listener)
        try:
            return await work(listener.getsockname()[1])
        finally:
            await server.drain(1.0)

    return asyncio.run(play())


def say(port: int, *chunks: bytes) -> bytes:
    """Send bytes as they are and return everything that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        for chunk in chunks:
            line.sendall(chunk)
        line.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: line.recv(65536), b""))


def heard(*chunks: bytes) -> bytes:
    found = serving(lambda port: asyncio.to_thread(say, port, *chunks))
    assert isinstance(found, bytes)
    return found


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / SPDY/3\r\n\r\n", 400),
        (b"GET http://elsewhere/ HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost : x\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\ncontent-length: 9999999\r\n\r\n", 413),
        (b"PUT / HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n", 413),
        (b"PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 20_000, 431),
    ],
)
def test_what_is_not_http_gets_its_status_and_the_door(message: bytes, status: int) -> None:
    assert heard(message).startswith(f"HTTP/1.1 {status} ".encode())


def test_a_request_in_single_bytes_is_a_request() -> None:
    message = b"PUT /a HTTP/1.1\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
    found = heard(*(bytes([byte]) for byte in message))
    assert found.startswith(b"HTTP/1.1 200 ")
    assert b'"size": 3' in found


def test_pipelined_requests_are_answered_in_order() -> None:
    found = heard(
        b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\nconnection: close\r\n\r\n"
    )
    assert [found.find(b'"/%d"' % n) > 0 for n in (1, 2, 3)] == [True, True, True]
    assert found.find(b'"/1"') < found.find(b'"/2"') < found.find(b'"/3"')


def test_who_waits_for_a_continue_gets_one() -> None:
    head = b"PUT / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\nconnection: close\r\n\r\n"
    found = heard(head, b"ab")
    assert b'"size": 2' in found


def test_head_has_a_length_and_no_body() -> None:
    def ask(port: int) -> tuple[int, str | None, bytes]:
        line = HTTPConnection("127.0.0.1", port, timeout=10)
        line.request("HEAD", "/x")
        response = line.getresponse()
        found = response.status, response.getheader("content-length"), response.read()
        line.close()
        return found

    status, length, body = serving(lambda port: asyncio.to_thread(ask, port))  # type: ignore[misc]
    assert (status, body) == (200, b"")
    assert int(length) > 0


def test_a_client_keeps_its_connection() -> None:
    async def work(port: int) -> int:
        client = Client()
        for _ in range(5):
            await client.send(port, Request("GET", "/"), 5.0)
        count = len(client._open[port])
        client.drop(port)
        return count

    assert serving(work) == 1


def test_whoever_waits_on_a_dropped_connection_hears_of_it_at_once() -> None:
    begun = asyncio.Event()

    async def never(_: Request) -> Response:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def work(port: int) -> None:
        client = Client()
        waiting = asyncio.create_task(client.send(port, Request("GET", "/")))
        await begun.wait()
        client.drop(port)
        with pytest.raises(ConnectionLost):
            await waiting

    serving(work, never)


def test_a_refused_connection_is_tried_on_another_instance_when_it_is_safe() -> None:
    async def work(port: int) -> list[int]:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            dead = closed.getsockname()[1]
        client = Client()
        upstream = Upstream(client, 5.0)
        upstream.set_backends([("dead", dead), ("alive", port)])
        statuses = [(await upstream.send(Request("GET", "/"))).status for _ in range(4)]
        await upstream.close()
        client.drop(port)
        return statuses

    assert serving(work) == [200, 200, 200, 200]


def test_a_post_is_never_sent_twice() -> None:
    async def work(_: int) -> int:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            dead = closed.getsockname()[1]
        retried: list[None] = []
        upstream = Upstream(Client(), 5.0, on_retry=lambda: retried.append(None))
        upstream.set_backends([("dead", dead)])
        status = (await upstream.send(Request("POST", "/"))).status
        assert retried == []
        await upstream.close()
        return status

    assert serving(work) == 502


def test_a_reply_cut_in_the_middle_is_a_lost_connection() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        done.set()

    done = asyncio.Event()

    async def play() -> None:
        server = await asyncio.start_server(half, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionLost):
            await Client().send(port, Request("GET", "/"), 5.0)
        server.close()
        await done.wait()

    asyncio.run(play())
