"""Every fault on the sandbox keeps every promise of the contract."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import psutil
import pytest

from chaosdrill import faults, targets
from chaosdrill.errors import FaultFailed, Refused, TargetUnreachable
from chaosdrill.ports import FaultSpec, Scope
from chaosdrill.sandbox import client
from chaosdrill.testing import PROMISES, FaultCase

MINUTE = 60.0
INSTANCE = Scope(("payment-api-2",), 3)
LINE = Scope(("payment-api->database",), 1)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[client.Sandbox]:
    directory = tmp_path_factory.mktemp("box")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CHAOSDRILL_SANDBOX_DIR", str(directory))
        yield client.up()
        client.down()


def facts(box: client.Sandbox, instance: str) -> dict[str, object]:
    return next(i for i in box.status()["instances"] if i["id"] == instance)


def hello(box: client.Sandbox) -> float:
    """Return the seconds until the database says hello through the proxy, 1 for never."""
    port = facts(box, "delay-proxy")["port"]
    start = monotonic()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as line:  # type: ignore[arg-type]
            line.recv(100)
    except TimeoutError:
        return 1.0
    return monotonic() - start


def refused(port: object) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()  # type: ignore[arg-type]
    except ConnectionRefusedError:
        return True
    return False


def cpu_seconds(pid: object) -> float:
    times = psutil.Process(pid).cpu_times()  # type: ignore[arg-type]
    return times.user + times.system


def burns(pid: object) -> bool:
    before = cpu_seconds(pid)
    sleep(0.3)
    return cpu_seconds(pid) - before > 0.05


CASES: dict[str, tuple[FaultSpec, Scope, Callable[[client.Sandbox], bool]]] = {
    "instance_failure": (
        FaultSpec("instance_failure", "payment-api", MINUTE),
        INSTANCE,
        lambda box: refused(facts(box, "payment-api-2")["port"]),
    ),
    "network_latency": (
        FaultSpec("network_latency", "database", MINUTE, {"delay": "300 ms", "jitter": "20 ms"}),
        LINE,
        lambda box: hello(box) > 0.27,
    ),
    "network_loss": (
        FaultSpec("network_loss", "database", MINUTE, {"loss": "100 %"}),
        LINE,
        lambda box: hello(box) == 1.0,
    ),
    "network_cut": (
        FaultSpec("network_cut", "database", MINUTE),
        LINE,
        lambda box: refused(facts(box, "delay-proxy")["port"]),
    ),
    "cpu_stress": (
        FaultSpec("cpu_stress", "payment-api", MINUTE, {"workers": "2", "load": "60 %"}),
        INSTANCE,
        lambda box: burns(facts(box, "payment-api-2")["pid"]),
    ),
}


def test_every_kind_has_a_case() -> None:
    assert set(CASES) == set(faults.kinds("sandbox"))


@pytest.mark.parametrize("promise", PROMISES)
@pytest.mark.parametrize("kind", CASES)
def test_fault_keeps_its_promise(box: client.Sandbox, kind: str, promise: str) -> None:
    spec, scope, is_on = CASES[kind]
    fault = faults.open(kind)
    factory = f"{type(fault).__module__}:{type(fault).__name__}"
    PROMISES[promise](FaultCase(factory, spec, scope, lambda: is_on(box)))


@pytest.mark.parametrize(
    ("kind", "target", "arguments", "words"),
    [
        ("network_latency", "database", {"delay": "100"}, "100 ms"),
        ("network_latency", "database", {"delay": "5 min"}, "not between"),
        ("network_latency", "database", {"delay": "10 ms", "jitter": "20 ms"}, "jitter"),
        ("network_latency", "databse", {"delay": "1 s"}, "did you mean database"),
        ("network_latency", "database", {}, "delay is missing"),
        ("network_loss", "database", {"loss": "10"}, "10 %"),
        ("network_cut", "payment-api", {}, "database"),
        ("cpu_stress", "payment-api", {"load": "180 %"}, "outside 0 % to 100 %"),
        ("cpu_stress", "payment-api", {"workers": "1.5"}, "whole number"),
        ("cpu_stress", "payment-api", {"workers": "99"}, "not between 1 and 8"),
        ("instance_failure", "payments-api", {}, "did you mean payment-api"),
        ("instance_failure", "delay-proxy", {}, "acts on instances of"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_by_name(
    box: client.Sandbox, kind: str, target: str, arguments: dict[str, str], words: str
) -> None:
    scope = LINE if kind.startswith("network") else INSTANCE
    with pytest.raises(Refused, match=words):
        faults.open(kind).prepare(FaultSpec(kind, target, MINUTE, arguments), scope)
    assert box.faults() == []


def test_an_unknown_fault_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(Refused, match="did you mean network_latency"):
        faults.open("network_latancy")


def test_only_ready_instances_are_candidates(box: client.Sandbox) -> None:
    target = targets.open("sandbox")
    spec = FaultSpec("instance_failure", "payment-api", MINUTE)
    fault = faults.open("instance_failure")
    record = fault.prepare(spec, INSTANCE)
    fault.start(record)
    left = [candidate.id for candidate in target.candidates(spec)]
    with pytest.raises(Refused, match="payment-api-2 is not there or not ready"):
        fault.prepare(spec, INSTANCE)
    fault.stop(record)
    assert left == ["payment-api-1", "payment-api-3"]
    assert [c.id for c in target.candidates(spec)] == ["payment-api-1", "payment-api-2", "payment-api-3"]


def test_the_sandbox_knows_which_run_a_fault_belongs_to(box: client.Sandbox) -> None:
    fault = faults.open("network_cut")
    record = fault.prepare(FaultSpec("network_cut", "database", MINUTE), LINE) | {"run": "run-7"}
    fault.start(record)
    (active,) = box.faults()
    fault.stop(record)
    assert (active["run"], active["target"], active["hit"]) == (
        "run-7",
        "database",
        ["payment-api->database"],
    )
    assert 0 < active["seconds_left"] <= MINUTE


def test_stress_ends_with_the_instance_that_had_it(box: client.Sandbox) -> None:
    stress, failure = faults.open("cpu_stress"), faults.open("instance_failure")
    burning = stress.prepare(FaultSpec("cpu_stress", "payment-api", MINUTE, {"workers": 2}), INSTANCE)
    stress.start(burning)
    killed = failure.prepare(FaultSpec("instance_failure", "payment-api", MINUTE), INSTANCE)
    failure.start(killed)
    failure.stop(killed)
    stress.stop(burning)
    assert stress.residue(burning) == failure.residue(killed) == []


def test_a_sandbox_that_is_down_has_no_residue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAOSDRILL_SANDBOX_DIR", str(tmp_path / "box"))
    client.up()
    fault = faults.open("network_latency")
    record = fault.prepare(FaultSpec("network_latency", "database", MINUTE, {"delay": "1 s"}), LINE)
    fault.start(record)
    client.down()
    fault.stop(record)
    assert fault.residue(record) == []
    with pytest.raises(FaultFailed, match="not up"):
        fault.start(record)
    with pytest.raises(TargetUnreachable, match="sandbox up"):
        targets.open("sandbox").check()
