"""A canary in every place where people keep secrets is in nothing that a run leaves or says.

Planted in the environment, in addresses, headers and configuration, literal and by name; looked for in every
file of the run folder, of the state directory and of the sandbox, in what was printed and in what was sent.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from chaosdrill.errors import Exit
from commandline import Answer, CommandLine

PLANTED = {
    name: f"canary-{name}-{number}b7c3e{number}"
    for number, name in enumerate(
        ("literal", "password", "query", "header", "secret", "env-config", "default", "var", "chat")
    )
}
ENVIRONMENT = {
    "SHOP_API_TOKEN": PLANTED["secret"],
    "SHOP_DB_PASSWORD": PLANTED["env-config"],
    "CHAT_ADDRESS": PLANTED["chat"],
    "PYTHONPATH": str(Path(__file__).parent),
}
POLICY = """
version: 1
environments:
  drilled:
    target: sandbox
    checklist:
      off-peak: {waived: a test}
      team-notified: {via: ["json://ada:${CHAT_ADDRESS}@%s/x"]}
      executive-approval: {waived: a test}
      customer-communication: {waived: a test}
  never:
    target: sandbox
    windows: {timezone: UTC, freezes: [{from: 2020-01-01, to: 2099-12-31, why: a test}]}
    checklist:
      team-notified: {via: ["json://ada:${CHAT_ADDRESS}@%s/x"]}
