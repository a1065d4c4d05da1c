"""`validate`, `schema` and `init`: everything wrong at once, with its place; nothing overwritten."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from chaosdrill.cli import shipped
from commandline import BIN, CommandLine
from pseudoterminal import Terminal

BROKEN = """\
title: Broken in three places
description: A test.
method:
  - type: action
    name: fail
    provider:
      {type: python, module: chaosdrill.actions, func: instance_failur, arguments: {target: payment-api}}
extensions:
  - name: chaosdrill
    version: 1
    hypothesis: Nobody notices.
    signals:
      pay: {http: {url: "http://127.0.0.1:9/", rate: 50}}
    criteria:
      - {signal: pay.availabilty, above: 99.9 %, over: phase}
      - {signal: pay.p95_latency, below: 500, over: 10 s}
"""


@pytest.fixture
def broken(chaosdrill: CommandLine) -> Path:
    path = chaosdrill.place / "broken.yaml"
    path.write_text(BROKEN)
    return path


def test_every_problem_is_named_with_line_column_and_the_nearest_word(
    chaosdrill: CommandLine, broken: Path
) -> None:
    answer = chaosdrill("validate", "broken.yaml")
    assert answer.code == 2
    lines = answer.err.splitlines()
    assert [re.match(r"broken\.yaml:(\d+):\d+: error: ", line)[1] for line in lines] == ["7", "15", "16"]  # type: ignore[index]
    assert "did you mean 'instance_failure'?" in lines[0]
    assert "did you mean 'availability'?" in lines[1]
    assert "500 ms" in lines[2]
    assert answer.out == "1 file: 1 with 3 errors\n"


def test_the_shipped_experiments_are_valid(chaosdrill: CommandLine) -> None:
    files = sorted(map(str, shipped.experiments().rglob("*.yaml")))
    answer = chaosdrill("validate", "--json", *files)
    assert (answer.code, answer.err) == (0, "")
    assert [finding["file"] for finding in answer.json if not finding["valid"]] == []


def test_a_plain_chaos_toolkit_file_is_valid_too(chaosdrill: CommandLine) -> None:
    plain = {"title": "t", "description": "d", "method": []}
    (chaosdrill.place / "plain.json").write_text(json.dumps(plain))
    assert chaosdrill("validate", "plain.json").code == 0


def test_what_only_chaos_toolkit_knows_is_found_as_well(chaosdrill: CommandLine) -> None:
    experiment = {
        "title": "t",
        "description": "d",
        "configuration": {"url": {"type": "env", "key": "NOBODY_HAS_SET_THIS"}},
        "method": [],
    }
    (chaosdrill.place / "unset.json").write_text(json.dumps(experiment))
    answer = chaosdrill("validate", "unset.json")
    assert answer.code == 2
    assert "NOBODY_HAS_SET_THIS" in answer.err
    assert chaosdrill("validate", "unset.json", NOBODY_HAS_SET_THIS="http://127.0.0.1:9").code == 0


def test_one_bad_file_does_not_hide_the_others(chaosdrill: CommandLine, broken: Path) -> None:
    answer = chaosdrill("validate", "--json", "nowhere.yaml", "broken.yaml", str(_demo()))
    assert answer.code == 2
    assert [(f["valid"], len(f["errors"])) for f in answer.json] == [(False, 1), (False, 3), (True, 0)]
    assert answer.json[1]["errors"][0]["line"] == 7


def test_in_a_terminal_a_caret_points_at_the_problem(chaosdrill: CommandLine, broken: Path) -> None:
    command = [str(BIN / "chaosdrill"), "validate", "broken.yaml"]
    with Terminal(command, chaosdrill.environment, chaosdrill.place) as terminal:
        assert terminal.end() == 2
    lines = terminal.screen.all
    at = next(n for n, line in enumerate(lines) if line.startswith("   15 | "))
    assert lines[at + 1].index("^") == lines[at].index("pay.availabilty")
    # Of a line that is longer than the terminal, the part with the problem is shown.
    at = next(n for n, line in enumerate(lines) if line.startswith("    7 | "))
    assert lines[at + 1].index("^") == lines[at].index("instance_failur")


def test_the_schema_is_json_for_editors(chaosdrill: CommandLine) -> None:
    answer = chaosdrill("schema", "experiment")
    assert answer.code == 0
    assert answer.json["$schema"].startswith("https://json-schema.org/")
    assert chaosdrill("schema", "experimnt").code == 2


# ---- init


def _demo() -> Path:
    return shipped.experiments() / shipped.DEMO


def test_init_puts_the_experiments_into_the_folder_and_says_what_next(chaosdrill: CommandLine) -> None:
    answer = chaosdrill("init")
    assert answer.code == 0
    copied = chaosdrill.place / "experiments" / shipped.DEMO
    assert copied.read_bytes() == _demo().read_bytes()
    assert f"chaosdrill run experiments/{shipped.DEMO}" in answer.out
    assert "chaosdrill demo" in answer.out


def test_init_never_overwrites_unless_it_is_told_to(chaosdrill: CommandLine) -> None:
    assert chaosdrill("init", "drills").code == 0
    mine = chaosdrill.place / "drills" / "experiments" / shipped.DEMO
    mine.write_text("mine")
    answer = chaosdrill("init", "drills")
    assert f"left alone drills/experiments/{shipped.DEMO}" in answer.out
    assert mine.read_text() == "mine"
    assert chaosdrill("init", "drills", "--force").code == 0
    assert mine.read_bytes() == _demo().read_bytes()


def test_init_where_nothing_can_be_written_is_one_line(chaosdrill: CommandLine) -> None:
    answer = chaosdrill("init", "/proc/nowhere")
    assert (answer.code, len(answer.err.splitlines())) == (2, 1)
    assert "/proc/nowhere" in answer.err
