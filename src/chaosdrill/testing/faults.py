"""The contract that every fault passes, ours and those of plugins.

A fault is judged from outside: the case says how to see at the target whether it is on, and the fault's own
word is never taken for it. Knows no fault and no system.

    case = FaultCase(
        factory="chaosdrill.faults.sandbox_cpu:CpuStress",
        spec=FaultSpec("cpu_stress", "payment-api", 60.0, {"workers": 1, "load": "80 %"}),
        scope=Scope(("payment-api-1",), 3),
        is_on=lambda: cpu_of("payment-api-1") > 0.4,
    )
    check_fault(case)
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from time import sleep

from chaosdrill.clock import SystemClock
from chaosdrill.ports import Fault, FaultSpec, Scope, UndoRecord

#: What another process does with a fault: `factory method` as arguments, the record on standard input.
_ELSEWHERE = """
import json, sys
from chaosdrill.testing.faults import build
getattr(build(sys.argv[1]), sys.argv[2])(json.load(sys.stdin))
"""
#: As above, and then it dies as a runner dies: without a word.
_ELSEWHERE_THEN_DIE = _ELSEWHERE + "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"


@dataclass(frozen=True)
class FaultCase:
    """A fault to check, and how to see it.

    `factory` is 'module:callable', so that another process can build the fault too; `spec.duration` in
    seconds must outlast the checks (60 is plenty); `is_on` looks at the target itself; `short` is the time
    limit that is waited for; `patience` is how long the target may take to show or lose the effect.
    """

    factory: str
    spec: FaultSpec
    scope: Scope
    is_on: Callable[[], bool]
    short: float = 2.0
    patience: float = 15.0


def build(factory: str) -> Fault:
    """Return what 'module:callable' makes."""
    module, _, name = factory.partition(":")
    fault: Fault = getattr(import_module(module), name)()
    return fault


def check_fault(case: FaultCase) -> None:
    """Check every promise of `PROMISES` in turn. Raises AssertionError, naming what was broken."""
    for promise in PROMISES.values():
        promise(case)


def preparing_changes_nothing(case: FaultCase) -> None:
    """After `prepare` nothing is on, and the record is JSON."""
    fault, record = _prepared(case)
    _require(json.loads(json.dumps(record)) == record, "the record does not survive JSON")
    _await(case, False, "prepare has an effect")
    _require_clean(case, fault, record)


def starting_has_the_effect(case: FaultCase) -> None:
    """After `start` the effect is there and `residue` says so; after `stop` neither."""
    fault, record = _prepared(case)
    fault.start(record)
    try:
        _await(case, True, "start has no effect")
        _require(bool(fault.residue(record)), "the fault is on, and residue says that it is clean")
    finally:
        fault.stop(record)
    _require_clean(case, fault, record)


def stopping_twice_is_right(case: FaultCase) -> None:
    """A second `stop` does nothing and raises nothing."""
    fault, record = _prepared(case)
    fault.start(record)
    fault.stop(record)
    fault.stop(record)
    _require_clean(case, fault, record)


def stopping_what_never_started_is_right(case: FaultCase) -> None:
    """`stop` after `prepare` alone does nothing and raises nothing."""
    fault, record = _prepared(case)
    fault.stop(record)
    _require_clean(case, fault, record)


def another_process_can_stop(case: FaultCase) -> None:
    """The record alone is enough for another process to stop what this one has started."""
    fault, record = _prepared(case)
    fault.start(record)
    _await(case, True, "start has no effect")
    done = _elsewhere(_ELSEWHERE, case.factory, "stop", record)
    _require(done.returncode == 0, f"stop failed in another process: {done.stderr.decode()[-500:]}")
    _require_clean(case, fault, record)


def the_target_ends_it_in_time(case: FaultCase) -> None:
    """Started by a process that dies at once, it is on, and goes off after its duration by itself."""
    short = replace(case, spec=case.spec._replace(duration=case.short))
    fault, record = _prepared(short)
    _elsewhere(_ELSEWHERE_THEN_DIE, case.factory, "start", record)
    _require(bool(fault.residue(record)), "it was not on after its starter had died")
    _await_clean(short, fault, record)
    _require_clean(short, fault, record)


def it_can_be_started_again(case: FaultCase) -> None:
    """A fault that was stopped can be prepared and started anew."""
    for _ in range(2):
        fault, record = _prepared(case)
        fault.start(record)
        fault.stop(record)
        _require_clean(case, fault, record)


#: Every promise by name, for a test runner that wants one test for each.
PROMISES: dict[str, Callable[[FaultCase], None]] = {
    promise.__name__: promise
    for promise in (
        preparing_changes_nothing,
        starting_has_the_effect,
        stopping_twice_is_right,
        stopping_what_never_started_is_right,
        another_process_can_stop,
        the_target_ends_it_in_time,
        it_can_be_started_again,
    )
}


def _prepared(case: FaultCase) -> tuple[Fault, UndoRecord]:
    fault = build(case.factory)
    # Through JSON, because that is how a record reaches whoever uses it.
    return fault, json.loads(json.dumps(fault.prepare(case.spec, case.scope)))


def _elsewhere(
    code: str, factory: str, method: str, record: UndoRecord
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", code, factory, method],
        input=json.dumps(record).encode(),
        capture_output=True,
        timeout=60,
        check=False,
    )


def _await(case: FaultCase, wanted: bool, complaint: str) -> None:
    clock = SystemClock()
    deadline = clock.mono() + case.patience
    while case.is_on() is not wanted:
        _require(clock.mono() < deadline, complaint)
        sleep(0.02)


def _await_clean(case: FaultCase, fault: Fault, record: UndoRecord) -> None:
    clock = SystemClock()
    deadline = clock.mono() + case.short + case.patience
    while left := fault.residue(record):
        _require(clock.mono() < deadline, f"its time limit did not end it: {left}")
        sleep(0.02)


def _require_clean(case: FaultCase, fault: Fault, record: UndoRecord) -> None:
    left = fault.residue(record)
    _require(not left, f"something is left: {left}")
    _await(case, False, "residue says that it is clean, and the effect is still there")


def _require(truth: bool, complaint: str) -> None:
    if not truth:
        raise AssertionError(complaint)
