"""What a command loads before it does anything; speed itself is measured in benchmarks/."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from commandline import BIN

HEAVY = ("pydantic", "rich", "jinja2", "requests", "urllib3", "http.client", "ssl", "asyncio")


def _loaded(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_the_version_costs_click_and_nothing_else() -> None:
    loaded = _loaded("import chaosdrill.cli.main")
    assert "click" in loaded
    assert not loaded & {*HEAVY, "yaml", "psutil", "traceback", "difflib"}


def test_a_run_waits_for_nothing_heavy_before_its_engine_is_asked() -> None:
    rooms = "import chaosdrill.app, chaosdrill.pipeline, chaosdrill.cli.console, chaosdrill.cli.interrupts"
    assert not _loaded(rooms) & {*HEAVY, "chaosdrill.report.document", "chaosdrill.verdict"}


@pytest.mark.parametrize("room", ["sandbox.client", "faults.sandbox_network", "record.ledger", "ports"])
def test_what_undoes_a_fault_loads_only_the_standard_library(room: str) -> None:
    loaded = _loaded(f"import chaosdrill.{room}")
    assert not loaded & {*HEAVY[:-1], "click", "yaml", "chaoslib"}


def test_a_run_that_makes_no_sense_leaves_no_process_behind() -> None:
    mark = f"CHAOSDRILL_MARK={uuid.uuid4()}"
    name, _, value = mark.partition("=")
    command = [str(BIN / "chaosdrill"), "run"]
    done = subprocess.run(
        command, env={**os.environ, name: value}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "FILE" in done.stderr) == (2, True)
    assert not [path.parent.name for path in Path("/proc").glob("[0-9]*/environ") if mark in _said(path)]


def _said(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""  # It has ended meanwhile, or is somebody else's.


def test_a_plain_file_is_run_without_what_only_policies_signals_and_pages_need(tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text("title: Plain\ndescription: x\nmethod: []\n", "utf-8")
    command = [sys.executable, "-X", "importtime", "-m", "chaosdrill", "run", "--report", "md,json,junit"]
    done = subprocess.run(
        [*command, "plain.yaml"],
        cwd=tmp_path,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        check=False,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert done.returncode == 5, done.stderr[-500:]
    assert "chaosdrill.pipeline" in loaded
    assert not loaded & {
        "pydantic",
        "rich",
        "jinja2",
        "requests",
        "urllib3",
        "asyncio",
        "apprise",
        "holidays",
    }
