"""The sandbox comes up, is found again, outlives its starter, and leaves nothing behind, however it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

from chaosdrill.errors import Refused, TargetUnreachable
from chaosdrill.sandbox import client, state
from chaosdrill.sandbox.parts.processes import alive, identity

PATIENCE = 20.0


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    chosen = tmp_path / "box"
    monkeypatch.setenv("CHAOSDRILL_SANDBOX_DIR", str(chosen))
    yield chosen
    client.down()


def until(condition: Callable[[], object], what: str) -> None:
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline, what
        sleep(0.02)


def processes(directory: Path) -> list[tuple[int, str]]:
    """Return (pid, identity) of the supervisor and everything under it."""
    found = state.read(directory)
    assert found is not None
    below = [tuple(process) for group in found["processes"].values() for process in group]
    return [tuple(found["supervisor"]), *below]


def pid_of(box: client.Sandbox, instance: str) -> int:
    pid = next(i["pid"] for i in box.status()["instances"] if i["id"] == instance)
    assert isinstance(pid, int)
    return pid


def instance(box: client.Sandbox, name: str) -> dict[str, object]:
    return next(i for i in box.status()["instances"] if i["id"] == name)


def checkout(box: client.Sandbox) -> dict[str, str]:
    with urllib.request.urlopen(f"{box.shop_url}/checkout", timeout=5) as response:
        found: dict[str, str] = json.load(response)
    return found


def test_up_is_ready_and_down_leaves_nothing(directory: Path) -> None:
    box = client.up()
    assert checkout(box)["payment"] == "paid"
    states = {i["id"]: i["state"] for i in box.status()["instances"]}
    assert set(states.values()) == {"ready"}
    assert [sum(name.startswith(s) for name in states) for s in ("checkout-api", "payment-api")] == [2, 3]
    ran = processes(directory)
    assert len(ran) == 1 + len(states)
    assert client.down() is True
    assert not any(alive(*process) for process in ran)
    assert not directory.exists()
    assert client.find() is None
    assert client.down() is False


def test_up_twice_is_one_sandbox_and_each_directory_has_its_own(directory: Path, tmp_path: Path) -> None:
    first = client.up()
    assert client.up() == first
    other = client.up(tmp_path / "other")
    try:
        assert other.shop_url != first.shop_url
        assert checkout(other)["payment"] == checkout(first)["payment"] == "paid"
    finally:
        client.down(tmp_path / "other")
    assert client.find() == first


def test_two_ups_at_once_start_one_sandbox(directory: Path) -> None:
    code = "from chaosdrill.sandbox import client; print(client.up().status()['supervisor'])"
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert said[0] == said[1] != b""


def test_it_is_found_again_after_the_command_that_started_it_was_killed(directory: Path) -> None:
    code = "import os; from chaosdrill.sandbox import client; client.up(); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    found = client.find()
    assert found is not None
    assert checkout(found)["payment"] == "paid"


@pytest.mark.parametrize("victim", ["balancer", "checkout-api-1", "payment-api-2", "delay-proxy", "database"])
def test_what_dies_is_restarted_and_counted(box: client.Sandbox, victim: str) -> None:
    before = instance(box, victim)
    os.kill(pid_of(box, victim), signal.SIGKILL)
    until(lambda: instance(box, victim)["pid"] not in (None, before["pid"]), "it was not restarted")
    until(lambda: instance(box, victim)["state"] == "ready", "it did not get well")
    assert instance(box, victim)["restarts"] == before["restarts"] + 1  # type: ignore[operator]
    assert instance(box, victim)["port"] == before["port"]
    until(lambda: checkout(box)["payment"] == "paid", "the shop did not recover")


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[client.Sandbox]:
    directory = tmp_path_factory.mktemp("shared")
    yield client.up(directory)
    client.down(directory)


def test_a_hung_instance_gets_no_customers(box: client.Sandbox) -> None:
    pid = pid_of(box, "payment-api-1")
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: box.series("payment-api")["ready"] == 2, "nobody noticed")
        assert {checkout(box)["payment"] for _ in range(12)} == {"paid"}
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: box.series("payment-api")["ready"] == 3, "it did not come back")


def test_logs_are_json_and_metrics_are_served(box: client.Sandbox) -> None:
    checkout(box)
    port = instance(box, "payment-api-3")["port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        page = response.read().decode()
    assert 'db_pool_connections_max{instance="payment-api-3",service="payment-api"} 5.0' in page
    lines = (box.directory / "logs" / "payment-api-3.jsonl").read_text("utf-8").splitlines()
    assert {"time", "level", "instance", "event"} <= set(json.loads(lines[0]))


def test_a_killed_supervisor_takes_everything_with_it_and_up_starts_anew(directory: Path) -> None:
    client.up(load=20)
    ran = processes(directory)
    os.kill(ran[0][0], signal.SIGKILL)
    until(lambda: not any(alive(*process) for process in ran), "something outlived its supervisor")
    assert client.find() is None
    assert client.remains() == []
    again = client.up()
    assert checkout(again)["payment"] == "paid"


def test_down_ends_what_did_not_notice_that_its_supervisor_was_killed(directory: Path) -> None:
    client.up()
    ran = processes(directory)
    os.kill(ran[0][0], signal.SIGKILL)
    until(lambda: not any(alive(*process) for process in ran), "something outlived its supervisor")
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as deaf:
        found = state.read(directory)
        assert found is not None
        found["processes"] = {"payment-api-1": [[deaf.pid, identity(deaf.pid)]]}
        state.write(directory, found)
        assert client.remains() == [f"payment-api-1 (process {deaf.pid})"]
        assert client.down() is True
        assert deaf.wait(timeout=10) == -signal.SIGKILL
    assert client.remains() == []
    assert not directory.exists()


def test_down_never_kills_a_process_that_is_not_ours(directory: Path) -> None:
    client.up()
    found = state.read(directory)
    assert found is not None
    os.kill(found["supervisor"][0], signal.SIGKILL)
    until(lambda: client.find() is None, "a dead supervisor counts as up")
    # The ids in the file now belong, as far as anybody can tell, to this very test.
    found["processes"] = {"payment-api-1": [[os.getpid(), "of-somebody-else"]]}
    state.write(directory, found)
    client.down()


def test_a_sandbox_whose_folder_was_deleted_ends_by_itself(directory: Path) -> None:
    client.up()
    ran = processes(directory)
    shutil.rmtree(directory)
    until(lambda: not any(alive(*process) for process in ran), "nobody can end it any more")


def test_sigterm_ends_it_cleanly(directory: Path) -> None:
    client.up()
    ran = processes(directory)
    os.kill(ran[0][0], signal.SIGTERM)
    until(lambda: not any(alive(*process) for process in ran), "it goes on")
    assert state.read(directory) is None


def test_a_long_path_is_no_problem(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 30) / ("longer" * 20)
    box = client.up(directory)
    outside = state.socket_path(directory)
    assert outside.exists()
    assert checkout(box)["payment"] == "paid"
    client.down(directory)
    assert not directory.exists()
    assert not outside.parent.exists()


def test_an_unusable_folder_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Refused, match="CHAOSDRILL_SANDBOX_DIR"):
        client.up(tmp_path / "file" / "box")


def test_a_mute_supervisor_is_reported_and_ended(directory: Path) -> None:
    box = client.up()
    supervisor = processes(directory)[0]
    os.kill(supervisor[0], signal.SIGSTOP)
    found = state.read(directory)
    assert found is not None
    try:
        with pytest.raises(TargetUnreachable, match="sandbox down"):
            client.Sandbox(box.directory, box.shop_url)._ask(0.2, do="faults")
    finally:
        os.kill(supervisor[0], signal.SIGCONT)
    assert box.faults() == []


def test_what_can_not_come_up_says_why_and_leaves_nothing(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sqlite3.py").write_text("raise RuntimeError('no database on this machine')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(TargetUnreachable, match=r"database died 3 times \(RuntimeError: no database"):
        client.up()
    assert not directory.exists()
