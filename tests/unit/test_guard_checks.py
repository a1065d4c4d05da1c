"""The checks of stop conditions: what counts as bad, what as nothing told, and how they are written."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from chaosdrill.clock import SystemClock
from chaosdrill.errors import InvalidFile
from chaosdrill.model.experiment import StopCondition
from chaosdrill.plan.experiment import read_experiment
from chaosdrill.signals.checks import open_check


@contextmanager
def serving(answer: Callable[[bytes], bytes | None]) -> Iterator[str]:
    """Serve raw bytes on loopback: what `answer` gives for a request; None to say nothing at all."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connected, _ = listening.accept()
                except OSError:
                    return
                with connected:
                    said = answer(connected.recv(65536))
                    if said is None:
                        ended.wait(5)
                    else:
                        connected.sendall(said)

        ended = threading.Event()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        ended.set()
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def _http(status: int, body: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def _ask(seconds: float = 2.0, **fields: Any) -> tuple[bool | None, str]:
    check = open_check(StopCondition.model_validate(fields), SystemClock())
    try:
        return tuple(check.ask(seconds))  # type: ignore[return-value]
    finally:
        check.close()


@pytest.mark.parametrize(
    ("status", "expect", "bad"), [(200, "200-399", False), (503, "200-399", True), (404, "200,404", False)]
)
def test_an_answer_is_bad_unless_its_status_is_expected(status: int, expect: str, bad: bool) -> None:
    with serving(lambda _: _http(status)) as url:
        assert _ask(http={"url": url, "expect": expect})[0] is bad


def test_no_answer_is_a_bad_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    assert _ask(http={"url": url}) == (True, "refused the connection")


def test_a_check_gives_up_on_a_server_that_says_nothing() -> None:
    with serving(lambda _: None) as url:
        assert _ask(0.2, http={"url": url}) == (True, "gave no answer within 1 s")


def test_method_and_headers_are_sent() -> None:
    seen: list[bytes] = []

    def answer(request: bytes) -> bytes:
        seen.append(request)
        return _http(200)

    with serving(answer) as url:
        _ask(http={"url": f"{url}/ready", "method": "head", "headers": {"X-Team": "pay"}})
    assert seen[0].startswith(b"HEAD /ready HTTP/1.1\r\n")
    assert b"X-Team: pay\r\n" in seen[0]


def _told(data: object, status: str = "success") -> bytes:
    return json.dumps({"status": status, "data": data, "error": "parse error"}).encode()


def _vector(*values: object) -> dict[str, Any]:
    return {"resultType": "vector", "result": [{"metric": {}, "value": [0, value]} for value in values]}


@pytest.mark.parametrize(
    ("status", "body", "bad", "said"),
    [
        (200, _told(_vector("4")), False, "4"),
        (200, _told(_vector("6")), True, "6"),
        (200, _told({"resultType": "scalar", "result": [0, "6"]}), True, "6"),
        (200, _told(_vector("+Inf")), True, "inf"),
        (200, _told(_vector()), None, "0 series"),
        (200, _told(_vector("1", "1")), None, "2 series"),
        (200, _told(_vector("NaN")), None, "NaN"),
        (200, _told(_vector(None)), None, "NaN"),
        (200, _told({"resultType": "matrix", "result": []}), None, "matrix"),
        (200, _told(None, status="error"), None, "parse error"),
        (200, b"[]", None, "the query failed"),
        (200, b"<html>", None, "Expecting"),
        (503, _told(_vector("4")), None, "answered 503"),
        (200, _told({"resultType": "vector", "result": ["x"]}), None, "NaN"),
    ],
)
def test_a_query_that_gives_no_single_number_tells_nothing(
    status: int, body: bytes, bad: bool | None, said: str
) -> None:
    with serving(lambda _: _http(status, body)) as url:
        answer = _ask(prometheus={"url": url, "query": "sum(rate(x[1m]))"}, above="5")
    assert answer[0] is bad
    assert said in answer[1]


def test_the_query_and_the_token_are_sent() -> None:
    seen: list[bytes] = []

    def answer(request: bytes) -> bytes:
        seen.append(request)
        return _http(200, _told(_vector("1")))

    with serving(answer) as url:
        _ask(prometheus={"url": f"{url}/", "query": 'up{job="a b"}', "bearer": "t0ken"}, below="1")
    assert seen[0].startswith(b"GET /api/v1/query?query=up%7Bjob%3D%22a+b%22%7D HTTP/1.1\r\n")
    assert b"Authorization: Bearer t0ken\r\n" in seen[0]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "exactly one of signal, http or prometheus"),
        ({"signal": "a.ready", "below": "1", "http": {"url": "http://x"}}, "signal and http"),
        ({"http": {"url": "http://x"}, "above": "5"}, "takes no `above`"),
        ({"prometheus": {"url": "http://x", "query": "up"}}, "exactly one of above"),
        ({"prometheus": {"url": "http://x", "query": "up"}, "above": "5 %"}, "no number"),
        ({"http": {"url": "http://x"}, "noticed-within": "10 ms"}, "less than 100 ms"),
        ({"http": {"url": "http://x", "timeout": "1 s"}, "noticed-within": "1 s"}, "half of noticed-within"),
        ({"signal": "a.ready", "below": "1", "noticed-within": "1 s"}, "seen with every sample"),
    ],
)
def test_a_condition_that_makes_no_sense_says_why(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        StopCondition.model_validate(fields)


def test_a_wrong_check_is_named_with_its_place_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "experiment.yaml"
    path.write_text(
        "title: t\ndescription: d\nmethod: []\nrollbacks: []\nextensions:\n"
        "- name: chaosdrill\n  abort-when:\n"
        "  - {http: {url: 'ftp://x'}}\n"
        "  - {http: {adress: 'http://x'}}\n"
        "  - {prometheus: {url: 'http://x', query: up}, above: 5 s}\n"
    )
    with pytest.raises(InvalidFile) as invalid:
        read_experiment(path)
    said = [(problem.line, problem.message) for problem in invalid.value.problems]
    assert (8, 18) in [(problem.line, problem.column) for problem in invalid.value.problems]
    assert any(line == 9 and "no 'adress'" in message for line, message in said)
    assert any(line == 10 and "no number" in message for line, message in said)
