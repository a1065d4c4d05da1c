"""The open loop: every arrival gets exactly one sample, and its time runs from when it was due."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from chaosdrill import statistics
from chaosdrill.clock import SystemClock
from chaosdrill.model.signal import Sample
from chaosdrill.signals.arrivals import SPARE_WORKERS, OpenLoop, Pace, Result
from chaosdrill.statistics import Readings

CLOCK = SystemClock()


class Sink:
    """Collects samples, and lets a test wait for a number of them."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._more = threading.Condition()

    def __call__(self, sample: Sample) -> None:
        with self._more:
            self.samples.append(sample)
            self._more.notify_all()

    def wait_for(self, count: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: len(self.samples) >= count, 60)

    def arrivals(self, rate: float) -> list[int]:
        first = min(s.t for s in self.samples)
        return sorted(round((s.t - first) * rate) for s in self.samples)


class Steady:
    """A line that answers at once."""

    def attempt(self, deadline: float) -> Result:
        return Result(True, "200")

    def cancel(self) -> None: ...

    def close(self) -> None: ...


class Gate(Steady):
    """A line that answers while `open` is set, and otherwise waits for it, for as long as it may."""

    def __init__(self, opened: threading.Event) -> None:
        self.opened = opened

    def attempt(self, deadline: float) -> Result:
        in_time = self.opened.wait(max(0.0, deadline - CLOCK.mono()))
        return Result(in_time, "200" if in_time else "timeout")


class Deaf(Steady):
    """A line that takes no notice of its deadline, until it is cancelled."""

    def __init__(self) -> None:
        self.cancelled = 0
        self._freed = threading.Event()

    def attempt(self, deadline: float) -> Result:
        self._freed.wait()
        self._freed.clear()
        return Result(True, "200")

    def cancel(self) -> None:
        self.cancelled += 1
        self._freed.set()


def all_accounted_for(sink: Sink, rate: float) -> bool:
    return sink.arrivals(rate) == list(range(len(sink.samples)))


def test_arrivals_keep_to_the_schedule_however_long_it_runs() -> None:
    sink, loop = Sink(), OpenLoop("pay", Pace(200, 5), CLOCK, Steady)
    loop.start(sink)
    sink.wait_for(300)
    loop.stop()
    first = min(s.t for s in sink.samples)
    assert all_accounted_for(sink, 200)
    steps = [(s.t - first) * 200 for s in sink.samples]
    assert steps == pytest.approx([round(step) for step in steps], abs=1e-3)
    assert all(s.ok and s.detail == "200" and s.signal == "pay" for s in sink.samples)


def test_every_arrival_up_to_the_stop_is_made_and_none_after_it() -> None:
    sink, loop = Sink(), OpenLoop("pay", Pace(100, 5), CLOCK, Steady)
    loop.start(sink)
    sink.wait_for(20)
    before = CLOCK.now()
    loop.stop()
    after = CLOCK.now()
    seen = len(sink.samples)
    newest = max(s.t for s in sink.samples)
    assert before - 1 / 100 <= newest <= after
    assert all_accounted_for(sink, 100)
    loop.stop()
    assert len(sink.samples) == seen
    assert loop.workers == 0


def test_stopping_what_never_started_is_right() -> None:
    OpenLoop("pay", Pace(100, 5), CLOCK, Steady).stop()


def test_a_stall_cannot_hide_in_the_latencies() -> None:
    opened = threading.Event()
    sink, loop = Sink(), OpenLoop("pay", Pace(100, 30), CLOCK, lambda: Gate(opened))
    loop.start(sink)
    began = CLOCK.now()
    CLOCK.wait(threading.Event(), 0.5)
    ended = CLOCK.now()
    opened.set()
    sink.wait_for(60)
    loop.stop()
    assert all_accounted_for(sink, 100)
    stalled = [s for s in sink.samples if began <= s.t < ended]
    # Half of what was due in the stall waited for half of it or more.
    median = statistics.measure("p50_latency", Readings.of(stalled)).value
    assert median is not None and median > 0.15


def test_a_stall_brings_more_workers_and_they_leave_again() -> None:
    opened = threading.Event()
    sink, loop = Sink(), OpenLoop("pay", Pace(200, 60), CLOCK, lambda: Gate(opened))
    loop.start(sink)
    pause = threading.Event()
    while loop.workers < SPARE_WORKERS + 8:
        pause.wait(0.01)
    opened.set()
    while loop.workers > SPARE_WORKERS + 1:
        pause.wait(0.01)
    loop.stop()
    assert all_accounted_for(sink, 200)
    assert all(s.ok for s in sink.samples)


