"""What is left on stays named, and the target locked, until it was undone or a person says that it was."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gap_players import Bench

from chaosdrill.errors import Exit
from commandline import BIN


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.close()


@pytest.fixture
def stuck(bench: Bench) -> Path:
    """A file whose rollback can't undo before somebody puts something else right."""
    script = f"test -e {bench.place}/repaired && rm -f {bench.fault}"
    provider = {"type": "process", "path": "sh", "arguments": ["-c", script]}
    return bench.file(bench.on, rollbacks=[{"type": "action", "name": "undo", "provider": provider}])


def recover(bench: Bench, *arguments: str) -> tuple[int, dict[str, Any], str]:
    command = [str(BIN / "chaosdrill"), "--home", str(bench.place), "recover", "--json", *arguments]
    done = subprocess.run(
        command,
        cwd=bench.place,
        env=bench.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, json.loads(done.stdout), done.stderr


def test_a_rollback_that_failed_is_played_again_until_it_succeeds(bench: Bench, stuck: Path) -> None:
    first = bench.drill(stuck)
    assert (first.code, first.left_on) == (Exit.RESIDUE, True)
    second = bench.drill(stuck)
    assert second.code == Exit.REFUSED
    assert f"chaosdrill recover {first.answer['run']}" in second.err
    code, found, said = recover(bench)
    assert (code, bench.fault.exists()) == (Exit.RESIDUE, True), found
    assert "rollback undo failed" in found["runs"][0]["residue"][0]
    assert "--clean" in said
    (bench.place / "repaired").touch()
    code, found, _ = recover(bench)
    assert (code, bench.fault.exists()) == (0, False)
    assert found["runs"][0]["played"] == ["undo"]
    assert bench.drill(stuck).code == Exit.INCONCLUSIVE, "the file has no hypothesis, and may run again"


def test_what_was_put_right_by_hand_is_recorded_with_who_says_so(bench: Bench, stuck: Path) -> None:
    first = bench.drill(stuck)
    bench.fault.unlink()
    code, _, _ = recover(bench, first.answer["run"], "--clean", "removed it by hand")
    assert code == 0
    recovered = json.loads((bench.place / "runs" / first.answer["run"] / "run.json").read_text())["recovered"]
    assert recovered["clean"] == "removed it by hand"
    assert "(recover)" in recovered["by"]
    assert recovered["residue"]
    (bench.place / "repaired").touch()
    assert bench.drill(stuck).code == Exit.INCONCLUSIVE
