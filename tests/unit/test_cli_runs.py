"""Runs read back from their folders: what is listed, shown and judged is what the folder says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from chaosdrill.testing.folders import Story, Variant, build_run_folder
from commandline import BIN, CommandLine
from pseudoterminal import Terminal

VARIANTS: tuple[Variant, ...] = ("held", "deviated", "aborted", "residue", "plain", "crashed")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of each kind, built once."""
    runs = tmp_path_factory.mktemp("built") / "runs"
    for number, variant in enumerate(VARIANTS):
        name = f"2026-11-21T10-0{number}-11Z-payments-survive-the-loss-{variant}"
        build_run_folder(runs / name, Story(variant=variant))
    return runs


@pytest.fixture
def recorded(built: Path, chaosdrill: CommandLine) -> CommandLine:
    """A folder with one run of each kind."""
    shutil.copytree(built, chaosdrill.place / "runs")
    return chaosdrill


def test_runs_are_listed_oldest_first_with_their_word(recorded: CommandLine) -> None:
    listed = recorded("runs")
    assert listed.code == 0
    assert [line.split()[0].rsplit("-", 1)[-1] for line in listed.out.splitlines()[1:]] == list(VARIANTS)
    words = [run["word"].lower() for run in recorded("runs", "--json").json]
    assert words[:4] == ["held", "deviated", "aborted", "residue left"]
    assert words[-1] == "lost"
    assert "lost" in listed.out.splitlines()[-1]


def test_a_folder_without_runs_says_how_to_begin(chaosdrill: CommandLine) -> None:
    assert "chaosdrill demo" in chaosdrill("runs").out
    assert chaosdrill("runs", "--json").json == []


def test_a_broken_run_is_listed_as_what_it_is(recorded: CommandLine) -> None:
    (broken,) = (recorded.place / "runs").glob("*-held")
    (broken / "run.json").write_text("{")
    answer = recorded("runs")
    assert answer.code == 0
    assert "unreadable" in answer.out
    assert recorded("show", "held").code == 2


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_is_shown_with_verdict_and_timeline(variant: Variant, recorded: CommandLine) -> None:
    answer = recorded("show", variant)
    assert answer.code == 0
    assert "10:02:11Z T+00:00  run 2026-" in answer.out
    assert ("no verdict" in answer.out) is (variant == "crashed")
    facts = recorded("show", variant, "--json").json
    assert facts["events"][0]["event"] == "run.opened"


def test_the_word_comes_first_and_all_five_lines_follow_within_80_columns(recorded: CommandLine) -> None:
    lines = recorded("show", "deviated").out.splitlines()
    assert "DEVIATED" in lines[0]
    for label in ("execution", "hypothesis", "response", "clean-up", "coverage"):
        assert any(line.startswith(label) for line in lines)
    box = lines[: lines.index("")]
    assert all(len(line) <= 80 for line in box)


def test_a_criterion_says_worst_value_margin_and_number(recorded: CommandLine) -> None:
    lines = recorded("show", "deviated").out.splitlines()
    (row,) = [line for line in lines if line.startswith("✗ pay.availability above 99.9 %")]
    assert re.fullmatch(r"✗ pay\.availability above 99\.9 % +95\.6333 %  -4\.2667 points  3,000", row)
    assert lines[lines.index(row) + 1].startswith("  deviated; ")
    (held,) = [line for line in lines if line.startswith("✓ instances.ready at least 3 within 1 min")]
    assert held.split()[-1] == "60"


def test_criteria_fit_a_narrow_terminal_too(recorded: CommandLine) -> None:
    command = [str(BIN / "chaosdrill"), "show", "deviated"]
    with Terminal(command, recorded.environment, recorded.place, (50, 24)) as terminal:
        assert terminal.end() == 0
    lines = terminal.screen.all
    at = lines.index("✗ pay.availability above 99.9 % over fault and")
    assert lines[at + 1] == "recovery"


