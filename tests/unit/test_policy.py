"""A policy says what an environment demands; what is wrong with it is named where it stands, all at once.

In the texts below `§` marks the place where the problem belongs.
"""

from __future__ import annotations

from datetime import date, time
from pathlib import Path

import pytest

from chaosdrill import redact
from chaosdrill.errors import InvalidFile, Problem, UsageError
from chaosdrill.model.policy import SANDBOX, Rules, parse_span
from chaosdrill.plan.policy import check, find_policy, is_policy, read_rules
from chaosdrill.plan.schema import schema
from chaosdrill.units import UnitError

SHIPPED = Path(__file__).parents[2] / "experiments" / "chaosdrill.yaml"
HEAD = "version: 1\nenvironments:\n  prod:\n    target: sandbox\n"
NOTIFIED = HEAD + "    checklist:\n      team-notified:\n"


def rules(tmp_path: Path, text: str, environment: str = "prod", **variables: str) -> Rules:
    file = tmp_path / "chaosdrill.yaml"
    file.write_text(text.replace("§", ""))
    return read_rules(file, environment, variables)


def problems(tmp_path: Path, text: str, **variables: str) -> list[Problem]:
    with pytest.raises(InvalidFile) as refused:
        rules(tmp_path, text, **variables)
    return refused.value.problems


def places(text: str) -> list[tuple[int, int]]:
    found, line, column = [], 1, 1
    for character in text:
        if character == "§":
            found.append((line, column))
        else:
            line, column = (line + 1, 1) if character == "\n" else (line, column + 1)
    return found


def test_without_a_policy_there_is_the_sandbox_and_nothing_else() -> None:
    assert read_rules(None, "sandbox") is SANDBOX
    with pytest.raises(UsageError, match="there is no environment 'production'"):
        read_rules(None, "production")


