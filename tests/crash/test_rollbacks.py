"""The rollbacks of a file whose engine or runner died: played once each, with its variables, or named."""

from __future__ import annotations

import json
from pathlib import Path

from scene import NewScene, Scene, proved


def _with_rollbacks(scene: Scene, *rollbacks: dict[str, object]) -> None:
    """Put these rollbacks into the scene's file; `mark` is a variable of it."""
    path = scene.line.place / "experiment.json"
    told = json.loads(path.read_text())
    told["configuration"] = {"mark": {"type": "env", "key": "NOBODY_SETS_THIS", "default": "none"}}
    told["rollbacks"] = list(rollbacks)
    path.write_text(json.dumps(told))


def _touch(name: str, arguments: str) -> dict[str, object]:
    provider = {"type": "process", "path": "touch", "arguments": arguments}
    return {"type": "action", "name": name, "provider": provider}


def test_the_watchdog_plays_rollbacks_with_variables_that_stand_in_no_file(
    scene: NewScene, tmp_path: Path
) -> None:
    killed = scene()
    killed.write()
    _with_rollbacks(killed, _touch("one", str(tmp_path / "${mark}")), _touch("one", str(tmp_path / "two")))
    killed.begin("--var", "mark=given")
    killed.await_fault()
    killed.kill("runner")
    killed.sealed()
    proved(killed)
    assert (tmp_path / "given").exists()
    assert (tmp_path / "two").exists()
    places = [e["place"] for e in killed.events() if e["event"] == "activity.ended"]
    assert places == [0, 1]


def test_a_dead_engines_rollback_that_fails_is_residue(scene: NewScene, tmp_path: Path) -> None:
    killed = scene()
    killed.write()
    broken = {"type": "python", "module": "os", "func": "rmdir", "arguments": {"path": "/nowhere/at/all"}}
    _with_rollbacks(killed, {"type": "action", "name": "put-it-back", "provider": broken})
    killed.begin()
    killed.await_fault()
    killed.kill("engine")
    code, _ = killed.finished()
    assert code == 6
    verdict = killed.facts()["verdict"]
    assert verdict["word"] == "RESIDUE LEFT"
    assert "rollback put-it-back failed" in verdict["why"]
    answer = killed.line("recover", str(killed.folder))
    assert (answer.code, "--clean" in answer.err) == (6, True)
    answer = killed.line("recover", str(killed.folder), "--clean", "there was nothing to put back")
    assert answer.code == 0
    assert not (killed.sandbox.directory / "run.lock").exists()


def test_a_file_that_was_changed_meanwhile_is_played_from_the_copy_in_the_folder(
    scene: NewScene, tmp_path: Path
) -> None:
    killed = scene()
    killed.write()
    _with_rollbacks(killed, _touch("one", str(tmp_path / "as-it-was")))
    killed.begin()
    killed.await_fault()
    _with_rollbacks(killed, _touch("one", str(tmp_path / "as-it-is-now")))
    killed.kill("runner")
    killed.sealed()
    proved(killed)
    assert (tmp_path / "as-it-was").exists()
    assert not (tmp_path / "as-it-is-now").exists()
