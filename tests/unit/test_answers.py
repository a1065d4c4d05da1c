"""What people say about the checklist, in the file or beside it, is read with its place, and counts."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from chaosdrill.errors import InvalidFile, Problem
from chaosdrill.model.checklist import Answer
from chaosdrill.plan.answers import read_answers
from chaosdrill.plan.experiment import ExperimentFile, read_experiment
from chaosdrill.plan.resolve import resolve_block

PLAIN = "title: t\ndescription: d\nmethod: []\n"
BLOCK = PLAIN + "extensions:\n- name: chaosdrill\n  hypothesis: it holds\n"
ATTESTED = "{attested-by: dora, at: 2026-11-20, words: all told}"


def written(tmp_path: Path, text: str, beside: str | None = None) -> ExperimentFile:
    (tmp_path / "x.yaml").write_text(text)
    if beside is not None:
        (tmp_path / "x.chaosdrill.yaml").write_text(beside)
    return read_experiment(tmp_path / "x.yaml")


def problems(tmp_path: Path, text: str, beside: str | None = None) -> tuple[str, list[Problem]]:
    with pytest.raises(InvalidFile) as refused:
        written(tmp_path, text, beside)
    return Path(refused.value.source).name, refused.value.problems


def test_a_file_without_answers_has_none(tmp_path: Path) -> None:
    assert read_answers(written(tmp_path, PLAIN)) == ({}, "")


def test_answers_of_the_block_say_who_when_what_and_where(tmp_path: Path) -> None:
    text = (
        BLOCK + f"  checklist:\n    team-notified: {ATTESTED}\n    off-peak: {{not-needed: nobody there}}\n"
    )
    found, beside = read_answers(written(tmp_path, text))
    assert found == {
        "team-notified": Answer(
            "team-notified", "attested", "all told", by="dora", at="2026-11-20", where="x.yaml:8"
        ),
        "off-peak": Answer("off-peak", "not needed", "nobody there", where="x.yaml:9"),
    }
    assert beside == ""


def test_a_file_that_can_not_be_edited_gets_its_whole_block_from_the_file_beside_it(tmp_path: Path) -> None:
    beside = (
        "hypothesis: it holds\nsignals:\n  api: {target: payment-api}\n"
        "criteria:\n- {signal: api.ready, at-least: 3}\n"
        f"checklist:\n  team-notified: {ATTESTED}\n"
    )
    file = written(tmp_path, PLAIN, beside)
    block = resolve_block(file, {})
    assert block is not None and block.hypothesis == "it holds" and len(block.criteria) == 1
    found, digest = read_answers(file)
    assert found["team-notified"].where == "x.chaosdrill.yaml:7"
    assert digest == hashlib.sha256(beside.encode()).hexdigest()


def test_what_is_wrong_beside_a_file_is_named_there(tmp_path: Path) -> None:
    source, found = problems(tmp_path, PLAIN, "hypothesis: h\nsignal: {}\n")
    assert source == "x.chaosdrill.yaml"
    assert [(p.line, p.column) for p in found] == [(2, 1)] and "did you mean 'signals'?" in str(found[0])


def test_a_file_with_a_block_takes_only_further_answers_from_beside_it(tmp_path: Path) -> None:
    found, _ = read_answers(written(tmp_path, BLOCK, f"checklist:\n  team-notified: {ATTESTED}\n"))
    assert found["team-notified"].by == "dora"
    _, wrong = problems(tmp_path, BLOCK, "hypothesis: another\n")
    assert any("belongs into the experiment's own block" in str(p) for p in wrong)


def test_an_item_is_not_answered_twice(tmp_path: Path) -> None:
    answer = "checklist:\n  off-peak: {not-needed: a}\n"
    _, wrong = problems(tmp_path, BLOCK + "  checklist: {off-peak: {not-needed: b}}\n", answer)
    assert "'off-peak' is answered twice" in str(wrong[0]) and (wrong[0].line, wrong[0].column) == (2, 3)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("custmer-communication: {not-needed: x}", "did you mean 'customer-communication'?"),
        ("off-peak: {attested-by: dora}", "who, when and what"),
        ("off-peak: {attested-by: dora, at: soon, words: x}", "'soon' is no date"),
        ("off-peak: {not-needed: x, words: y}", "neither `at` nor `words`"),
        ("off-peak: {attested-by: dora, at: 2026-11-20, words: x, not-needed: y}", "give `attested-by`"),
        ("off-peak: {}", "give `attested-by`"),
        ("off-peak: {not_needed: x}", "did you mean 'not-needed'?"),
        ("off-peak: yes", "a mapping belongs here"),
        ("off-peak: {not-needed: ' '}", "a text belongs here"),
    ],
)
def test_an_answer_that_says_nothing_is_an_error(tmp_path: Path, answer: str, said: str) -> None:
    _, found = problems(tmp_path, BLOCK + f"  checklist:\n    {answer}\n")
    assert any(said in str(problem) for problem in found), [str(p) for p in found]
    assert all(problem.line == 8 for problem in found)


def test_a_file_of_answers_is_no_experiment_and_has_none_beside_it(tmp_path: Path) -> None:
    written(tmp_path, PLAIN, "hypothesis: h\n")
    with pytest.raises(InvalidFile):
        read_experiment(tmp_path / "x.chaosdrill.yaml")
