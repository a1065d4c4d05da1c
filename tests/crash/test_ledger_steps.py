"""SIGKILL between each write of the ledger and the act that it stands for: nothing stays on, whoever dies."""

from __future__ import annotations

import pytest
from scene import EVERYBODY, NewScene, Scene, proved

#: Where the engine stands still on its way in, and on its way out.
BEGINNING = ("ledger.intending", "ledger.intended", "ledger.activating", "ledger.active")
ENDING = ("fault.stopping", "fault.stopped", "ledger.undoing", "ledger.undone")
VICTIMS = (("runner",), ("engine",), ("group",), ("watchdog",), ("runner", "watchdog"))


def _kill_there(scene: Scene, victims: tuple[str, ...]) -> None:
    scene.start()
    if scene.step in ENDING:
        scene.interrupt()
    assert scene.reach() == scene.processes()["engine"]
    scene.kill(*victims)
    if "runner" in victims and "watchdog" not in victims:
        # The engine stands where it stood: it is the watchdog that must undo.
        scene.clean()
    scene.go()


@pytest.mark.parametrize("victims", VICTIMS, ids="+".join)
@pytest.mark.parametrize("step", (*BEGINNING, *ENDING))
def test_whoever_is_killed_at_any_step_of_the_ledger_nothing_stays_on(
    scene: NewScene, step: str, victims: tuple[str, ...]
) -> None:
    killed = scene(step)
    _kill_there(killed, victims)
    killed.clean()
    code, _ = killed.finished()
    if "runner" not in victims and "group" not in victims:
        assert code == 4
    if "runner" in victims and "watchdog" in victims:
        killed.recover()
    killed.sealed()
    proved(killed)
    assert (killed.line.place / "rolled-back").exists()


@pytest.mark.parametrize("step", ["ledger.intended", "ledger.active", "fault.stopped"])
def test_when_everybody_is_killed_recover_undoes_it_from_the_folder(scene: NewScene, step: str) -> None:
    killed = scene(step)
    _kill_there(killed, EVERYBODY)
    again = killed.line("--home", str(killed.line.place / "again"), "run", "experiment.json")
    assert (again.code, "recover" in again.err) == (3, True)
    killed.recover()
    proved(killed)
    assert (killed.line.place / "rolled-back").exists()


@pytest.mark.parametrize("step", ["ledger.fencing", "ledger.fenced", "watchdog.undoing", "watchdog.undone"])
def test_a_watchdog_that_is_killed_at_its_work_leaves_it_to_recover(scene: NewScene, step: str) -> None:
    killed = scene(step)
    killed.start()
    killed.await_fault()
    pids = killed.processes()
    killed.kill("runner")
    assert killed.reach() == pids["watchdog"]
    killed.kill("watchdog")
    killed.go()
    killed.recover()
    proved(killed)
