"""The first thing that anybody types: in an empty folder, with nothing prepared."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from commandline import BIN, CommandLine
from pseudoterminal import Terminal


@pytest.fixture
def newcomer(chaosdrill: CommandLine) -> Iterator[CommandLine]:
    """The command line in an empty folder, with no sandbox up and a place for one."""
    # Short, because a Unix socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="cd-") as place:
        (Path(place) / "empty").mkdir()
        state = {"XDG_STATE_HOME": place, "CHAOSDRILL_SANDBOX_DIR": f"{place}/sb"}
        line = CommandLine(Path(place) / "empty", chaosdrill.environment | state)
        yield line
        line("sandbox", "down")


def _demo(line: CommandLine, *arguments: str) -> Terminal:
    return Terminal([str(BIN / "chaosdrill"), "demo", *arguments], line.environment, line.place)


def test_the_demo_ends_with_a_held_verdict_and_leaves_the_sandbox_down(newcomer: CommandLine) -> None:
    # With fewer seconds of fault there would be too few samples to tell 99.9 %.
    with _demo(newcomer, "--seconds", "8") as terminal:
        terminal.until_text("The sandbox, a small shop, is up")
        terminal.until_text("stop   Ctrl-C here; elsewhere: chaosdrill abort ")
        code = terminal.end()
    screen = terminal.screen
    assert code == 0, "\n".join(screen.all)
    assert any("── HELD ──" in line for line in screen.visible)
    assert any(line.startswith("report  runs/") and line.endswith("report.html") for line in screen.visible)
    assert any("The sandbox is down again" in line for line in screen.visible)
    (folder,) = (newcomer.place / "runs").iterdir()
    assert (folder / "report.html").stat().st_size
    nothing = {"hold": {"on": False}, "runs": [], "locks": [], "sandbox": {"up": False, "faults": []}}
    assert newcomer("status", "--json").json == nothing


def test_ctrl_c_in_the_demo_leaves_the_sandbox_down_too(newcomer: CommandLine) -> None:
    with _demo(newcomer, "--seconds", "8") as terminal:
        terminal.until_text("baseline: watching")
        terminal.type("\x03")
        assert terminal.end() == 4
    assert any("The sandbox is down again" in line for line in terminal.screen.all)
    assert newcomer("status", "--json").json["sandbox"]["up"] is False


def test_a_sandbox_that_was_up_before_the_demo_is_up_after_it(newcomer: CommandLine) -> None:
    newcomer("sandbox", "up")
    with _demo(newcomer) as terminal:
        terminal.until_text("The sandbox is up already")
        terminal.until_text("baseline: watching")
        terminal.type("\x03")
        assert terminal.end() == 4
    assert newcomer("status", "--json").json["sandbox"]["up"] is True
