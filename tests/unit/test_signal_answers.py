"""Where an HTTP answer ends, however its bytes arrive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaosdrill.signals.answers import BODY_CAP, LONGEST_HEAD, Answer, BadAnswer, read_answer

# No time limits: these run on busy machines.
calmly = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

EARLY = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
WHOLE = {
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok": (200, True),
    b"HTTP/1.1 200 OK\r\ncontent-length:2\r\n\r\nok": (200, True),
    b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n": (200, True),
    b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok": (200, True),
    b"HTTP/1.1 204 No Content\r\n\r\n": (204, True),
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n": (304, True),
    b"HTTP/1.1 503 Busy\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nno": (503, False),
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok": (200, False),
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok": (200, True),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n": (
        200,
        True,
    ),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\nTrailer: yes\r\n\r\n": (200, True),
    EARLY + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok": (200, True),
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n": (101, False),
}
UNTIL_THE_END = {
    b"HTTP/1.1 200 OK\r\n\r\nwhatever": (200, False),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nwhatever": (200, False),
}
BAD = [
    b"220 smtp.example ESMTP\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"HTTP/2 200\r\n\r\n",
    b"HTTP/1.1 banana\r\n\r\n",
    b"HTTP/1.1 999 Odd\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n",
]


def arriving(pieces: Sequence[bytes]) -> Callable[[], bytes]:
    """Return a connection that gives `pieces` and then ends."""
    left = [piece for piece in pieces if piece]
    return lambda: left.pop(0) if left else b""


def cut(whole: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(whole) + 1) for place in places), len(whole)]
    return [whole[a:b] for a, b in pairwise(edges)]


@calmly
@given(st.sampled_from([*WHOLE, *UNTIL_THE_END]), st.lists(st.integers(0, 400), max_size=8))
def test_an_answer_is_the_same_however_its_bytes_arrive(whole: bytes, places: list[int]) -> None:
    expected = Answer(*{**WHOLE, **UNTIL_THE_END}[whole])
    assert read_answer(arriving(cut(whole, places)), "GET") == expected
    assert read_answer(arriving([bytes([byte]) for byte in whole]), "GET") == expected


@pytest.mark.parametrize("whole", WHOLE)
def test_an_answer_that_ends_early_is_cut_short_wherever_it_is_cut(whole: bytes) -> None:
    for end in range(len(whole)):
        with pytest.raises(ConnectionResetError):
            read_answer(arriving([whole[:end]]), "GET")


@pytest.mark.parametrize("whole", BAD)
def test_what_is_no_http_is_called_so_without_waiting_for_its_end(whole: bytes) -> None:
    def receive() -> bytes:
        assert pieces, "waited for more"
        return pieces.pop(0)

    pieces = [whole]
    with pytest.raises(BadAnswer):
        read_answer(receive, "GET")


def test_an_answer_to_head_has_no_body_whatever_it_says() -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    assert read_answer(arriving([whole]), "HEAD") == Answer(200, True)


def test_bytes_after_the_end_spoil_the_connection() -> None:
    for whole in WHOLE:
        answer = read_answer(arriving([whole + b"HTTP/1.1 200 OK\r\n"]), "GET")
        assert answer.status == WHOLE[whole][0]
        assert not answer.keep


@pytest.mark.parametrize(
    "head", [b"Content-Length: 99999999999", b"X: until the end", b"Transfer-Encoding: chunked"]
)
def test_more_than_the_cap_is_an_answer_and_is_not_read(head: bytes) -> None:
    asked = [0]

    def receive() -> bytes:
        asked[0] += 1
        if asked[0] == 1:
            return b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n"
        return b"FFFFFF\r\n" if asked[0] == 2 and b"chunked" in head else b"." * 65536

    assert read_answer(receive, "GET") == Answer(200, False)
    assert asked[0] * 65536 < 2 * BODY_CAP


@pytest.mark.parametrize(
    "start", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1"]
)
def test_a_head_or_a_line_without_end_is_given_up(start: bytes) -> None:
    pieces = [start, *[b"1" * 8192] * (LONGEST_HEAD // 4096)]
    with pytest.raises(BadAnswer, match="no end within"):
        read_answer(arriving(pieces), "GET")


@calmly
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_end_in_an_answer_or_an_error_that_is_expected(head: bytes, body: bytes) -> None:
    for start in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"):
        try:
            answer = read_answer(arriving([start + head, body]), "GET")
        except (BadAnswer, ConnectionResetError):
            continue
        assert 100 <= answer.status <= 599