def test_colour_never_leaks_into_a_pipe(recorded: CommandLine) -> None:
    assert "\x1b" not in recorded("show", "deviated").out


@pytest.mark.parametrize("name", ["last", "loss-held", "2026-11-21T10-00"])
def test_a_run_is_found_by_any_part_of_its_name(name: str, recorded: CommandLine) -> None:
    assert recorded("show", name).code == 0


def test_an_ambiguous_name_is_refused_with_the_candidates(recorded: CommandLine) -> None:
    answer = recorded("show", "payments")
    assert (answer.code, len(answer.err.splitlines())) == (2, 1)
    assert "matches 6 runs" in answer.err


def test_a_run_is_found_by_its_path_from_anywhere(recorded: CommandLine, tmp_path: Path) -> None:
    (path,) = (recorded.place / "runs").glob("*-held")
    elsewhere = CommandLine(tmp_path, {**recorded.environment, "CHAOSDRILL_HOME": str(tmp_path / "nowhere")})
    assert elsewhere("show", str(path)).code == 0


def test_judging_again_exits_with_the_verdict_and_changes_nothing(recorded: CommandLine) -> None:
    (path,) = (recorded.place / "runs").glob("*-deviated")
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    answer = recorded("judge", "deviated", "--json")
    assert answer.code == 7
    assert len(answer.err.splitlines()) == 1
    assert answer.err.startswith("chaosdrill: DEVIATED: ")
    assert answer.json["altered"] == []
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before


def test_a_changed_file_is_named_when_a_run_is_judged_again(recorded: CommandLine) -> None:
    (path,) = (recorded.place / "runs").glob("*-held")
    rows = (path / "samples.csv").read_text().splitlines(keepends=True)
    (path / "samples.csv").write_text("".join(rows[:-50]))
    assert "changed since the run was sealed: samples.csv" in recorded("judge", "held").out
    assert recorded("judge", "held", "--json").json["altered"] == ["samples.csv"]


def test_another_verdict_than_the_recorded_one_is_said_aloud(recorded: CommandLine) -> None:
    (path,) = (recorded.place / "runs").glob("*-held")
    facts = json.loads((path / "run.json").read_text())
    facts["verdict"]["word"], facts["verdict"]["why"] = "deviated", "somebody wrote this"
    (path / "run.json").write_text(json.dumps(facts))
    assert "ANOTHER verdict: DEVIATED: somebody wrote this" in recorded("judge", "held").out
    assert recorded("judge", "held", "--json").json["same_as_recorded"] is False


def test_a_run_whose_runner_died_can_still_be_judged(recorded: CommandLine) -> None:
    answer = recorded("judge", "crashed", "--json")
    assert answer.code != 0
    assert answer.json["same_as_recorded"] is None


def test_reports_are_written_again_on_demand(recorded: CommandLine) -> None:
    answer = recorded("report", "held", "--format", "md,junit")
    assert answer.code == 0
    paths = [recorded.place / line for line in answer.out.splitlines()]
    assert {"junit.xml", "report.md"} <= {path.name for path in paths}
    assert all(path.stat().st_size for path in paths)


def test_an_unknown_report_is_bad_usage(recorded: CommandLine) -> None:
    answer = recorded("report", "held", "--format", "pdf")
    assert (answer.code, len(answer.err.splitlines())) == (2, 1)
    assert "html, md, json, junit" in answer.err


def test_facts_that_do_not_fit_on_the_disk_are_no_success(recorded: CommandLine) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [str(BIN / "chaosdrill"), "runs", "--json"],
            cwd=recorded.place,
            env=recorded.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "No space left" in done.stderr


def test_without_a_standard_error_the_exit_code_still_tells(recorded: CommandLine) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{BIN / 'chaosdrill'} show nowhere >&- 2>&-"],
        cwd=recorded.place,
        env=recorded.environment,
        check=False,
    )
    assert done.returncode == 2