def test_what_nobody_is_free_for_counts_as_a_time_out_once_its_time_has_passed() -> None:
    never = threading.Event()
    sink, loop = Sink(), OpenLoop("pay", Pace(100, 0.3, most=3), CLOCK, lambda: Gate(never))
    loop.start(sink)
    sink.wait_for(60)
    loop.stop()
    assert all_accounted_for(sink, 100)
    assert {s.detail for s in sink.samples} == {"timeout"}
    assert all(s.value is not None and s.value >= 0.3 - 1e-6 and not s.ok for s in sink.samples)


def test_late_requests_are_still_made_and_their_time_runs_from_when_they_were_due() -> None:
    opened = threading.Event()
    sink, loop = Sink(), OpenLoop("pay", Pace(100, 60, most=2), CLOCK, lambda: Gate(opened))
    loop.start(sink)
    CLOCK.wait(threading.Event(), 0.4)
    opened.set()
    sink.wait_for(30)
    loop.stop()
    assert all_accounted_for(sink, 100)
    assert all(s.ok for s in sink.samples)
    assert max(loop.dispatch_errors()) > 0.2


def test_an_attempt_that_hangs_is_given_up_on_and_the_end_still_comes() -> None:
    lines: list[Deaf] = []

    def new_line() -> Deaf:
        lines.append(Deaf())
        return lines[-1]

    sink, loop = Sink(), OpenLoop("pay", Pace(20, 0.2), CLOCK, new_line)
    loop.start(sink)
    sink.wait_for(5)
    loop.stop()
    assert all_accounted_for(sink, 20)
    assert {s.detail for s in sink.samples} == {"timeout"}
    assert sum(line.cancelled for line in lines) == len(sink.samples)


def test_an_answer_after_the_time_out_is_a_time_out() -> None:
    class Late(Steady):
        def attempt(self, deadline: float) -> Result:
            CLOCK.wait(threading.Event(), deadline - CLOCK.mono() + 0.02)
            return Result(True, "200")

    sink, loop = Sink(), OpenLoop("pay", Pace(20, 0.1), CLOCK, Late)
    loop.start(sink)
    sink.wait_for(5)
    loop.stop()
    assert {(s.detail, s.ok) for s in sink.samples} == {("timeout", False)}


@pytest.mark.parametrize("detail", ["refused", "reset", "error"])
def test_what_never_answered_has_no_latency(detail: str) -> None:
    class Broken(Steady):
        def attempt(self, deadline: float) -> Result:
            return Result(False, detail)

    sink, loop = Sink(), OpenLoop("pay", Pace(50, 5), CLOCK, Broken)
    loop.start(sink)
    sink.wait_for(3)
    loop.stop()
    assert all(s == Sample(s.t, "pay", None, False, detail) for s in sink.samples)


def test_lines_are_given_back() -> None:
    opened: list[Steady] = []
    closed: list[Steady] = []

    class Counted(Steady):
        def __init__(self) -> None:
            opened.append(self)

        def close(self) -> None:
            closed.append(self)

    sink, loop = Sink(), OpenLoop("pay", Pace(50, 5), CLOCK, Counted)
    loop.start(sink)
    sink.wait_for(5)
    loop.stop()
    assert len(opened) == len(closed) > 0


def test_a_process_that_was_paused_leaves_a_gap_and_no_time_outs() -> None:
    script = """
import sys, threading
from chaosdrill.clock import SystemClock
from chaosdrill.signals.arrivals import OpenLoop, Pace, Result
class Steady:
    def attempt(self, deadline): return Result(True, "200")
    def cancel(self): pass
    def close(self): pass
made = []
loop = OpenLoop("pay", Pace(50, 0.5), SystemClock(), Steady)
loop.start(made.append)
print("on", flush=True)
sys.stdin.readline()
loop.stop()
made.sort()
hole = max(b.t - a.t for a, b in zip(made, made[1:]))
print(len(made), sum(s.detail == "timeout" for s in made), loop.unobserved, hole)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "on\n"
    pause = threading.Event()
    pause.wait(0.3)
    os.kill(child.pid, signal.SIGSTOP)
    pause.wait(2.0)
    os.kill(child.pid, signal.SIGCONT)
    pause.wait(0.3)
    out, _ = child.communicate("off\n", timeout=60)
    made, timeouts, unobserved, hole = out.split()
    assert int(timeouts) == 0
    assert int(unobserved) > 0
    assert float(hole) > 1.0
    assert int(made) > 0