def test_a_policy_that_is_not_there_is_no_sandbox(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no policy"):
        read_rules(tmp_path / "nowhere.yaml", "sandbox")


def test_every_key_reaches_the_rules(tmp_path: Path) -> None:
    found = rules(
        tmp_path,
        HEAD
        + "    plain-files: allow\n"
        + "    blast-radius: {max-targets: 2, max-share: 25 %}\n"
        + "    windows:\n"
        + "      timezone: Europe/Berlin\n"
        + "      allow: ['Tue-Thu 10:00-15:00']\n"
        + "      off-peak: ['22:00-02:00']\n"
        + "      holidays: DE-BY\n"
        + "      freezes: [{from: 2026-12-18, to: 2027-01-06, why: year end}]\n"
        + "    approvals: {need: 2, signers: people/approvers, valid-for: 4 h}\n"
        + "    quiet: {after-deviation: 1 d, alerts: 'http://alerts:9093', deployments: refuse}\n"
        + "    free-disk: 1 GB\n"
        + "    checklist:\n"
        + "      customer-communication: {not-needed: refuse}\n"
        + "      findings: {waived: nobody reads them}\n"
        + "      team-notified:\n"
        + "        via: ['json://127.0.0.1:9/']\n"
        + "        needs-answer: yes\n"
        + "        answer-within: 5 min\n"
        + "        responders: [dora]\n"
        + "        guardians: {names: [gus], via: ['json://127.0.0.1:8/']}\n"
        + "severity-scheme: sev0-4\nstore: sqlite:///x.db\nnotify: {drills: [a]}\n",
    )
    assert found.environment == "prod" and found.system == "sandbox" and found.plain_files
    assert (found.max_targets, found.max_share, found.free_disk) == (2, 0.25, 1_000_000_000)
    assert found.windows is not None and found.windows.timezone == "Europe/Berlin"
    assert found.windows.allow == (parse_span("Tue-Thu 10:00-15:00"),)
    assert found.windows.off_peak[0].start == time(22) and found.windows.off_peak[0].end == time(2)
    assert found.windows.holidays == "DE-BY"
    assert [(f.first, f.last, f.why) for f in found.windows.freezes] == [
        (date(2026, 12, 18), date(2027, 1, 6), "year end")
    ]
    assert found.approvals.need == 2 and found.approvals.valid_for == 4 * 3600
    assert found.approvals.signers == str(tmp_path / "people" / "approvers")
    assert found.quiet.after_deviation == 86_400 and found.quiet.deployments
    assert found.quiet.alerts == "http://alerts:9093"
    told = found.notified
    assert told.via == ("json://127.0.0.1:9/",) and told.needs_answer and told.answer_within == 300
    assert told.responders == ("dora",) and told.guardians == ("gus",)
    assert told.guardians_via == ("json://127.0.0.1:8/",)
    assert found.waived == {"findings": "nobody reads them"}
    asked = {"team-notified", "off-peak", "executive-approval", "customer-communication"}
    assert found.refuses_waiver == asked
    assert found.source == str(tmp_path / "chaosdrill.yaml") and len(found.digest) == 64


def test_an_environment_that_a_policy_defines_waives_nothing_by_itself(tmp_path: Path) -> None:
    found = rules(tmp_path, HEAD)
    assert found.waived == {} and not found.plain_files and found.strict


def test_the_sandbox_of_a_policy_keeps_its_waivers_but_for_what_the_policy_asks(tmp_path: Path) -> None:
    text = HEAD.replace("prod", "sandbox")
    assert rules(tmp_path, text, "sandbox").waived == SANDBOX.waived
    asking = rules(tmp_path, text + "    windows: {allow: ['Mon 10:00-11:00']}\n", "sandbox")
    assert set(SANDBOX.waived) - set(asking.waived) == {"off-peak"}
    assert rules(tmp_path, HEAD, "sandbox") is SANDBOX


def test_an_environment_that_is_not_there_is_guessed(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        rules(tmp_path, HEAD.replace("prod", "production"), "prodution")
    assert "did you mean 'production'?" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            HEAD.replace("target: sandbox", "target: §{kubernetes: {context: x}}"),
            "kubernetes can't be reached",
        ),
        (HEAD.replace("target: sandbox", "target: §sandbx"), "there is no target system 'sandbx'"),
        ("version: 1\nenvironments:\n  prod: §{}\n", "environments.prod needs a `target`"),
        (HEAD.replace("version: 1", "version: §2"), "`version`: '2' is not 1"),
        (HEAD + "    §aprovals: {need: 1}\n", "environments.prod has no 'aprovals'"),
        (HEAD + "    §free_disk: 1 GB\n", "environments.prod has no 'free_disk'"),
        (HEAD + "    free-disk: §50\n", "'50' is not a size"),
        (HEAD + "    blast-radius: {max-share: §34}\n", "write 34 %"),
        (HEAD + "    approvals: §{need: 1}\n", "nobody may sign"),
        (HEAD + "    windows: {timezone: §Europe/Berln}\n", "there is no time zone 'Europe/Berln'"),
        (HEAD + "    windows: {holidays: §XX}\n", "no holidays are known of 'XX'"),
        (HEAD + "    windows: {holidays: §DE-XX}\n", "DE has no part 'XX'"),
        (HEAD + "    windows: {allow: [§Tue 10-11]}\n", "no time of day"),
        (HEAD + "    windows: {freezes: [§{from: 2027-02-01, to: 2027-01-01, why: x}]}\n", "can't end on"),
        (HEAD + "    windows: {freezes: [{from: §soon, to: 2027-01-01, why: x}]}\n", "'soon' is no day"),
        (HEAD + "    quiet: {deployments: §maybe}\n", "'maybe' is not 'ignore' or 'refuse'"),
        (HEAD + "    checklist: {§rollback-plan: {waived: trust me}}\n", "has no 'rollback-plan'"),
        (HEAD + "    §approvals:\n", "'approvals' is empty"),
        (NOTIFIED + "        needs-answer: §perhaps\n", "yes or no belongs here"),
        (NOTIFIED + "        via: [§nowhere]\n", "'nowhere' is no address"),
        (NOTIFIED + "        via: [§'json://${A']\n", "'${' without a name"),
        ("§- a\n- b\n", "a policy is a mapping"),
        ("version: 1\nenvironments: {}\n§environments: {}\n", "twice"),
    ],
)
def test_what_is_wrong_is_named_at_its_place(tmp_path: Path, text: str, said: str) -> None:
    found = problems(tmp_path, text)
    assert any(said in str(problem) for problem in found), [str(p) for p in found]
    assert places(text)[0] in [(problem.line, problem.column) for problem in found]


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    text = HEAD + "    aprovals: {}\n    free-disk: 50\n    windows: {timezone: Nowhere}\n"
    assert len(problems(tmp_path, text)) == 3


