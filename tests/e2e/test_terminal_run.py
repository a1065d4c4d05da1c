"""A run in a real terminal, on a real sandbox: what a person sees, and what the keys do."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from commandline import BIN, CommandLine
from pseudoterminal import PATIENCE, Screen, Terminal

EXPERIMENT: dict[str, Any] = {
    "title": "Payments survive the loss of one instance",
    "description": "A test.",
    "configuration": {
        "shop_url": {"type": "env", "key": "CHAOSDRILL_SHOP_URL", "default": "http://127.0.0.1:9"},
        "seconds": {"type": "env", "key": "FAULT_SECONDS", "default": 30},
    },
    "method": [
        {
            "type": "action",
            "name": "fail-one-instance",
            "provider": {
                "type": "python",
                "module": "chaosdrill.actions",
                "func": "instance_failure",
                "arguments": {"target": "payment-api", "duration": "${seconds} s"},
            },
        }
    ],
    "rollbacks": [],
    "extensions": [
        {
            "name": "chaosdrill",
            "hypothesis": "Nobody notices.",
            "signals": {
                "pay": {"http": {"url": "${shop_url}/checkout", "rate": "50"}},
                "instances": {"target": "payment-api"},
            },
            "criteria": [
                {"signal": "pay.error_rate", "below": "5 %", "over": "phase"},
                {"signal": "instances.ready", "at-least": "3", "within": "1 min"},
            ],
            "abort-when": [{"signal": "pay.error_rate", "above": "90 %", "for": "30 s"}],
            "phases": {"baseline": "1 s", "recovery": "1 s"},
        }
    ],
}

#: Long enough for a second Ctrl-C while the run is being undone.
TAKE_A_MOMENT = {
    "type": "action",
    "name": "take-a-moment",
    "provider": {"type": "process", "path": "sleep", "arguments": "3"},
}


@pytest.fixture
def file(on_sandbox: CommandLine) -> str:
    path = on_sandbox.place / "experiment.json"
    path.write_text(json.dumps(EXPERIMENT))
    return str(path)


def _terminal(line: CommandLine, *arguments: str, size: tuple[int, int] = (80, 24), **more: str) -> Terminal:
    command = [str(BIN / "chaosdrill"), *arguments]
    return Terminal(command, line.environment, line.place, size, asked=more)


def _folder(line: CommandLine) -> Path:
    (folder,) = (line.place / "runs").iterdir()
    return folder


def _facts(line: CommandLine) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((_folder(line) / "run.json").read_text())
    return facts


def _is_whole(line: CommandLine) -> bool:
    facts, names = _facts(line), {path.name for path in _folder(line).iterdir()}
    written = {"journal.jsonl", "ledger.jsonl", "samples.csv", "engine.json", "report.html", "junit.xml"}
    return facts["state"] == "sealed" and written <= names


def _nothing_is_on(line: CommandLine) -> bool:
    facts = line("status", "--json").json
    return facts["runs"] == [] and facts["sandbox"]["faults"] == []


def _fault_is_on(screen: Screen) -> bool:
    return any(line.startswith("ON     instance failure on payment-api-") for line in screen.visible)


def test_a_run_is_shown_live_and_leaves_its_story_and_its_verdict(on_sandbox: CommandLine, file: str) -> None:
    with _terminal(on_sandbox, "run", "--var", "seconds=4", file) as terminal:
        terminal.until_text("baseline: watching the system as it is")
        terminal.until(_fault_is_on)
        picture = "\n".join(terminal.screen.visible)
        assert "stop   Ctrl-C here; elsewhere: chaosdrill abort " in picture
        assert "left of 4 s" in picture
        assert "pay.error_rate" in picture
        assert terminal.screen.cursor_hidden
        assert not terminal.echoes
        terminal.until_text("under    instances.ready")
        terminal.until_text("── HELD ──")
        assert terminal.echoes
        assert terminal.end() == 0
    screen = terminal.screen
    assert not screen.cursor_hidden
    assert screen.unknown == []
    text = "\n".join(screen.all)
    assert re.search(
        r"^\d\d:\d\d:\d\dZ T\+00:0\d  FAULT ON: instance failure on payment-api-\d for 4 s$", text, re.M
    )
    assert "FAULT OFF: instance failure" in text
    assert "stop   Ctrl-C" not in text
    assert "report.html" in text
    assert all(len(line) <= 80 for line in screen.all)


def test_the_verdict_of_a_short_run_is_still_on_a_small_screen(on_sandbox: CommandLine, file: str) -> None:
    with _terminal(on_sandbox, "run", "--var", "seconds=1", file) as terminal:
        terminal.end()
    word = _facts(on_sandbox)["verdict"]["word"]
    assert any(f"── {word} ──" in line for line in terminal.screen.visible)


def test_ctrl_c_undoes_and_ends_with_4_and_a_whole_folder(on_sandbox: CommandLine, file: str) -> None:
    with _terminal(on_sandbox, "run", file) as terminal:
        terminal.until(_fault_is_on)
        terminal.type("\x03")
        assert terminal.end() == 4
    assert any(
        line.startswith("chaosdrill: ABORTED: by somebody at the terminal: Ctrl-C")
        for line in terminal.screen.all
    )
    assert not terminal.screen.cursor_hidden
    assert _is_whole(on_sandbox)
    assert _nothing_is_on(on_sandbox)


def test_ctrl_c_again_says_that_it_is_undoing_and_changes_nothing(on_sandbox: CommandLine, file: str) -> None:
    Path(file).write_text(json.dumps({**EXPERIMENT, "rollbacks": [TAKE_A_MOMENT]}))
    with _terminal(on_sandbox, "run", file) as terminal:
        terminal.until(_fault_is_on)
        terminal.type("\x03")
        terminal.until_text("UNDOING")
        terminal.type("\x03")
        terminal.until_text("Ctrl-C: still undoing, and going on with it")
        terminal.type("\x03")
        assert terminal.end() == 4
    assert _is_whole(on_sandbox)
    assert _facts(on_sandbox)["verdict"]["cleanup"]["state"] == "verified"
    assert _nothing_is_on(on_sandbox)


def test_ctrl_c_before_anything_is_injected_ends_at_once(on_sandbox: CommandLine, file: str) -> None:
    block = {**EXPERIMENT["extensions"][0], "phases": {"baseline": "60 s", "recovery": "1 s"}}
    Path(file).write_text(json.dumps({**EXPERIMENT, "extensions": [block]}))
    with _terminal(on_sandbox, "run", file) as terminal:
        terminal.until_text("baseline: watching")
        terminal.type("\x03")
        assert terminal.end() == 4
    assert "intended" not in (_folder(on_sandbox) / "ledger.jsonl").read_text()


def test_abort_from_another_folder_stops_the_run_and_says_what_was_undone(
    on_sandbox: CommandLine, file: str, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    elsewhere = CommandLine(tmp_path / "elsewhere", on_sandbox.environment)
    with _terminal(on_sandbox, "run", file) as terminal:
        terminal.until(_fault_is_on)
        answer = elsewhere("abort", "--reason", "a customer has called")
        assert (answer.code, answer.err) == (0, "")
        assert terminal.end() == 4
    assert re.search(r"undone after .*: instance failure on payment-api-", answer.out)
    assert "ended: ABORTED" in answer.out
    assert "a customer has called" in _facts(on_sandbox)["verdict"]["why"]
    assert _nothing_is_on(on_sandbox)


def test_a_closed_terminal_aborts_and_everything_is_undone(on_sandbox: CommandLine, file: str) -> None:
    with _terminal(on_sandbox, "run", file) as terminal:
        terminal.until(_fault_is_on)
        terminal.hang_up()
        assert terminal.process.wait(PATIENCE) == 4
    assert _is_whole(on_sandbox)
    assert "SIGHUP" in _facts(on_sandbox)["verdict"]["why"]
    assert _nothing_is_on(on_sandbox)


def test_a_terminal_that_was_paused_does_not_hold_up_the_run(on_sandbox: CommandLine, file: str) -> None:
    with _terminal(on_sandbox, "run", "--var", "seconds=1", file) as terminal:
        terminal.until_text("baseline: watching")
        terminal.type("\x13")  # Ctrl-S
        deadline = time.monotonic() + PATIENCE
        while _facts(on_sandbox)["state"] != "sealed":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        terminal.type("\x11")  # Ctrl-Q
        assert terminal.end() == _facts(on_sandbox)["verdict"]["exit_code"]
    assert any(line.startswith("hypothesis  ") for line in terminal.screen.all)


def test_ctrl_z_does_not_put_the_guard_to_sleep(on_sandbox: CommandLine, file: str) -> None:
    with _terminal(on_sandbox, "run", file) as terminal:
        terminal.until(_fault_is_on)
        terminal.type("\x1a")
        terminal.type("\x03")  # which a stopped program would never hear of
        assert terminal.end() == 4
    assert _nothing_is_on(on_sandbox)


def test_a_reader_that_leaves_does_not_change_how_the_run_comes_out(
    on_sandbox: CommandLine, file: str
) -> None:
    with on_sandbox.start("run", "--var", "seconds=1", file) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(PATIENCE) == _facts(on_sandbox)["verdict"]["exit_code"]
        assert process.stderr is not None
        assert "pipe" not in process.stderr.read().lower()
    assert _is_whole(on_sandbox)


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"COLUMNS": "30"}])
def test_where_no_picture_can_be_drawn_there_are_lines(
    environment: dict[str, str], on_sandbox: CommandLine, file: str
) -> None:
    with _terminal(on_sandbox, "run", "--var", "seconds=1", file, **environment) as terminal:
        assert terminal.end() == _facts(on_sandbox)["verdict"]["exit_code"]
    assert "\x1b[2K" not in terminal.raw
    assert re.search(r"FAULT\s+ON:", terminal.raw)


def test_no_color_means_no_colour_and_loses_no_meaning(on_sandbox: CommandLine, file: str) -> None:
    with _terminal(on_sandbox, "run", "--var", "seconds=4", file, NO_COLOR="1") as terminal:
        terminal.until_text("✗ under    instances.ready")
        terminal.end()
    assert not re.search(r"\x1b\[(?:\d+;)*[349]\d(?:;\d+)*m", terminal.raw)


def test_a_narrow_terminal_is_enough_to_see_what_is_on_and_how_to_stop_it(
    on_sandbox: CommandLine, file: str
) -> None:
    with _terminal(on_sandbox, "run", "--var", "seconds=3", file, size=(60, 14)) as terminal:
        terminal.until(_fault_is_on)
        assert any("chaosdrill abort " in line for line in terminal.screen.visible)
        terminal.end()
    assert "stop   Ctrl-C" not in "\n".join(terminal.screen.all)
