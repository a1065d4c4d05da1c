"""`preflight` and refusals on a real sandbox: all ten items, nothing injected, nobody told unless asked."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from chaosdrill.cli import shipped
from chaosdrill.model.checklist import BEFORE
from commandline import Answer, CommandLine

FILE = str(shipped.experiments() / "sandbox" / "pod-failure.yaml")
STAGING = "version: 1\nenvironments:\n  staging:\n    target: sandbox\n"
BLOCK: dict[str, Any] = {
    "name": "chaosdrill",
    "hypothesis": "a short cut costs nothing",
    "expected-outcome": "payments are queued",
    "signals": {"api": {"target": "payment-api", "every": "100 ms"}},
    "criteria": [{"signal": "api.instances", "at-least": "1"}],
    "abort-when": [{"signal": "api.instances", "below": "1"}],
    "blast-radius": {"max-targets": "1"},
    "phases": {"baseline": "100 ms", "recovery": "200 ms"},
    "checklist": {
        "team-notified": {"not-needed": "a test"},
        "customer-communication": {"not-needed": "a test"},
    },
}


def experiment(place: Path, policy: str = STAGING, *, beside: bool = False, **changes: Any) -> str:
    """Write a policy and an experiment that cuts the line to the database for a second."""
    (place / "chaosdrill.yaml").write_text(policy)
    provider = {
        "type": "python",
        "module": "chaosdrill.actions",
        "func": "network_cut",
        "arguments": {"target": "database", "duration": "1 s"},
    }
    content: dict[str, Any] = {
        "title": "a test",
        "description": "d",
        "method": [{"type": "action", "name": "cut", "provider": provider}],
    }
    block = {key: value for key, value in (BLOCK | changes).items() if value is not None}
    if beside:
        (place / "experiment.chaosdrill.yaml").write_text(json.dumps(block))
    else:
        content["extensions"] = [block]
    (place / "experiment.json").write_text(json.dumps(content))
    return "experiment.json"


def items(answer: Answer) -> dict[str, dict[str, Any]]:
    return {finding["item"]: finding for finding in answer.json["checklist"]}


def states(answer: Answer) -> dict[str, str]:
    return {item: str(finding["state"]) for item, finding in items(answer).items()}


@contextmanager
def chat() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A chat system that takes every message; yields its address and what was sent."""
    sent: list[dict[str, Any]] = []

    class Room(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Room)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"json://127.0.0.1:{server.server_port}/", sent
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_all_ten_items_are_decided_and_nothing_is_injected(on_sandbox: CommandLine) -> None:
    answer = on_sandbox("preflight", "--json", FILE)
    assert answer.code == 0, answer.out
    assert [finding["item"] for finding in answer.json["checklist"]] == [item.key for item in BEFORE]
    assert answer.json["injected"] is False and answer.json["cleared"] is True
    assert answer.json["faults"][0]["chosen"]
    assert not (on_sandbox.place / "runs").exists()
    assert on_sandbox("sandbox", "status", "--json").json["faults"] == []


def test_it_reads_well_in_80_columns_without_colour(on_sandbox: CommandLine) -> None:
    on_sandbox("init")
    answer = on_sandbox("preflight", "-e", "production", "experiments/sandbox/pod-failure.yaml")
    assert answer.code == 3
    assert max(map(len, answer.out.splitlines())) <= 80
    assert "\x1b" not in answer.out
    for item in BEFORE:
        assert f"{item.title}: " in answer.out
    assert "Executive approval: ✗ FAILED" in answer.out
    assert "chaosdrill approve" in answer.out and "NOT CLEARED" in answer.out


@pytest.mark.parametrize(
    "name", ["connection-pool", "cpu-stress", "database-latency", "database-latency-3s", "pod-failure"]
)
def test_what_we_ship_passes_staging_and_lacks_a_signature_in_production(
    on_sandbox: CommandLine, name: str
) -> None:
    file = str(shipped.experiments() / "sandbox" / f"{name}.yaml")
    staging = on_sandbox("preflight", "-e", "staging", "--json", file)
    assert staging.code == 0, items(staging)
    production = on_sandbox("preflight", "-e", "production", "--json", file)
    assert production.code == 3
    assert items(production)["executive-approval"]["state"] == "failed"


def test_a_dry_run_shows_the_checklist_too(on_sandbox: CommandLine) -> None:
    file = experiment(on_sandbox.place)
    cleared = on_sandbox("run", "--dry-run", "-e", "staging", file)
    assert cleared.code == 0 and "Hypothesis defined: ✓ proved" in cleared.out
    refused = on_sandbox("run", "--dry-run", "-e", "staging", experiment(on_sandbox.place, hypothesis=None))
    assert refused.code == 3 and "Hypothesis defined: ✗ FAILED" in refused.out


