"""Before a run and beside it: what would be hit, what is on, and how to stop it, on a real sandbox."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaosdrill.cli import shipped
from chaosdrill.sandbox import client
from commandline import CommandLine

FAULT = {
    "id": "stray-1",
    "kind": "instance_failure",
    "hit": ["payment-api-1"],
    "arguments": {},
    "seconds": 60.0,
    "run": "",
}


@pytest.fixture
def stray(sandbox_directory: Path) -> Iterator[client.Sandbox]:
    """A sandbox with a fault that no run owns, as plain `chaos run` leaves one while it plays."""
    sandbox = client.find(sandbox_directory)
    assert sandbox is not None
    sandbox.fault_start(FAULT)
    yield sandbox
    sandbox.fault_stop("stray-1")


def test_a_dry_run_shows_whom_it_would_hit_and_injects_nothing(on_sandbox: CommandLine) -> None:
    file = str(shipped.experiments() / shipped.DEMO)
    answer = on_sandbox("run", "--dry-run", file)
    assert (answer.code, answer.err) == (0, "")
    text = " ".join(answer.out.split())
    assert "would hit instance failure on payment-api-" in text
    assert "1 of 3 (33.3 %) of payment-api" in text
    assert "pay.availability above 99.9 % over fault and recovery" in text
    assert "pay.availability below 95 % for 5 s" in text
    assert "nothing was injected" in text
    assert not (on_sandbox.place / "runs").exists()
    facts = on_sandbox("run", "--dry-run", "--json", file).json
    assert facts["injected"] is False
    assert len(facts["faults"][0]["chosen"]) == 1


def test_a_fault_of_no_run_is_named_with_the_way_to_end_it(
    on_sandbox: CommandLine, stray: client.Sandbox
) -> None:
    out = on_sandbox("status").out
    assert "instance failure on payment-api-1 in the sandbox, of no live run; ends by itself in" in out
    assert "stop it     chaosdrill recover" in out
    assert [fault["id"] for fault in on_sandbox("status", "--json").json["sandbox"]["faults"]] == ["stray-1"]


def test_a_fault_of_a_live_run_is_named_once(on_sandbox: CommandLine, tmp_path: Path) -> None:
    file = str(shipped.experiments() / shipped.DEMO)
    elsewhere = CommandLine(tmp_path, on_sandbox.environment)
    with on_sandbox.start("run", "--json", file) as process:
        try:
            for _ in range(200):
                found = elsewhere("status", "--json").json
                if found["sandbox"]["faults"]:
                    break
            text = elsewhere("status").out
        finally:
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=60)
    (run,) = found["runs"]
    assert [fault["id"] for fault in run["faults"]] == [fault["id"] for fault in found["sandbox"]["faults"]]
    assert text.count("instance failure on payment-api-") == 1
    assert "stop it     chaosdrill abort " in text
    assert json.loads(out)["exit_code"] == process.returncode == 4
