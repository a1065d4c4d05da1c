"""What the pages say works: links lead somewhere, files are valid, commands run and print what is shown."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import dropwhile
from pathlib import Path

import click
import pages
import pytest
import yaml

from chaosdrill.cli.main import cli

PAGES = [str(page.relative_to(pages.ROOT)) for page in pages.pages()]
#: Programs that the pages call, besides the ones that are looked at.
OTHERS = {
    "cd",
    "curl",
    "echo",
    "export",
    "for",
    "do",
    "done",
    "grep",
    "kill",
    "mkdir",
    "python3",
    "sort",
    "uniq",
}
MARK = "::step::"

QUICK = """\
title: Payments survive the loss of one instance
description: What the commands on the pages look at.
configuration:
  shop_url: {type: env, key: CHAOSDRILL_SHOP_URL, default: "http://127.0.0.1:8080"}
method:
  - type: action
    name: fail-one-instance
    provider:
      type: python
      module: chaosdrill.actions
      func: instance_failure
      arguments: {target: payment-api, duration: 1 s}
extensions:
  - name: chaosdrill
    signals: {pay: {http: {url: "${shop_url}/checkout", rate: 20}}}
    criteria: [{signal: pay.availability, above: 10 %}]
    phases: {baseline: 1 s, recovery: 1 s}
