"""`approve` from the command line: what is shown, what is signed, and that a run takes nothing less."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from commandline import Answer, CommandLine

DRILL = """\
title: Payments survive the loss of one instance
description: One instance is lost.
configuration:
  seconds: {type: env, key: SECONDS, default: 2}
steady-state-hypothesis: {title: Payments keep flowing, probes: []}
method:
  - type: action
    name: fail-one
    provider:
      type: python
      module: chaosdrill.actions
      func: instance_failure
      arguments: {target: payment-api, count: 1, duration: "${seconds} s"}
rollbacks: []
"""
POLICY = """\
version: 1
environments:
  production:
    target: sandbox
    plain-files: allow
    blast-radius: {max-targets: 1, max-share: 50 %}
    approvals: {need: 1, signers: approvers, valid-for: 24 h}
    windows: {timezone: UTC, allow: [00:00-24:00], off-peak: [00:00-24:00]}
"""
DORA = {"CHAOSDRILL_ACTOR": "dora@laptop"}


@pytest.fixture
def place(on_sandbox: CommandLine) -> Path:
    """A folder with a drill, a policy, and keys of two approvers."""
    folder = on_sandbox.place
    (folder / "drill.yaml").write_text(DRILL)
    (folder / "chaosdrill.yaml").write_text(POLICY)
    lines = []
    for name in ("alice", "bob"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)]
        subprocess.run(command, check=True)
        public = (folder / f"{name}.pub").read_text().split()[:2]
        lines.append(f'{name}@example.com namespaces="chaosdrill-approval@v1" {" ".join(public)}')
    (folder / "approvers").write_text("\n".join(lines) + "\n")
    return folder


def sign(
    chaosdrill: CommandLine, *more: str, key: str = "alice", requester: str = "dora@laptop", **variables: str
) -> Answer:
    common = ("drill.yaml", "-e", "production", "--for", requester, "--key", key)
    return chaosdrill("approve", *common, *more, **variables)


def preflight(chaosdrill: CommandLine, *more: str, file: str = "drill.yaml") -> str:
    """What the checklist says of the approval."""
    facts = chaosdrill("preflight", file, "-e", "production", "--json", *more, **DORA).json
    [found] = [one for one in facts["checklist"] if one["item"] == "executive-approval"]
    return f"{found['state']}: {found['said']} {found['next_step']}"


def test_what_is_approved_is_shown_before_it_is_signed(on_sandbox: CommandLine, place: Path) -> None:
    answer = sign(on_sandbox, "--words", "go ahead")

    assert answer.code == 0, answer.err
    for words in (
        "Payments survive the loss of one instance",
        "where       production",
        "(1 of 3 of payment-api) for 2 s",
        "asked by    dora@laptop",
        "(24 h), for one start",
        "signed as   alice@example.com",
        "go ahead",
    ):
        assert words in answer.out
    assert answer.out.index("asked by") < answer.out.index("signed      ")
    [file] = (place / "approvals").glob("*-alice@example.com.json")
    statement = json.loads(json.loads(file.read_text())["statement"])
    assert statement["aims"][0]["chosen"][0] in answer.out
    assert statement["salt"].startswith("scrypt:")


def test_an_approval_is_printed_as_json_and_nothing_else(on_sandbox: CommandLine, place: Path) -> None:
    facts = sign(on_sandbox, "--json", "--valid-for", "1 h").json

    assert facts["enough"]
    assert facts["statement"]["approver"] == "alice@example.com"


def test_a_run_without_approval_is_refused_with_the_command_to_give_on(
    on_sandbox: CommandLine, place: Path
) -> None:
    said = preflight(on_sandbox, "--var", "seconds=3")

    assert said.startswith("failed: 0 of 1 approvals")
    expected = "chaosdrill approve drill.yaml -e production --var seconds=3 --for dora@laptop --key YOUR-KEY"
    assert expected in said


def test_the_approved_run_is_cleared_and_no_other(on_sandbox: CommandLine, place: Path) -> None:
    sign(on_sandbox)

    assert preflight(on_sandbox).startswith("proved: approved by alice@example.com")
    assert "configuration, scope changed since alice@example.com approved it" in preflight(
        on_sandbox, "--var", "seconds=3"
    )
    assert "options changed since alice@example.com approved it" in preflight(on_sandbox, "--fail-fast")
    (place / "drill.yaml").write_text(DRILL + "# one more line\n")
    assert "experiment changed since alice@example.com approved it" in preflight(on_sandbox)


def test_a_run_uses_its_approval_up(on_sandbox: CommandLine, place: Path) -> None:
    names = ("expected-outcome", "monitoring", "team-notified", "customer-communication")
    names += ("hypothesis", "success-criteria", "rollback-plan", "blast-radius")
    items = [word for name in names for word in ("--override", name)]
    reasons = [word for name in names for word in ("--override", f"{name}=a test")]
    assert sign(on_sandbox, *items).code == 0

    first = on_sandbox("run", "drill.yaml", "-e", "production", "--json", *reasons, **DORA)
    second = on_sandbox("run", "drill.yaml", "-e", "production", "--json", *reasons, **DORA)

    assert first.code != 3, first.err
    assert second.code == 3
    assert "it was used already" in preflight(on_sandbox, *reasons)
    clearance = json.loads((Path(first.json["folder"]) / "run.json").read_text())["clearance"]
    overridden = [one for one in clearance["findings"] if one["state"] == "overridden"]
    assert overridden
    assert {one["by"] for one in overridden} == {"alice@example.com"}
    assert [use["use"] for use in clearance["approvals"]] == [1]
    [line] = (place / "approvals" / "uses.jsonl").read_text().splitlines()
    assert json.loads(line)["run"] in first.json["folder"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--valid-for", "48 h"), "an approval for 48 h: 24 h are allowed at most"),
        (("--valid-for", "48"), "has no unit"),
        (("--override", "monitorin"), "'monitorin' can't be overridden; did you mean monitoring?"),
        (("--override", "executive-approval"), "can't be overridden"),
        (("--as", "bob@example.com"), "it says bob@example.com, but its key belongs to alice@example.com"),
        (("--standing",), "say also: --count N, --until DATE"),
        (("--count", "3"), "--count goes with --standing"),
        (("--standing", "--count", "3", "--until", "soon"), "is no day; write it like 2027-01-31"),
        (("--standing", "--count", "3", "--until", "2999-01-01"), "2208 h are allowed at most"),
    ],
)
def test_what_no_run_would_accept_is_not_signed(
    on_sandbox: CommandLine, place: Path, arguments: tuple[str, ...], said: str
) -> None:
    answer = sign(on_sandbox, *arguments)

    assert answer.code in (2, 3)
    assert said in answer.err
    assert not list(place.glob("approvals/*.json"))


def test_nobody_approves_what_they_ask_for(on_sandbox: CommandLine, place: Path) -> None:
    answer = sign(on_sandbox, requester="Alice@laptop")

    assert answer.code == 2
    assert "alice@example.com can't approve what Alice@laptop asks for" in answer.err


def test_a_stranger_is_told_that_they_may_not(on_sandbox: CommandLine, place: Path) -> None:
    (place / "approvers").write_text(
        "\n".join(line for line in (place / "approvers").read_text().splitlines() if "bob" not in line) + "\n"
    )

    answer = sign(on_sandbox, key="bob")

    assert answer.code == 2
    assert "bob is not among the approvers in" in answer.err


def test_a_key_that_does_not_sign_says_why(on_sandbox: CommandLine, place: Path) -> None:
    (place / "alice").unlink()

    answer = sign(on_sandbox, SSH_AUTH_SOCK="")

    assert answer.code == 2
    assert "alice did not sign: " in answer.err


def test_approvals_are_listed_and_taken_back(on_sandbox: CommandLine, place: Path) -> None:
    sign(on_sandbox)
    standing = ("--standing", "--count", "3", "--until", _in_a_week(), "--window", "Tue-Thu 10:00-15:00")
    answer = sign(on_sandbox, *standing, "--timezone", "Europe/Berlin", key="bob", requester="ci@runner")
    assert answer.code == 0, answer.err
    assert "instance failure of any of payment-api, up to 2 s each" in answer.out
    assert "Tue-Thu 10:00-15:00 (Europe/Berlin)" in answer.out

    rows = on_sandbox("approve", "--list", "--json").json
    assert [(row["approver"], row["worth"], row["starts"]) for row in rows] == [
        ("alice@example.com", "one start", "0 of 1"),
        ("bob@example.com", "standing", "0 of 3"),
    ]
    assert on_sandbox("approve", "--revoke", rows[0]["id"]).code == 2
    revoked = on_sandbox("approve", "--revoke", rows[0]["id"][:5], "--why", "the release is today")
    assert revoked.code == 0

    assert "it was revoked by" in preflight(on_sandbox)
    assert "the release is today" in preflight(on_sandbox)
    assert [row["worth"] for row in on_sandbox("approve", "--list", "--json").json] == ["revoked", "standing"]


def _in_a_week() -> str:
    from datetime import UTC, datetime, timedelta

    return (datetime.now(UTC) + timedelta(days=7)).date().isoformat()