def test_a_signature_can_not_be_replaced_by_a_word(tmp_path: Path) -> None:
    text = (
        HEAD
        + "    approvals: {need: 1, signers: a}\n    checklist: {executive-approval: {waived: no time}}\n"
    )
    assert "executive-approval can't be waived" in str(problems(tmp_path, text)[0])


@pytest.mark.parametrize(
    "address",
    [
        "json://user:hunter22@host/",
        "mattermost://chat/26charactersoftokenabcdef1",
        "slack://h/?token=abcdefgh",
    ],
)
def test_a_secret_that_stands_inline_is_refused_and_not_repeated(tmp_path: Path, address: str) -> None:
    found = problems(tmp_path, NOTIFIED + f"        via: ['{address}']\n")
    assert "a secret stands inline" in str(found[0])
    assert address.partition("://")[2] not in str(found[0])


def test_a_secret_is_fetched_from_where_it_is_named_and_masked_from_then_on(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("json://in-a-file-1:80/\n")
    text = NOTIFIED + "        via: ['json://host/${TOKEN}', {env: WHOLE}, {file: hook}]\n"
    found = rules(tmp_path, text, TOKEN="canary-token-1", WHOLE="json://canary-whole-2/")
    assert found.notified.via == (
        "json://host/canary-token-1",
        "json://canary-whole-2/",
        "json://in-a-file-1:80/",
    )
    shown = redact.known.text("canary-token-1 json://canary-whole-2/ json://in-a-file-1:80/")
    assert "canary" not in shown and "in-a-file" not in shown


def test_a_secret_that_is_not_there_is_named_by_its_variable(tmp_path: Path) -> None:
    text = NOTIFIED + "        via: [§'json://host/${TOKEN}', §{file: missing}]\n"
    found = problems(tmp_path, text)
    assert [(p.line, p.column) for p in found] == places(text)
    assert "the variable TOKEN of the environment is not set" in str(found[0])
    check(tmp_path / "chaosdrill.yaml")  # The file itself is right, wherever it is looked at.


@pytest.mark.parametrize(
    ("text", "days", "hours"),
    [
        ("Tue-Thu 10:00-15:00", {1, 2, 3}, (time(10), time(15))),
        ("Mon,Wed 9:00-12:30", {0, 2}, (time(9), time(12, 30))),
        ("fri-mon 01:00-02:00", {4, 5, 6, 0}, (time(1), time(2))),
        ("22:00-02:00", set(range(7)), (time(22), time(2))),
        ("Sat-Sun 00:00-24:00", {5, 6}, (time(0), time(0))),
    ],
)
def test_hours_are_read_as_people_write_them(text: str, days: set[int], hours: tuple[time, time]) -> None:
    span = parse_span(text)
    assert span.days == days and (span.start, span.end) == hours


@pytest.mark.parametrize(
    "text", ["", "10:00", "Tue 10-11", "Tux 10:00-11:00", "10:00-10:00", "25:00-26:00", "a b c"]
)
def test_hours_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(UnitError):
        parse_span(text)


def test_the_nearest_policy_above_the_experiment_counts(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "chaosdrill.yaml").write_text(HEAD)
    assert find_policy(tmp_path / "a" / "b" / "x.yaml") == tmp_path / "chaosdrill.yaml"
    (tmp_path / "a" / "chaosdrill.yaml").write_text(HEAD)
    assert find_policy(tmp_path / "a" / "b" / "x.yaml") == tmp_path / "a" / "chaosdrill.yaml"
    assert find_policy(tmp_path / "x.yaml", tmp_path / "other") == tmp_path / "other"


def test_the_policy_that_is_shipped_is_right_and_differs_by_environment() -> None:
    assert is_policy(SHIPPED)
    sandbox, staging, production = (
        read_rules(SHIPPED, name, {}) for name in ("sandbox", "staging", "production")
    )
    assert sandbox.waived == SANDBOX.waived
    assert staging.approvals.need == 0 and staging.max_targets == 1 and not staging.plain_files
    assert production.approvals.need == 1 and production.windows is not None
    assert production.notified.needs_answer


def test_an_editor_knows_the_keys_of_a_policy() -> None:
    known = schema("policy")
    assert known["$defs"]["EnvironmentSpec"]["additionalProperties"] is False
    assert known["$defs"]["EnvironmentSpec"]["properties"]["target"]["enum"] == ["sandbox"]
    assert {"from", "to", "why"} == set(known["$defs"]["FreezeSpec"]["required"])
