"""The TCP signal against real sockets on loopback."""

from __future__ import annotations

import socket
import threading

import pytest

from chaosdrill import signals
from chaosdrill.clock import SystemClock
from chaosdrill.errors import TargetUnreachable
from chaosdrill.model.experiment import SourceSpec, TcpSource
from chaosdrill.model.signal import Sample

CLOCK = SystemClock()


def made(address: str, count: int, timeout: float = 10.0) -> list[Sample]:
    found: list[Sample] = []
    enough = threading.Event()

    def sink(sample: Sample) -> None:
        found.append(sample)
        if len(found) >= count:
            enough.set()

    spec = SourceSpec(tcp=TcpSource(address=address, rate=50.0, timeout=timeout))
    signal = signals.open("db", spec, CLOCK)
    signal.start(sink)
    assert enough.wait(60)
    signal.stop()
    return found


def listening() -> tuple[socket.socket, str]:
    held = socket.create_server(("127.0.0.1", 0), backlog=512)
    return held, f"127.0.0.1:{held.getsockname()[1]}"


def test_a_handshake_is_timed() -> None:
    held, address = listening()
    with held:
        found = made(address, 10)
    assert {(s.signal, s.ok, s.detail) for s in found} == {("db", True, "")}
    assert all(s.value is not None and s.value > 0 for s in found)


def test_a_closed_port_is_refused() -> None:
    held, address = listening()
    held.close()
    assert {(s.value, s.ok, s.detail) for s in made(address, 5)} == {(None, False, "refused")}


def test_a_full_backlog_times_out_with_the_time_waited() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as held:
        address = held.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        found = made(f"{address[0]}:{address[1]}", 5, timeout=0.2)
        for one in waiting:
            one.close()
    assert {(s.ok, s.detail) for s in found} == {(False, "timeout")}
    assert all(s.value is not None and s.value >= 0.2 for s in found)


def test_check_says_what_does_not_answer_and_what_to_do() -> None:
    held, address = listening()
    spec = SourceSpec(tcp=TcpSource(address=address))
    with held:
        signals.open("db", spec, CLOCK).check()
    with pytest.raises(
        TargetUnreachable, match=rf"signal db: no connection to {address} .*refused"
    ) as raised:
        signals.open("db", spec, CLOCK).check()
    assert "listens" in raised.value.next_step
