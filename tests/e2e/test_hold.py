"""The emergency lever on a real sandbox: everything stops, nothing starts, whatever else is broken."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commandline import CommandLine

LONG = {
    "type": "action",
    "name": "slow",
    "provider": {
        "type": "python",
        "module": "chaosdrill.actions",
        "func": "network_latency",
        "arguments": {"delay": "20 ms", "duration": "60 s"},
    },
}
#: For a file that touches nothing of ours.
SLEEP = {
    "type": "action",
    "name": "wait",
    "provider": {"type": "process", "path": "sleep", "arguments": "60"},
}


def _experiment(place: Path, *method: dict[str, Any]) -> str:
    path = place / "experiment.json"
    path.write_text(json.dumps({"title": "A test", "description": "A test.", "method": list(method)}))
    return str(path)


def _until(line: CommandLine, process: subprocess.Popen[str], event: str) -> Path:
    """Return the folder of the only run once `event` has happened; asking takes its time."""
    while True:
        assert process.poll() is None, process.communicate()
        runs = line("status", "--json").json["runs"]
        if runs and event in (Path(runs[0]["folder"]) / "journal.jsonl").read_text():
            return Path(runs[0]["folder"])


@pytest.fixture(autouse=True)
def _off_again(on_sandbox: CommandLine) -> Iterator[None]:
    """The sandbox is shared by all tests, and so is a hold on it."""
    yield
    on_sandbox("hold", "off")


@pytest.fixture
def elsewhere(on_sandbox: CommandLine, tmp_path: Path) -> CommandLine:
    """The same user in another folder."""
    (tmp_path / "elsewhere").mkdir()
    return replace(on_sandbox, place=tmp_path / "elsewhere")


@pytest.fixture
def somebody_else(on_sandbox: CommandLine, tmp_path: Path) -> CommandLine:
    """Somebody who shares the sandbox with us, and nothing else."""
    (tmp_path / "other").mkdir()
    state = {"XDG_STATE_HOME": str(tmp_path / "other-state"), "CHAOSDRILL_ACTOR": "bob@bench"}
    return CommandLine(tmp_path / "other", {**on_sandbox.environment, **state})


def test_a_hold_stops_what_runs_undoes_it_and_lets_nothing_start_until_it_is_off(
    on_sandbox: CommandLine, elsewhere: CommandLine
) -> None:
    file = _experiment(on_sandbox.place, LONG)
    with on_sandbox.start("run", "--json", file) as process:
        _until(on_sandbox, process, "fault.active")
        held = elsewhere("hold", "on", "--why", "customers are affected", CHAOSDRILL_ACTOR="ada@bench")
        out, err = process.communicate(timeout=60)
    assert held.code == 0, held.err
    assert "HOLD ON by ada@bench" in held.out
    assert "undone after" in held.out
    assert "nothing starts until: chaosdrill hold off" in held.out
    assert process.returncode == 4, err
    assert "customers are affected" in err
    verdict = json.loads(out)["verdict"]
    assert (verdict["word"], verdict["cleanup"]["state"]) == ("ABORTED", "verified")
    assert on_sandbox("sandbox", "status", "--json").json["faults"] == []

    refused = on_sandbox("run", file)
    assert refused.code == 3
    assert "a hold is on, by ada@bench: customers are affected" in refused.err
    assert on_sandbox("status").out.startswith("HOLD ON")
    again = elsewhere("hold", "on", "--why", "another reason", CHAOSDRILL_ACTOR="bob@bench")
    assert "by ada@bench" in again.out
    assert elsewhere("hold", "status", "--json").json["why"] == "customers are affected"

    off = elsewhere("hold", "off")
    assert off.code == 0
    assert "the hold is off; it was on by ada@bench" in off.out
    assert elsewhere("hold", "off").out == "no hold was on\n"
    assert elsewhere("hold", "status", "--json").json == {"on": False}
    assert on_sandbox("run", _experiment(on_sandbox.place)).code == 5


def test_a_hold_reaches_the_runs_of_everybody_on_the_same_target(
    on_sandbox: CommandLine, somebody_else: CommandLine
) -> None:
    file = _experiment(on_sandbox.place, LONG)
    with on_sandbox.start("run", file) as process:
        _until(on_sandbox, process, "fault.active")
        out = " ".join(somebody_else("status").out.split())
        assert "TAKEN the sandbox is taken by" in out
        assert "of no live run" not in out
        assert somebody_else("recover").code == 0
        held = somebody_else("hold", "on", "--why", "stop all of it")
        _, err = process.communicate(timeout=60)
    assert (held.code, process.returncode) == (0, 4), err
    assert "stop all of it" in err
    assert "by bob@bench: stop all of it" in on_sandbox("run", file).err
    assert somebody_else("hold", "off").code == 0
    assert on_sandbox("hold", "status", "--json").json == {"on": False}


def test_a_hold_stops_a_plain_file_too(chaosdrill: CommandLine) -> None:
    with chaosdrill.start("run", _experiment(chaosdrill.place, SLEEP)) as process:
        _until(chaosdrill, process, "activity.started")
        held = chaosdrill("hold", "on", "--why", "smoke in the building")
        _, err = process.communicate(timeout=60)
    assert (held.code, process.returncode) == (0, 4), err
    assert "smoke in the building" in err
    assert chaosdrill("run", _experiment(chaosdrill.place)).code == 3
    assert chaosdrill("hold", "off").code == 0


def test_a_run_that_waits_for_its_team_is_stopped_by_a_hold_before_anything_is_injected(
    on_sandbox: CommandLine,
) -> None:
    team = "checklist: {team-notified: {needs-answer: true}}"
    policy = f"version: 1\nenvironments:\n  sandbox:\n    target: sandbox\n    {team}\n"
    (on_sandbox.place / "chaosdrill.yaml").write_text(policy)
    with on_sandbox.start("run", _experiment(on_sandbox.place, LONG)) as process:
        _until(on_sandbox, process, "ready.asked")
        assert "waiting for ready" in on_sandbox("status").out
        held = on_sandbox("hold", "on", "--why", "not now")
        _, err = process.communicate(timeout=60)
    assert (held.code, process.returncode) == (0, 3), (held.err, err)
    assert "not now" in err
    assert "no fault was on" in held.out


def test_a_hold_that_nobody_can_read_holds(chaosdrill: CommandLine) -> None:
    assert chaosdrill("hold", "on", "--why", "x").code == 0
    place = Path(chaosdrill.environment["XDG_STATE_HOME"]) / "chaosdrill"
    (place / "hold.json").write_text("{")
    refused = chaosdrill("run", _experiment(chaosdrill.place))
    assert refused.code == 3
    assert "hold.json can't be read" in refused.err
    assert chaosdrill("hold", "off").code == 0
    assert chaosdrill("run", _experiment(chaosdrill.place)).code == 5


def test_a_hold_needs_a_reason(chaosdrill: CommandLine) -> None:
    answer = chaosdrill("hold", "on")
    assert (answer.code, len(answer.err.splitlines())) == (2, 1)
    assert "--why" in answer.err


def test_what_stops_things_works_with_a_broken_policy_and_a_full_list_of_broken_things(
    chaosdrill: CommandLine,
) -> None:
    (chaosdrill.place / "chaosdrill.yaml").write_text("environments: [broken\n\t")
    broken = replace(
        chaosdrill,
        environment={
            **chaosdrill.environment,
            # No network that leads anywhere, no settings, no keys.
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "HTTP_PROXY": "http://127.0.0.1:9",
            "HOME": "/nonexistent",
            "SSH_AUTH_SOCK": "/nonexistent/agent",
        },
    )
    assert "nothing is on" in broken("status").out
    assert broken("hold", "on", "--why", "a customer has called").code == 0
    assert broken("hold", "status").out.startswith("HOLD ON")
    assert broken("recover").code == 0
    assert "nothing to stop" in broken("abort").err
    assert broken("--config", "nowhere.yaml", "hold", "off").code == 0


@pytest.mark.parametrize("command", ["status", "abort", "hold", "recover"])
def test_what_stops_things_loads_nothing_that_could_be_broken(command: str) -> None:
    code = (
        f"import chaosdrill.cli.main, chaosdrill.cli.{command}, chaosdrill.targets.sandbox, sys;"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"pydantic", "yaml", "requests", "urllib3", "apprise", "holidays", "chaoslib", "rich", "ssl"}
    assert not set(done.stdout.split()) & heavy
