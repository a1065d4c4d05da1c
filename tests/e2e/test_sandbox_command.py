"""`chaosdrill sandbox` as a person and as a script use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaosdrill import faults
from chaosdrill.ports import FaultSpec, Scope
from chaosdrill.sandbox import client


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    chosen = tmp_path_factory.mktemp("command") / "box"
    yield chosen
    client.down(chosen)


def say(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"CHAOSDRILL_SANDBOX_DIR": str(directory)}
    command = [sys.executable, "-m", "chaosdrill", "sandbox", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_sandbox_that_is_not_up_is_said_in_one_line_with_the_next_step(tmp_path: Path) -> None:
    for words in (["status"], ["load", "5/s"], ["fix", "connection-pool"]):
        said = say(tmp_path / "none", *words)
        assert (said.returncode, said.stdout) == (3, "")
        assert said.stderr == "chaosdrill: the sandbox is not up; start it: chaosdrill sandbox up\n"
    assert json.loads(say(tmp_path / "none", "status", "--json").stdout) == {"up": False, "remains": []}
    assert say(tmp_path / "none", "down").stdout == "The sandbox was not up; nothing to do.\n"


def test_from_up_to_down(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAOSDRILL_SANDBOX_DIR", str(directory))
    up = say(directory, "up")
    assert up.returncode == 0, up.stderr
    assert "The sandbox is up after" in up.stdout
    assert "was up already" in say(directory, "up").stdout

    cut = faults.open("network_cut")
    record = cut.prepare(FaultSpec("network_cut", "database", 60.0), Scope(("payment-api->database",), 1))
    cut.start(record)
    status = say(directory, "status").stdout
    assert "balancer -> checkout-api x2 -> payment-api x3 -> delay-proxy -> database" in status
    assert "Fault on: network_cut on payment-api->database" in status
    assert max(len(line) for line in status.splitlines()) <= 80
    cut.stop(record)
    assert "Faults: none" in say(directory, "status").stdout

    facts = json.loads(say(directory, "status", "--json").stdout)
    assert (facts["up"], len(facts["instances"]), facts["faults"]) == (True, 8, [])

    assert say(directory, "load", "30/s").stdout == "Background load: 30/s\n"
    assert say(directory, "load", "off").stdout == "Background load: none\n"
    wrong = say(directory, "load", "many")
    assert wrong.returncode == 2
    assert "50/s" in wrong.stderr
    unknown = say(directory, "fix", "everything")
    assert (unknown.returncode, unknown.stderr.count("\n")) == (3, 1)
    assert "connection-pool" in unknown.stderr
    assert say(directory, "fix", "connection-pool").stdout.startswith("pool: 5 -> 20")
    assert json.loads(say(directory, "fix", "connection-pool", "--undo", "--json").stdout) == {
        "name": "connection-pool",
        "undone": True,
        "changes": {"pool": [20, 5]},
    }

    assert json.loads(say(directory, "down", "--json").stdout) == {"up": False, "was_up": True}
    assert not directory.exists()