"""
FRAME = "title: An example\ndescription: A part of one, in the least that is a file.\n"


# ---- links


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    page = pages.ROOT / name
    broken = []
    for link in pages.links(page):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if not target.exists() or (anchor and anchor not in pages.anchors(target)):
            broken.append(link)
    assert not broken


def test_every_page_is_reached_from_the_map() -> None:
    index = pages.DOCS / "index.md"
    reached = {(index.parent / link.partition("#")[0]).resolve() for link in pages.links(index)}
    assert {page for page in pages.DOCS.rglob("*.md") if page != index} <= reached


def test_pictures_are_small_enough_to_load_anywhere() -> None:
    for picture in (pages.DOCS / "images").iterdir():
        assert picture.stat().st_size < 300_000, picture.name


# ---- files


def saved_name(block: pages.Block) -> str:
    first = block.lines[0].removeprefix("# ")
    return first if first.endswith(".yaml") else ""


def as_experiment(block: pages.Block) -> str:
    if block.kind == "method":
        return FRAME + "method:\n" + indented(block.text, "  ")
    if block.kind == "block":
        return FRAME + "method: []\nextensions:\n  - name: chaosdrill\n" + indented(block.text, "    ")
    return block.text


def indented(text: str, by: str) -> str:
    return "".join(f"{by}{line}\n" for line in text.splitlines())


def test_every_experiment_on_a_page_is_valid(tmp_path: Path) -> None:
    places = {}
    for page in pages.pages():
        for block in pages.blocks(page, "yaml"):
            if block.kind == "other":
                assert yaml.safe_load(block.text), block.place
                continue
            name = f"{len(places)}/chaosdrill.yaml" if block.kind == "policy" else f"{len(places)}.yaml"
            file = tmp_path / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(as_experiment(block), "utf-8")
            places[str(file)] = block.place
    command = [str(Path(sys.executable).parent / "chaosdrill"), "validate", *places]
    found = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    told = found.stderr
    for file, place in places.items():
        told = told.replace(file, place)
    assert found.returncode == 0, told


# ---- commands


def programs(command: str) -> Iterator[list[str]]:
    """Yield each program of a line of shell with its words."""
    known = re.sub(r"'[^']*'|\$\([^)]*\)", "WORD", command)
    for part in re.split(r"&&|\|\||[|;&]", re.sub(r"\d?>(&\d|\s*\S+)", "", known)):
        words = list(dropwhile(re.compile(r"\w+=").match, shlex.split(part)))
        if words:
            yield words


@pytest.mark.parametrize("name", PAGES)
def test_every_command_on_a_page_exists(name: str) -> None:
    for block in [*pages.blocks(pages.ROOT / name, "console"), *shell_blocks(name)]:
        for command, _ in block.steps():
            for words in programs(command):
                check_words(words, f"{block.place}: {command}")


def shell_blocks(name: str) -> Iterator[pages.Block]:
    """Yield the commands of a page that stand in scripts and workflows."""
    page = pages.ROOT / name
    for block in [*pages.blocks(page, "sh"), *pages.blocks(page, "yaml")]:
        found = [m[1] for line in block.lines if (m := re.match(r"^(?:.*\brun: )?(chaosdrill .*)$", line))]
        if found:
            yield pages.Block(page, block.line, "console", "", tuple(f"$ {line}" for line in found))


def check_words(words: list[str], where: str) -> None:
    program = Path(words[0]).name
    if program == "make":
        targets = re.findall(r"^([\w-]+):", (pages.ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE)
        assert set(words[1:]) <= set(targets), where
    elif program == "chaosdrill":
        try:
            check_arguments(cli, words[1:], None)
        except click.exceptions.Exit:
            pass  # --help and --version
        except click.ClickException as error:
            raise AssertionError(f"{where}: {error.format_message()}") from None
    else:
        assert program in OTHERS or program == "pip", where


def check_arguments(command: click.Command, arguments: list[str], parent: click.Context | None) -> None:
    """Raise what click raises for an unknown command, option or argument; nothing is called."""
    with command.make_context(command.name, arguments, parent=parent) as context:
        if isinstance(command, click.Group):
            rest = [*context._protected_args, *context.args]
            name, found, further = command.resolve_command(context, rest)
            assert found is not None, name
            check_arguments(found, further, context)


# ---- what they print


@pytest.fixture(scope="module")
def played(sandbox_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment with a sandbox, and a folder with one run that held, for the commands that read one."""
    home = tmp_path_factory.mktemp("played")
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("CHAOSDRILL_", "COLUMNS"))},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_STATE_HOME": str(home / "state"),
        "CHAOSDRILL_SANDBOX_DIR": str(sandbox_directory),
        "HOME": str(home),
    }
    (home / "quick.yaml").write_text(QUICK, "utf-8")
    command = ["chaosdrill", "--home", str(home), "run", "quick.yaml"]
    found = subprocess.run(
        command, cwd=home, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return environment


@pytest.mark.parametrize("name", [n for n in PAGES if "```console\n" in (pages.ROOT / n).read_text("utf-8")])
def test_commands_do_and_print_what_is_shown(name: str, played: dict[str, str], tmp_path: Path) -> None:
    page = pages.ROOT / name
    shutil.copytree(pages.ROOT / "experiments", tmp_path / "experiments")
    shutil.copytree(Path(played["HOME"]) / "runs", tmp_path / "runs")
    for block in pages.blocks(page, "yaml"):
        if saved_name(block):
            (tmp_path / saved_name(block)).write_text(block.text, "utf-8")
    steps = [step for block in pages.blocks(page, "console") if not block.kind for step in block.steps()]
    script = "".join(f"{c}\n__code=$?; echo {MARK}$__code; (exit $__code)\n" for c, _ in steps)
    found = subprocess.run(
        ["bash", "-c", f"exec 2>&1\n{script}"],
        cwd=tmp_path,
        env=played,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    parts = re.split(rf"{MARK}(\d+)\n", found.stdout)
    for number, (command, shown) in enumerate(steps):
        printed, code = parts[2 * number], parts[2 * number + 1]
        if shown:
            assert matches(shown, printed), f"$ {command}\n{printed}"
        asked_for = number + 1 < len(steps) and steps[number + 1][0] == "echo $?"
        assert code == "0" or asked_for, f"$ {command} ended with {code}\n{printed}"


def matches(shown: list[str], printed: str) -> bool:
    """Return whether the output is as shown, but for numbers; `...` is any lines, or the rest of one."""
    pattern = ""
    for line in shown:
        rest = re.escape(plain(line)).replace(r"\.\.\.", ".*")
        pattern += "(?:.*\n)*?" if line == "..." else f"{rest}\n"
    lines = "".join(f"{plain(line)}\n" for line in printed.splitlines())
    return re.fullmatch(pattern, lines) is not None


def plain(line: str) -> str:
    return re.sub(r"\d[\d.:]*", "0", " ".join(line.split()))


# ---- the record of a run


def test_the_page_on_the_run_folder_names_all_that_is_in_one(played: dict[str, str]) -> None:
    (folder,) = (Path(played["HOME"]) / "runs").iterdir()
    page = (pages.DOCS / "reference" / "run-folder.md").read_text("utf-8")
    known = set(re.findall(r"`([^`]+)`", page))
    files = {path.name for path in folder.iterdir() if not path.name.startswith("chart-")}
    assert files <= known
    assert set(keys(folder / "run.json", whole=True)) <= known
    assert set(keys(folder / "journal.jsonl")) <= known
    assert set(keys(folder / "ledger.jsonl")) <= known


def keys(path: Path, whole: bool = False) -> Iterator[str]:
    """Yield the keys of the objects in a file, and the events and states that they name."""
    text = path.read_text("utf-8")
    for facts in map(yaml.safe_load, [text] if whole else text.splitlines()):
        yield from facts
        yield from (facts[name] for name in ("event", "state") if name in facts)


def test_every_event_that_the_code_writes_is_on_the_page() -> None:
    page = (pages.DOCS / "reference" / "run-folder.md").read_text("utf-8")
    written = re.compile(r"(?:(?:write|tell)\((?:run, )?|\"event\": )\s*\"([a-z]+\.[a-z]+)\"")
    source = (pages.ROOT / "src" / "chaosdrill").rglob("*.py")
    found = {event for path in source for event in written.findall(path.read_text("utf-8"))}
    internal = {"engine.gone"}  # from the engine's reader to the runner; never written
    assert {event for event in found - internal if f"`{event}`" not in page} == set()


def test_the_page_on_reports_names_every_section_of_one(played: dict[str, str]) -> None:
    (report,) = (Path(played["HOME"]) / "runs").glob("*/report.md")
    page = (pages.DOCS / "how-to" / "read-a-report.md").read_text("utf-8")
    verdict, *sections = re.findall(r"^## (.*)$", report.read_text("utf-8"), flags=re.MULTILINE)
    assert "Held" in verdict
    assert [section for section in sections if f"| {section} |" not in page] == []
