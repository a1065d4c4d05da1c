"""A run in a strict environment from its first message to its last answer, on a real sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alertmanager import until
from chaosdrill.clock import SystemClock, iso
from commandline import CommandLine
from letterbox import Mailbox, open_mailbox

POLICY = """\
version: 1
environments:
  drill:
    target: sandbox
    blast-radius: {max-targets: 1}
    checklist:
      team-notified:
        via: ["json://%s"]
        needs-answer: true
        answer-within: 60 s
        responders: [alice]
        guardians: {names: [gina], via: ["json://%s/guardians"]}
"""
EXPERIMENT: dict[str, Any] = {
    "title": "Payments are a little late",
    "description": "A test.",
    "configuration": {
        "shop_url": {"type": "env", "key": "CHAOSDRILL_SHOP_URL", "default": "http://127.0.0.1:9"}
    },
    "method": [
        {
            "type": "action",
            "name": "late",
            "provider": {
                "type": "python",
                "module": "chaosdrill.actions",
                "func": "network_latency",
                "arguments": {"delay": "20 ms", "duration": "3 s"},
            },
        }
    ],
    "rollbacks": [],
}
BLOCK: dict[str, Any] = {
    "name": "chaosdrill",
    "version": "1",
    "hypothesis": "Nobody notices.",
    "expected-outcome": "Nothing happens.",
    "signals": {"pay": {"http": {"url": "${shop_url}/checkout", "rate": "50"}}},
    "criteria": [{"signal": "pay.p95_latency", "below": "900 ms", "over": "phase"}],
    "abort-when": [{"signal": "pay.availability", "below": "20 %", "for": "2 s"}],
    "phases": {"baseline": "1 s", "recovery": "1 s"},
    "checklist": {
        "off-peak": {"attested-by": "alice", "at": iso(SystemClock().now()), "words": "nobody buys"},
        "customer-communication": {"not-needed": "nobody outside uses it"},
    },
}


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with open_mailbox() as server:
        yield server


def experiment(line: CommandLine, mailbox: Mailbox, **block: Any) -> str:
    (line.place / "chaosdrill.yaml").write_text(POLICY % (mailbox.place, mailbox.place))
    path = line.place / "late.json"
    path.write_text(json.dumps({**EXPERIMENT, "extensions": [{**BLOCK, **block}]}))
    return str(path)


def waiting_for(run: Any, stream: str = "stdout") -> tuple[list[str], str]:
    """Read what a run prints until it says whom it waits for; return that, and the command to type."""
    seen = []
    for text in getattr(run, stream):
        seen.append(text)
        if "; type: chaosdrill ready" in text:
            return seen, text.partition("; type: ")[2].strip()
    raise AssertionError(f"it waited for nobody: {''.join(seen)} {run.stderr.read()}")


def messages(mailbox: Mailbox) -> list[tuple[str, str, str]]:
    told = [(path, json.loads(body)) for path, _, body in mailbox.received]
    return [(path, body["title"], body["message"]) for path, body in told]


def test_a_team_is_told_answers_is_told_again_and_closes_the_run(
    on_sandbox: CommandLine, mailbox: Mailbox
) -> None:
    file = experiment(on_sandbox, mailbox)
    with on_sandbox.start("run", "-e", "drill", "--plain", file) as run:
        _, command = waiting_for(run)
        assert messages(mailbox)[0][1] == "[DRILL] Chaos experiment: Payments are a little late"
        assert on_sandbox(*command.split()[1:]).code == 0
        out, err = run.communicate(timeout=60)
    assert run.returncode == 0, out + err
    assert [title for _, title, _ in messages(mailbox)][1:] == [
        "[DRILL] Payments are a little late: over, HELD"
    ]
    assert "Clean-up: verified" in messages(mailbox)[1][2]

    (row,) = on_sandbox("runs", "--open", "--json").json
    asked = [item["item"] for item in row["items"]]
    assert asked == ["observations", "findings", "improvements", "learnings-shared"]
    assert "HELD, open" in on_sandbox("runs").out
    listed = on_sandbox("runs", "--open").out
    assert "Findings documented: nobody has answered it yet" in listed

    refused = on_sandbox("answer", "last", "findings", "none", "--by", "alice")
    assert refused.code == 2
    assert "say --owner too" in refused.err
    for item in asked:
        more = ("--owner", "bob", "--link", "https://wiki.example.com/7")
        told = on_sandbox("answer", "last", item, "all was well", "--by", "alice", *more)
        assert told.code == 0, told.err
    assert "every item of" in told.out
    assert "no open runs" in on_sandbox("runs", "--open").out
    assert ", open" not in on_sandbox("runs").out
    assert json.loads(on_sandbox("judge", "last", "--json").out)["altered"] == []


def test_a_team_that_is_not_ready_is_told_that_nothing_was_injected(
    on_sandbox: CommandLine, mailbox: Mailbox
) -> None:
    file = experiment(on_sandbox, mailbox)
    with on_sandbox.start("run", "-e", "drill", "--plain", file) as run:
        _, command = waiting_for(run)
        assert on_sandbox(*command.split()[1:], "--not-ready", "--words", "an incident").code == 0
        _, err = run.communicate(timeout=60)
    assert run.returncode == 3
    assert "alice is not ready: an incident" in err
    _, (_, title, text) = messages(mailbox)
    assert title == "[DRILL] Payments are a little late: not started, REFUSED"
    assert "Nothing was injected." in text
    assert on_sandbox("runs", "--open", "--json").json == []
    told = on_sandbox("answer", "last", "observations", "x", "--by", "alice")
    assert "nothing was injected" in told.err


def test_of_an_unannounced_drill_only_its_guardians_are_told(
    on_sandbox: CommandLine, mailbox: Mailbox
) -> None:
    file = experiment(on_sandbox, mailbox, announced="false")
    with on_sandbox.start("run", "-e", "drill", "--json", file) as run:
        _, command = waiting_for(run, "stderr")
        assert command.endswith("--as gina")
        assert on_sandbox(*command.split()[1:-1], "alice").code == 2
        assert on_sandbox("abort", "--reason", "enough").code == 0
        run.communicate(timeout=60)
    assert run.returncode == 3
    assert {path for path, _, _ in messages(mailbox)} == {"/guardians"}


def test_a_message_that_fails_at_the_end_is_a_warning_and_leaves_the_verdict(
    on_sandbox: CommandLine, mailbox: Mailbox
) -> None:
    file = experiment(on_sandbox, mailbox)
    with on_sandbox.start("run", "-e", "drill", "--plain", file) as run:
        _, command = waiting_for(run)
        assert on_sandbox(*command.split()[1:]).code == 0
        mailbox.status = 500
        out, err = run.communicate(timeout=60)
    assert run.returncode == 0, out + err
    assert "was not told that the run is over" in out + err
    (row,) = on_sandbox("runs", "--open", "--json").json
    assert "status-communicated" in [item["item"] for item in row["items"]]


def test_a_run_on_the_sandbox_needs_no_answers(on_sandbox: CommandLine, mailbox: Mailbox) -> None:
    file = experiment(on_sandbox, mailbox)
    Path(on_sandbox.place / "chaosdrill.yaml").unlink()
    assert on_sandbox("run", "--json", file).code == 0
    assert on_sandbox("runs", "--open", "--json").json == []


def test_of_a_run_whose_runner_was_killed_its_people_are_told_too(
    on_sandbox: CommandLine, mailbox: Mailbox
) -> None:
    file = experiment(on_sandbox, mailbox)
    with on_sandbox.start("run", "-e", "drill", "--plain", file) as run:
        _, command = waiting_for(run)
        assert on_sandbox(*command.split()[1:]).code == 0
        assert run.stdout is not None
        assert any("FAULT ON" in line for line in run.stdout)
        run.kill()
        run.communicate(timeout=60)
    until(lambda: len(mailbox.received) == 2)
    title, text = messages(mailbox)[1][1:]
    assert title == "[DRILL] Payments are a little late: over, ABORTED"
    assert "runner lost" in text
    until(lambda: on_sandbox("runs", "--json").json[0]["word"] == "ABORTED")
    (row,) = on_sandbox("runs", "--open", "--json").json
    assert "status-communicated" not in [item["item"] for item in row["items"]]