def test_a_run_is_refused_for_every_reason_at_once_and_leaves_them_in_its_record(
    on_sandbox: CommandLine,
) -> None:
    file = experiment(on_sandbox.place, hypothesis=None, checklist=None)
    answer = on_sandbox("run", "--plain", "-e", "staging", file)
    assert answer.code == 3
    (folder,) = (on_sandbox.place / "runs").iterdir()
    facts = json.loads((folder / "run.json").read_text())
    failed = [f["item"] for f in facts["clearance"]["findings"] if f["state"] == "failed"]
    assert failed == ["hypothesis", "team-notified", "customer-communication"]
    assert facts["clearance"]["cleared"] is False and facts["state"] == "sealed"
    journal = (folder / "journal.jsonl").read_text()
    assert journal.count('"item.decided"') == len(BEFORE)
    assert "run.refused" in journal and "fault.active" not in journal
    for title in ("Hypothesis defined", "Team notified", "Customer communication"):
        assert title in answer.out + answer.err


def test_a_cleared_run_has_its_evidence_in_its_record(on_sandbox: CommandLine) -> None:
    answer = on_sandbox("run", "--json", "-e", "staging", experiment(on_sandbox.place))
    assert answer.code in (0, 5), answer.err
    facts = json.loads(Path(answer.json["folder"], "run.json").read_text())
    clearance = facts["clearance"]
    assert clearance["cleared"] is True and len(clearance["findings"]) == len(BEFORE)
    assert {"experiment", "policy", "scope", "configuration"} <= set(clearance["parts"])


def test_a_file_that_can_not_be_edited_runs_with_its_answers_beside_it(on_sandbox: CommandLine) -> None:
    answer = on_sandbox("run", "--json", "-e", "staging", experiment(on_sandbox.place, beside=True))
    assert answer.code in (0, 5), answer.err
    beside = on_sandbox.place / "experiment.chaosdrill.yaml"
    assert Path(answer.json["folder"], beside.name).read_bytes() == beside.read_bytes()
    (on_sandbox.place / "experiment.chaosdrill.yaml").unlink()
    alone = on_sandbox("preflight", "--json", "-e", "staging", "experiment.json")
    assert alone.code == 3 and states(alone)["hypothesis"] == "failed"


def test_what_somebody_attests_is_recorded_with_name_and_date(on_sandbox: CommandLine) -> None:
    today = datetime.now(UTC).date().isoformat()
    word = {"attested-by": "dora", "at": today, "words": "all of them know"}
    answers = BLOCK["checklist"] | {"team-notified": word}
    answer = on_sandbox("run", "--json", "-e", "staging", experiment(on_sandbox.place, checklist=answers))
    assert answer.code in (0, 5), answer.err
    facts = json.loads(Path(answer.json["folder"], "run.json").read_text())
    (finding,) = [f for f in facts["clearance"]["findings"] if f["item"] == "team-notified"]
    assert (finding["state"], finding["by"], finding["at"]) == ("attested", "dora", today)
    assert "all of them know" in finding["said"]


def test_the_limit_of_the_environment_holds_where_the_experiment_has_none(on_sandbox: CommandLine) -> None:
    policy = STAGING + "    blast-radius: {max-share: 50 %}\n"
    answer = on_sandbox("preflight", "--json", "-e", "staging", experiment(on_sandbox.place, policy))
    assert answer.code == 3
    assert "50 % (the policy of staging)" in items(answer)["blast-radius"]["said"]


def test_messages_are_sent_by_a_run_and_by_preflight_only_when_asked(on_sandbox: CommandLine) -> None:
    with chat() as (address, sent):
        policy = STAGING + f"    checklist: {{team-notified: {{via: ['{address}']}}}}\n"
        answers = {"customer-communication": {"not-needed": "a test"}}
        file = experiment(on_sandbox.place, policy, checklist=answers)
        quiet = on_sandbox("preflight", "--json", "-e", "staging", file)
        assert (quiet.code, states(quiet)["team-notified"], sent) == (0, "pending", [])
        asked = on_sandbox("preflight", "--json", "--notify", "-e", "staging", file)
        assert (asked.code, states(asked)["team-notified"], len(sent)) == (0, "proved", 1)
        assert on_sandbox("run", "--json", "-e", "staging", file).code in (0, 5)
        assert len(sent) >= 2 and "a test" in json.dumps(sent[1])


def test_a_secret_of_the_policy_is_in_no_output_and_no_record(on_sandbox: CommandLine) -> None:
    policy = STAGING + "    checklist: {team-notified: {via: ['json://127.0.0.1:9/${CANARY}']}}\n"
    file = experiment(on_sandbox.place, policy)
    answer = on_sandbox("run", "-e", "staging", file, CANARY="canary-7c1f9e2b")
    assert answer.code == 3
    assert "canary-7c1f9e2b" not in answer.out + answer.err
    for path in (on_sandbox.place / "runs").rglob("*"):
        assert not path.is_file() or b"canary-7c1f9e2b" not in path.read_bytes(), path