"""


@dataclass
class Receiver:
    """A server that takes messages and answers requests, and keeps the messages."""

    address: str
    messages: list[str] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.command == "POST":
                found.messages.append(body.decode())
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = _answer

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        found.address = f"127.0.0.1:{http.server_port}"
        yield found
        http.shutdown()
        thread.join()


def _call(func: str) -> dict[str, Any]:
    arguments = {"token": "${token}", "literal": "${api_token}", "config": "${db}", "var": "${var_token}"}
    provider = {"type": "python", "module": "secret_leaks", "func": func, "arguments": arguments}
    return {"type": "action", "name": func, "provider": {**provider, "secrets": ["server"]}}


@pytest.fixture
def careless(on_sandbox: CommandLine, receiver: Receiver) -> CommandLine:
    """A folder with an experiment that is careless with every canary, and a policy that tells people."""
    latency = {
        "type": "python",
        "module": "chaosdrill.actions",
        "func": "network_latency",
        "arguments": {"target": "database", "delay": "20 ms", "duration": "${seconds}"},
    }
    url = f"http://{receiver.address}/pay?token={PLANTED['query']}"
    private = f"http://ada:{PLANTED['password']}@{receiver.address}/pay"
    experiment = {
        "title": "Careless with what it knows",
        "description": "A test.",
        "configuration": {
            "seconds": "1.5 s",
            "api_token": PLANTED["literal"],
            "private_url": private,
            "db": {"type": "env", "key": "SHOP_DB_PASSWORD"},
            "other_token": {"type": "env", "key": "NOT_THERE", "default": PLANTED["default"]},
            "var_token": "none",
        },
        "secrets": {"server": {"token": {"type": "env", "key": "SHOP_API_TOKEN"}}},
        "steady-state-hypothesis": {
            "title": "It answers",
            "probes": [
                {
                    "type": "probe",
                    "name": "answers",
                    "tolerance": 200,
                    "provider": {"type": "http", "url": "${private_url}", "timeout": 2},
                }
            ],
        },
        "method": [_call("leak"), {"type": "action", "name": "late", "provider": latency}],
        "rollbacks": [_call("leak")],
        "extensions": [
            {
                "name": "chaosdrill",
                "version": "1",
                "hypothesis": "Nobody learns anything.",
                "expected-outcome": "Nothing is told.",
                "signals": {
                    "pay": {
                        "http": {
                            "url": url,
                            "rate": "100",
                            "headers": {"Authorization": f"Bearer {PLANTED['header']}"},
                        }
                    }
                },
                "criteria": [{"signal": "pay.error_rate", "below": "5 %", "over": "phase"}],
                "blast-radius": {"max-targets": "1"},
                "abort-when": [{"signal": "pay.availability", "below": "50 %", "for": "2 s"}],
                "checklist": {
                    "blast-radius": {"attested-by": "ada", "at": "2026-11-20", "words": "It only prints."}
                },
                "phases": {"baseline": "1 s", "recovery": "1 s"},
            }
        ],
    }
    (on_sandbox.place / "experiment.json").write_text(json.dumps(experiment))
    (on_sandbox.place / "chaosdrill.yaml").write_text(POLICY.replace("%s", receiver.address))
    return replace(on_sandbox, environment={**on_sandbox.environment, **ENVIRONMENT})


def _run(line: CommandLine, *options: str) -> Answer:
    return line("run", "--plain", "--var", f"var_token={PLANTED['var']}", *options, "experiment.json")


def _places(line: CommandLine) -> Iterator[Path]:
    for name in ("XDG_STATE_HOME", "CHAOSDRILL_SANDBOX_DIR"):
        yield Path(line.environment[name])
    yield line.place / "runs"


def _leaks(line: CommandLine, *said: str) -> list[str]:
    """Return where which canary was found, in words."""
    files = [path for place in _places(line) for path in place.rglob("*") if path.is_file()]
    texts = {str(path): path.read_bytes().decode("utf-8", "replace") for path in files}
    texts |= {f"said {number}": text for number, text in enumerate(said)}
    return [f"{name} in {where}" for where, text in texts.items() for name, c in PLANTED.items() if c in text]


def _folder(line: CommandLine) -> Path:
    return max((line.place / "runs").iterdir())


def test_a_run_that_held_tells_no_secret(careless: CommandLine, receiver: Receiver) -> None:
    answer = _run(careless, "-e", "drilled")
    assert answer.code == Exit.HELD, answer.out + answer.err
    assert receiver.messages
    assert not _leaks(careless, answer.out, answer.err, *receiver.messages)
    log = (_folder(careless) / "engine.log").read_text()
    assert "'literal': '•••'" in log, "what an activity printed is there, masked"


def test_a_report_made_again_and_what_is_shown_later_tell_no_secret(careless: CommandLine) -> None:
    _run(careless)
    later = [careless(*command.split()) for command in ("show", "show --json", "report", "judge", "runs")]
    assert not _leaks(careless, *(answer.out + answer.err for answer in later))


def test_a_refused_run_tells_no_secret(careless: CommandLine, receiver: Receiver) -> None:
    answer = _run(careless, "-e", "never")
    assert answer.code == Exit.REFUSED
    assert not _leaks(careless, answer.out, answer.err, *receiver.messages)


def test_a_run_without_its_system_tells_no_secret(careless: CommandLine, tmp_path: Path) -> None:
    nowhere = replace(
        careless, environment={**careless.environment, "CHAOSDRILL_SANDBOX_DIR": str(tmp_path / "none")}
    )
    answer = _run(nowhere)
    assert answer.code == Exit.REFUSED
    assert not _leaks(nowhere, answer.out, answer.err)


def test_an_action_that_fails_with_a_secret_in_its_words_tells_none(careless: CommandLine) -> None:
    path = careless.place / "experiment.json"
    path.write_text(path.read_text().replace('"func": "leak"', '"func": "explode"'))
    answer = _run(careless)
    assert answer.code == Exit.RESIDUE, "its rollback fails as well"
    assert "can't log in with" in answer.out
    word = f"logged in with {PLANTED['secret']} and put it back"
    recovered = [careless("recover"), careless("recover", _folder(careless).name, "--clean", word)]
    assert [r.code for r in recovered] == [Exit.RESIDUE, Exit.HELD], recovered
    assert not _leaks(careless, answer.out, answer.err, *(r.out + r.err for r in recovered))


def test_a_run_tells_no_secret_while_it_goes_on_nor_when_it_is_aborted(careless: CommandLine) -> None:
    arguments = ("--var", "seconds=30 s", "--var", f"var_token={PLANTED['var']}")
    with careless.start("run", "--plain", *arguments, "experiment.json") as run:
        assert run.stdout is not None
        early = []
        for text in run.stdout:
            early.append(text)
            if "FAULT ON" in text:
                break
        assert not _leaks(careless, careless("status").out, careless("status", "--json").out)
        careless("hold", "on", "--why", f"found {PLANTED['secret']} in the logs")
        out, err = run.communicate(timeout=60)
    held = careless("hold", "status")
    careless("hold", "off")
    assert run.returncode == Exit.ABORTED, out + err
    assert not _leaks(careless, "".join(early), out, err, held.out)


def test_a_run_whose_runner_was_killed_tells_no_secret(careless: CommandLine) -> None:
    arguments = ("--var", "seconds=30 s", "--var", f"var_token={PLANTED['var']}")
    with careless.start("run", "--plain", *arguments, "experiment.json") as run:
        assert run.stdout is not None
        assert any("FAULT ON" in text for text in run.stdout), run.communicate()
        run.send_signal(signal.SIGKILL)
    recovered = careless("recover")
    assert (_folder(careless) / "report.md").exists()
    assert not _leaks(careless, recovered.out, recovered.err)


def test_preflight_tells_no_secret(careless: CommandLine, receiver: Receiver) -> None:
    options = ("-e", "drilled", "--var", f"var_token={PLANTED['var']}", "experiment.json")
    answers = [careless("preflight", *more, *options) for more in ((), ("--json",), ("--notify",))]
    answers.append(careless("validate", "experiment.json"))
    answers.append(careless("run", "--dry-run", "--json", *options))
    assert answers[1].json
    assert not _leaks(careless, *(a.out + a.err for a in answers), *receiver.messages)


def test_what_is_wrong_in_a_file_is_said_without_its_secrets(careless: CommandLine) -> None:
    path = careless.place / "experiment.json"
    path.write_text(path.read_text().replace('"rate": "100"', f'"rate": "{PLANTED["literal"]}"'))
    answer = _run(careless)
    assert answer.code == Exit.USAGE
    assert not _leaks(careless, answer.out, answer.err)
