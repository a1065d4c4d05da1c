"""What a command loads before it does anything; speed itself is measured in benchmarks/."""

from __future__ import annotations

import subprocess
import sys

import pytest

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


def test_a_run_that_makes_no_sense_leaves_no_engine_behind() -> None:
    code = (
        "import sys; sys.argv = ['chaosdrill', 'run'];"
        "import chaosdrill.__main__ as m, chaosdrill.ctk.process as p\n"
        "try:\n    m.main()\nexcept SystemExit as end:\n    code = end.code\n"
        "print(code, p._spare.code is not None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "True"]