def test_a_policy_with_problems_stops_a_run_with_2_and_names_them(on_sandbox: CommandLine) -> None:
    file = experiment(on_sandbox.place, STAGING + "    approvls: {need: 1}\n")
    answer = on_sandbox("run", "-e", "staging", file)
    assert answer.code == 2 and "did you mean 'approvals'?" in answer.err
    checked = on_sandbox("validate", "chaosdrill.yaml")
    assert checked.code == 2 and "chaosdrill.yaml:5:5: error" in checked.err


def test_init_writes_a_policy_under_which_its_experiments_are_found(on_sandbox: CommandLine) -> None:
    assert on_sandbox("init").code == 0
    assert on_sandbox("validate", "experiments/chaosdrill.yaml").code == 0
    answer = on_sandbox("preflight", "--json", "-e", "production", "experiments/sandbox/pod-failure.yaml")
    assert answer.code == 3 and answer.json["policy"].endswith("experiments/chaosdrill.yaml")


# ---- what changes while people are waited for


def waiting(
    on_sandbox: CommandLine, options: tuple[str, ...] = (), **changes: Any
) -> tuple[subprocess.Popen[str], str]:
    """Start a run that waits for the team; return it, and its id, once it waits."""
    policy = STAGING + "    checklist: {team-notified: {needs-answer: yes, answer-within: 100 s}}\n"
    answers = {"customer-communication": {"not-needed": "a test"}}
    file = experiment(on_sandbox.place, policy, checklist=answers, **changes)
    process = on_sandbox.start("run", "--plain", "-e", "staging", *options, file)
    assert process.stdout is not None
    for line in process.stdout:
        if "chaosdrill ready" in line:
            break
    (folder,) = (on_sandbox.place / "runs").iterdir()
    return process, folder.name


def said(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=100)
    assert "Traceback" not in out + err
    return process.returncode, " ".join((out + err).split())


def test_a_run_starts_once_the_team_is_ready(on_sandbox: CommandLine) -> None:
    process, run = waiting(on_sandbox)
    assert on_sandbox("ready", run, "--as", "dora").code == 0
    code, _ = said(process)
    assert code in (0, 5)
    journal = (on_sandbox.place / "runs" / run / "journal.jsonl").read_text()
    assert journal.index("ready.answered") < journal.index("fault.active")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("experiment.json", "experiment"),
        ("chaosdrill.yaml", "policy"),
        ("experiment.chaosdrill.yaml", "answers"),
    ],
)
def test_what_is_rewritten_while_people_are_waited_for_refuses(
    on_sandbox: CommandLine, name: str, part: str
) -> None:
    process, run = waiting(on_sandbox, beside=True)
    file = on_sandbox.place / name
    file.write_text(file.read_text() + "\n")
    on_sandbox("ready", run, "--as", "dora")
    code, words = said(process)
    assert code == 3 and f"{part} changed since the run was cleared" in words
    assert "fault.active" not in (on_sandbox.place / "runs" / run / "journal.jsonl").read_text()


def test_a_control_file_that_is_rewritten_while_people_are_waited_for_refuses(
    on_sandbox: CommandLine,
) -> None:
    control = on_sandbox.place / "control.yaml"
    control.write_text("nothing: {provider: {type: python, module: json}}\n")
    process, run = waiting(on_sandbox, options=("--control-file", "control.yaml"))
    control.write_text("another: {provider: {type: python, module: json}}\n")
    on_sandbox("ready", run, "--as", "dora")
    code, words = said(process)
    assert code == 3 and "files changed since the run was cleared" in words


def test_a_hold_shows_before_anybody_starts_a_run(on_sandbox: CommandLine) -> None:
    on_sandbox("hold", "on", "--why", "an outage")
    try:
        answer = on_sandbox("preflight", "--json", "-e", "staging", experiment(on_sandbox.place))
    finally:
        on_sandbox("hold", "off")
    assert answer.code == 3 and "an outage" in answer.json["blocked"]
    assert set(states(answer).values()) <= {"proved", "not needed"}


def test_a_hold_ends_the_waiting(on_sandbox: CommandLine) -> None:
    process, run = waiting(on_sandbox)
    try:
        assert on_sandbox("hold", "on", "--why", "an outage").code == 0
        code, words = said(process)
    finally:
        on_sandbox("hold", "off")
    assert code == 3 and "an outage" in words
    assert "fault.active" not in (on_sandbox.place / "runs" / run / "journal.jsonl").read_text()
