"""The reference says what the program does: it is generated, up to date, and complete."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pages
import pytest

REFERENCE = pages.DOCS / "reference"
BIN = Path(sys.executable).parent
COMMANDS = [
    "",
    *("demo", "init", "validate", "preflight", "approve", "ready", "run", "status", "abort", "recover"),
    *("hold", "hold on", "hold off", "hold status"),
    *("runs", "show", "report", "judge", "answer", "schema"),
    *("sandbox", "sandbox up", "sandbox down", "sandbox status", "sandbox load", "sandbox fix"),
]
GROUPS = ("sandbox", "hold")


def say(*words: str) -> str:
    environment = {**os.environ, "COLUMNS": "80"}
    command = [str(BIN / "chaosdrill"), *words]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def test_the_reference_is_what_the_code_generates(tmp_path: Path) -> None:
    tool = pages.ROOT / "tools" / "reference"
    subprocess.run([sys.executable, str(tool), str(tmp_path)], check=True, timeout=60)
    fresh = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    kept = {path.name: path.read_text("utf-8") for path in REFERENCE.iterdir()}
    assert set(kept) == {*fresh, "run-folder.md"}
    stale = [name for name, text in fresh.items() if kept[name] != text]
    assert not stale, "not up to date; run: python tools/reference"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_stands_in_the_reference(command: str) -> None:
    told = say(*command.split(), "--help")
    page = (REFERENCE / "commands.md").read_text("utf-8")
    assert f"# {f'chaosdrill {command}'.strip()}\n\n```text\n{told.rstrip()}\n```" in page


def test_no_command_is_missing_here() -> None:
    below = [f"{group} {name}" for group in GROUPS for name in _listed(say(group, "--help"))]
    assert {*_listed(say("--help")), *below, ""} == set(COMMANDS)


def _listed(told: str) -> list[str]:
    return re.findall(r"^  (\w+) ", told.partition("Commands:")[2], flags=re.MULTILINE)


def test_the_readme_has_every_exit_code() -> None:
    from chaosdrill.errors import Exit

    for page in (pages.ROOT / "README.md", REFERENCE / "exit-codes.md"):
        found = re.findall(r"^\| `?(\d)`? \|", page.read_text("utf-8"), flags=re.MULTILINE)
        assert [int(code) for code in found] == [int(code) for code in Exit]
