"""Somebody on loopback who is told things over HTTP, and may refuse, stall or wait for others."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Mailbox)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server.received.append((self.path, dict(self.headers), body.decode()))
        if server.meets is not None:
            server.meets.wait(10)
        if server.stalls is not None:
            server.stalls.wait(30)
        self.send_response(server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Mailbox(http.server.ThreadingHTTPServer):
    """Takes every message, and answers as it was told to."""

    daemon_threads = True
    status = 200
    stalls: threading.Event | None = None
    meets: threading.Barrier | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.received: list[tuple[str, dict[str, str], str]] = []

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


@contextlib.contextmanager
def open_mailbox() -> Iterator[Mailbox]:
    """A mailbox that takes messages until it is left."""
    server = Mailbox()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        if server.stalls is not None:
            server.stalls.set()
        server.shutdown()
        server.server_close()
        thread.join()
