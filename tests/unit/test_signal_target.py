"""Gauges of a target: read on time, and a reading that failed is seen to have failed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import pytest

from chaosdrill import signals
from chaosdrill.clock import SystemClock
from chaosdrill.errors import ChaosdrillError, TargetUnreachable, UsageError
from chaosdrill.model.experiment import SourceSpec
from chaosdrill.model.signal import GAUGE_SERIES, Sample

CLOCK = SystemClock()
SPEC = SourceSpec(target="payment-api", every=0.02)
Answer = Mapping[str, float | None] | Exception


class Reader:
    """Gives the next of `answers` each time, the last one for ever."""

    def __init__(self, *answers: Answer, first: Callable[[], object] = lambda: None) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self._first = first

    def series(self, service: str) -> Mapping[str, float | None]:
        self.asked.append(service)
        self._first()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def made(reader: Reader, count: int) -> list[Sample]:
    found: list[Sample] = []
    enough = threading.Event()

    def sink(sample: Sample) -> None:
        found.append(sample)
        if len(found) >= count:
            enough.set()

    signal = signals.open("instances", SPEC, CLOCK, reader)
    signal.start(sink)
    assert enough.wait(60)
    signal.stop()
    signal.stop()
    return found


def test_readings_are_sampled_by_series() -> None:
    reader = Reader({"ready": 3, "cpu": 0.25, "breaker": 0.0})
    found = made(reader, 6)
    assert {(s.signal, s.value, s.ok, s.detail) for s in found} == {
        ("instances.ready", 3.0, True, ""),
        ("instances.cpu", 0.25, True, ""),
        ("instances.breaker", 0.0, True, ""),
    }
    assert set(reader.asked) == {"payment-api"}


def test_a_series_that_nobody_knows_is_left_out() -> None:
    assert {s.signal for s in made(Reader({"ready": 3, "karma": 7}), 3)} == {"instances.ready"}


@pytest.mark.parametrize(
    "failure",
    [
        OSError("gone"),
        ConnectionRefusedError(),
        TimeoutError(),
        ValueError("no number"),
        ChaosdrillError("no"),
    ],
)
def test_a_failed_reading_is_a_sample_that_says_so_and_the_next_one_goes_on(failure: Exception) -> None:
    found = made(Reader({"ready": 3}, failure, {"ready": 2}), 3)
    assert [(s.signal, s.value, s.ok, s.detail) for s in found[:3]] == [
        ("instances.ready", 3.0, True, ""),
        ("instances.ready", None, False, "error"),
        ("instances.ready", 2.0, True, ""),
    ]


def test_a_target_that_was_never_readable_fails_every_series() -> None:
    found = made(Reader(OSError("gone")), len(GAUGE_SERIES))
    assert {s.signal for s in found} == {f"instances.{series}" for series in GAUGE_SERIES}
    assert not any(s.ok for s in found)


def test_a_series_that_vanishes_is_a_failed_reading() -> None:
    found = made(Reader({"ready": 3, "breaker": 0}, {"ready": 3}), 4)
    later = {(s.signal, s.value, s.ok, s.detail) for s in found[2:4]}
    assert later == {("instances.ready", 3.0, True, ""), ("instances.breaker", None, False, "error")}


def test_a_reading_that_cannot_be_told_is_a_failed_one() -> None:
    found = made(Reader({"ready": 3, "cpu": None}), 2)
    assert {(s.signal, s.value, s.ok) for s in found} == {
        ("instances.ready", 3.0, True),
        ("instances.cpu", None, False),
    }


def test_a_reading_that_hangs_leaves_a_gap_and_nothing_comes_after_the_stop() -> None:
    release = threading.Event()
    began = threading.Event()

    def hang() -> None:
        began.set()
        release.wait()

    found: list[Sample] = []
    signal = signals.open("instances", SPEC, CLOCK, Reader({"ready": 3}, first=hang))
    signal.start(found.append)
    assert began.wait(60)
    signal.stop()
    release.set()
    assert found == []


def test_check_says_which_service_cannot_be_read() -> None:
    signals.open("instances", SPEC, CLOCK, Reader({"ready": 3})).check()
    for reader in (Reader(OSError("no route")), Reader({}), Reader({"ready": None})):
        with pytest.raises(TargetUnreachable, match="service payment-api cannot be read") as raised:
            signals.open("instances", SPEC, CLOCK, reader).check()
        assert raised.value.next_step


def test_a_target_source_needs_a_target_that_can_be_read() -> None:
    with pytest.raises(UsageError, match="signal instances reads the target system"):
        signals.open("instances", SPEC, CLOCK)
