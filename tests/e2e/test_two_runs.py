"""Two runs on one target: one after the other, whatever becomes of the first."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chaosdrill.sandbox import client, state
from chaosdrill.sandbox.parts.processes import identity
from chaosdrill.targets.sandbox import SandboxTarget
from commandline import CommandLine


def _latency(duration: str) -> dict[str, Any]:
    arguments = {"delay": "20 ms", "duration": duration}
    provider = {
        "type": "python",
        "module": "chaosdrill.actions",
        "func": "network_latency",
        "arguments": arguments,
    }
    return {"type": "action", "name": "slow", "provider": provider}


SLEEP = {
    "type": "action",
    "name": "wait",
    "provider": {"type": "process", "path": "sleep", "arguments": "60"},
}


def _experiment(place: Path, *method: dict[str, Any], title: str = "A test") -> str:
    path = place / f"{title.lower().replace(' ', '-')}.json"
    path.write_text(json.dumps({"title": title, "description": "A test.", "method": list(method)}))
    return str(path)


def _until(line: CommandLine, process: subprocess.Popen[str], event: str) -> dict[str, Any]:
    """Return what status says of the only run once `event` has happened; asking takes its time."""
    while True:
        assert process.poll() is None, process.communicate()
        runs: list[dict[str, Any]] = line("status", "--json").json["runs"]
        if runs and event in (Path(runs[0]["folder"]) / "journal.jsonl").read_text():
            return runs[0]


@pytest.fixture
def other_terminal(on_sandbox: CommandLine, tmp_path: Path) -> CommandLine:
    """The same user in another folder."""
    (tmp_path / "other").mkdir()
    return replace(on_sandbox, place=tmp_path / "other")


@pytest.fixture(autouse=True)
def _recovered(on_sandbox: CommandLine) -> Iterator[None]:
    """The sandbox is shared by all tests, and so is its lock."""
    yield
    on_sandbox("recover")


def test_the_second_run_on_a_target_is_refused_and_told_which_is_the_first(
    on_sandbox: CommandLine, other_terminal: CommandLine
) -> None:
    file = _experiment(on_sandbox.place, _latency("60 s"))
    with on_sandbox.start("run", file, CHAOSDRILL_ACTOR="ada@bench") as first:
        run = _until(on_sandbox, first, "fault.active")
        second = other_terminal("run", _experiment(other_terminal.place, _latency("1 s")))
        assert second.code == 3
        assert len(second.err.splitlines()) == 1
        for fact in (run["id"], "by ada@bench since ", f"process {run['pid']}", run["folder"]):
            assert fact in second.err
        assert on_sandbox("abort").code == 0
        first.communicate(timeout=60)
    assert other_terminal("run", _experiment(other_terminal.place, _latency("1 s"))).code == 5


def test_two_that_start_at_the_same_instant_are_one_run_and_one_refusal(
    on_sandbox: CommandLine, other_terminal: CommandLine
) -> None:
    file = _experiment(on_sandbox.place, _latency("4 s"))
    with on_sandbox.start("run", file) as one, other_terminal.start("run", file) as two:
        said = [process.communicate(timeout=60)[1] for process in (one, two)]
    assert sorted([one.returncode, two.returncode]) == [3, 5], said


def test_one_plain_file_is_not_played_twice_at_once_but_two_files_are(
    chaosdrill: CommandLine,
) -> None:
    file = _experiment(chaosdrill.place, SLEEP)
    with chaosdrill.start("run", file) as first:
        run = _until(chaosdrill, first, "activity.started")
        second = chaosdrill("run", file)
        assert second.code == 3
        assert f"the experiment a-test.json is taken by {run['id']}" in second.err
        assert chaosdrill("run", _experiment(chaosdrill.place, title="Another")).code == 5
        assert chaosdrill("abort").code == 0
        first.communicate(timeout=60)


def test_after_the_first_was_killed_the_second_gets_through_once_its_faults_are_proved_off(
    on_sandbox: CommandLine, other_terminal: CommandLine, sandbox_directory: Path
) -> None:
    file = _experiment(on_sandbox.place, _latency("60 s"))
    with on_sandbox.start("run", file) as first:
        run = _until(on_sandbox, first, "fault.active")
        os.kill(first.pid, signal.SIGKILL)
        first.communicate(timeout=30)
    # The watchdog is at it: until it has proved the clean-up nobody else may start, and then everybody may.
    mine = _experiment(other_terminal.place, _latency("1 s"))
    for _ in range(60):
        second = other_terminal("run", mine)
        if second.code != 3:
            break
        assert run["id"] in second.err
    assert second.code == 5, second.err
    sandbox = client.find(sandbox_directory)
    assert sandbox is not None
    assert sandbox.faults() == []
    facts = json.loads((Path(run["folder"]) / "run.json").read_text())
    assert facts["state"] == "sealed"
    assert facts["verdict"]["word"] == "ABORTED"
    assert facts["verdict"]["cleanup"]["state"] == "verified"


def test_a_run_that_was_lost_with_its_watchdog_keeps_others_out_until_recover(
    on_sandbox: CommandLine, other_terminal: CommandLine, sandbox_directory: Path
) -> None:
    file = _experiment(on_sandbox.place, _latency("60 s"))
    with on_sandbox.start("run", file) as first:
        run = _until(on_sandbox, first, "fault.active")
        os.kill(run["watchdog"], signal.SIGKILL)
        os.kill(first.pid, signal.SIGKILL)
        first.communicate(timeout=30)
    mine = _experiment(other_terminal.place, _latency("1 s"))
    refused = other_terminal("run", mine)
    assert refused.code == 3
    assert f"chaosdrill recover {run['id']}" in refused.err
    assert "died, and nobody has proved" in refused.err
    assert f"chaosdrill recover {run['id'].rpartition('-')[2]}" in " ".join(on_sandbox("status").out.split())
    recovered = other_terminal("recover", "--json")
    assert recovered.code == 0, recovered.err
    assert [one["run"] for one in recovered.json["runs"]] == [run["id"]]
    assert recovered.json["left"] == []
    sandbox = client.find(sandbox_directory)
    assert sandbox is not None
    assert sandbox.faults() == []
    assert on_sandbox("status", "--json").json["runs"] == []
    assert other_terminal("run", mine).code == 5
    again = other_terminal("recover")
    assert (again.code, again.out) == (0, "no run was lost; nothing to recover\n")


def test_a_live_run_is_not_recovered_but_to_be_aborted(on_sandbox: CommandLine) -> None:
    with on_sandbox.start("run", _experiment(on_sandbox.place, _latency("60 s"))) as process:
        run = _until(on_sandbox, process, "fault.active")
        answer = on_sandbox("recover", run["id"])
        assert answer.code == 3
        assert "chaosdrill abort" in answer.err
        assert on_sandbox("recover").code == 0
        assert process.poll() is None
        assert len(on_sandbox("sandbox", "status", "--json").json["faults"]) == 1
        assert on_sandbox("abort").code == 0
        process.communicate(timeout=60)


def test_a_fault_of_no_run_is_ended_by_recover(on_sandbox: CommandLine, sandbox_directory: Path) -> None:
    sandbox = client.find(sandbox_directory)
    assert sandbox is not None
    sandbox.fault_start(
        {
            "id": "forgotten",
            "kind": "network_latency",
            "hit": ["payment-api->database"],
            "arguments": {"delay": 0.02, "jitter": 0.0},
            "seconds": 60,
            "run": "a-run-that-nobody-knows",
        }
    )
    assert "of no live run" in on_sandbox("status").out
    answer = on_sandbox("recover")
    assert answer.code == 0, answer.err
    assert "ended: network latency" in answer.out
    assert sandbox.faults() == []


def test_a_sandbox_whose_supervisor_was_killed_is_not_taken_for_clean(chaosdrill: CommandLine) -> None:
    place = Path(chaosdrill.environment["CHAOSDRILL_SANDBOX_DIR"])
    place.mkdir()
    with subprocess.Popen(["true"]) as gone:
        pass
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as deaf:
        processes = {"payment-api-1": [[deaf.pid, identity(deaf.pid)]]}
        state.write(place, {"up": True, "supervisor": [gone.pid, "gone"], "processes": processes})
        recovered = chaosdrill("recover")
        assert recovered.code == 6
        assert "the sandbox is broken: payment-api-1" in recovered.err
        assert "the sandbox is broken: payment-api-1" in chaosdrill("status").out
        assert chaosdrill("sandbox", "down").code == 0
    assert chaosdrill("recover").code == 0


def test_a_fix_that_is_being_rolled_out_is_said_while_it_lasts(
    on_sandbox: CommandLine, sandbox_directory: Path
) -> None:
    target = SandboxTarget(sandbox_directory)
    assert target.deploying() == []
    with on_sandbox.start("sandbox", "fix", "connection-pool") as process:
        while not (rolling := target.deploying()):
            assert process.poll() is None, process.communicate()
        process.communicate(timeout=60)
    assert rolling == ["the fix connection-pool is being rolled out"]
    assert target.deploying() == []
    assert on_sandbox("sandbox", "fix", "connection-pool", "--undo").code == 0
