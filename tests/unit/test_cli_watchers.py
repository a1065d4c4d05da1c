"""Whoever watches a run shows it as it is, and can't hold it up or break it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from chaosdrill.cli import shipped
from chaosdrill.cli.screen.lines import Lines
from chaosdrill.cli.screen.live import LiveView
from chaosdrill.cli.screen.onlooker import Onlooker
from chaosdrill.cli.screen.stream import Stream
from chaosdrill.clock import iso
from chaosdrill.execute.runner import Snapshot
from chaosdrill.execute.sampling import Reading
from chaosdrill.model.checklist import Binding
from chaosdrill.model.experiment import ChaosdrillBlock
from chaosdrill.model.policy import SANDBOX
from chaosdrill.pipeline import Draft, Plan, Request
from chaosdrill.plan.experiment import read_experiment
from chaosdrill.record.folder import RunFolder
from chaosdrill.targets.sandbox import SandboxTarget
from pseudoterminal import Screen

START = 1_795_255_331.0  # 2026-11-21T10:02:11Z
BLOCK = ChaosdrillBlock.model_validate(
    {
        "signals": {"pay": {"http": {"url": "http://127.0.0.1:9"}}},
        "criteria": [{"signal": "pay.p95_latency", "below": "500 ms", "over": "10 s"}],
    }
)


class Scripted:
    """A run that always says the same, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)

    def snapshot(self) -> Snapshot:
        self.asked.release()
        reading = Reading("pay.p95_latency", 0.612, 250, (0.012, 0.612))
        return Snapshot(START + 20, "fault", START + 10, 30.0, "action fail-one", readings=(reading,))


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    (tmp_path / "2026-11-21T10-02-11Z-payments-a1b2").mkdir()
    found = RunFolder(tmp_path / "2026-11-21T10-02-11Z-payments-a1b2")
    found.write_facts({"started": iso(START)})
    return found


@pytest.fixture
def plan() -> Plan:
    file = read_experiment(shipped.experiments() / shipped.DEMO)
    request = Request(source=file.path, home=file.path.parent, actor="ada")
    return Plan(
        draft=Draft(request, file, "sandbox", SANDBOX, {}, ""),
        title=file.title,
        block=BLOCK,
        configuration={},
        toolkit={},
        planned=(),
        target=SandboxTarget(),
        orders={},
        bind=lambda salt: Binding(salt, {}),
    )


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as file:
        yield reading, file
    os.close(reading)


def _note(text: str, after: float = 5.0) -> dict[str, object]:
    return {"t": iso(START + after), "event": "note", "text": text}


def _text(reading: int, file: TextIO) -> str:
    file.flush()
    os.set_blocking(reading, False)
    return os.read(reading, 1 << 20).decode()


def test_lines_say_when_what_happened_one_line_each(
    pipe: tuple[int, TextIO], plan: Plan, folder: RunFolder
) -> None:
    watcher = Lines(Stream(pipe[1]))
    watcher.planned(plan)
    watcher.opened(folder, Scripted())
    watcher.heard(_note("a word that " + "goes on and " * 30))
    watcher.heard({"t": iso(START + 6), "event": "engine.started", "pid": 1})
    watcher.closed()
    lines = _text(*pipe).splitlines()
    assert lines[0] == "10:02:11Z T+00:00  Payments survive the loss of one instance (sandbox)"
    assert lines[1].endswith("stop it: chaosdrill abort a1b2")
    assert lines[2].startswith("10:02:16Z T+00:05  a word that goes on")
    assert len(lines) == 3


def test_lines_show_the_signals_and_which_is_on_the_wrong_side(
    pipe: tuple[int, TextIO], plan: Plan, folder: RunFolder
) -> None:
    class Often(Lines):
        every = 0.01

    watcher, run = Often(Stream(pipe[1])), Scripted()
    watcher.planned(plan)
    watcher.opened(folder, run)
    run.asked.acquire()
    run.asked.acquire()
    watcher.closed()
    expected = "10:02:31Z T+00:20  fault: pay.p95_latency 612 ms (over: below 500 ms)"
    assert expected in _text(*pipe).splitlines()


@pytest.mark.parametrize("kind", [Lines, LiveView])
def test_a_place_that_takes_no_more_text_never_holds_up_the_run(
    kind: type[Onlooker], pipe: tuple[int, TextIO], plan: Plan, folder: RunFolder
) -> None:
    watcher = kind(Stream(pipe[1]))
    watcher.planned(plan)
    watcher.opened(folder, Scripted())
    for number in range(3000):  # far more than a pipe holds that nobody reads
        watcher.heard(_note(f"note {number} " + "x" * 80))
    watcher.closed()
    # It comes here at all: the run handed over everything and went on.
    os.set_blocking(pipe[0], False)
    while True:
        try:
            if not os.read(pipe[0], 1 << 16):
                break
        except BlockingIOError:
            if watcher.finished:
                break


@pytest.mark.parametrize("kind", [Lines, LiveView])
def test_a_reader_that_has_gone_does_not_disturb_the_run(
    kind: type[Onlooker], plan: Plan, folder: RunFolder
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as file:
        watcher = kind(Stream(file))
        watcher.planned(plan)
        watcher.opened(folder, Scripted())
        watcher.heard(_note("to nobody"))
        watcher.closed()
        assert watcher.finished
        assert watcher.out.dead


def test_a_view_that_breaks_says_so_in_a_line_and_lets_the_run_go_on(
    pipe: tuple[int, TextIO], plan: Plan, folder: RunFolder
) -> None:
    class Broken(Lines):
        def tell(self, event: dict[str, object]) -> None:
            raise KeyError("a mistake")

    watcher = Broken(Stream(pipe[1]))
    watcher.planned(plan)
    watcher.opened(folder, Scripted())
    watcher.heard(_note("one"))
    watcher.heard(_note("two"))
    watcher.closed()
    said = _text(*pipe).splitlines()
    assert said[-1] == "the view broke (KeyError: 'a mistake'); the run goes on"


def test_a_run_that_never_opened_can_be_closed(pipe: tuple[int, TextIO], plan: Plan) -> None:
    for watcher in (Lines(Stream(pipe[1])), LiveView(Stream(pipe[1]))):
        watcher.planned(plan)
        watcher.closed()
    assert _nothing(pipe[0])


def _nothing(reading: int) -> bool:
    os.set_blocking(reading, False)
    try:
        return not os.read(reading, 1)
    except BlockingIOError:
        return True


def test_the_live_view_leaves_the_lines_and_the_cursor_and_no_picture(plan: Plan, folder: RunFolder) -> None:
    master, slave = pty.openpty()
    screen, taken = Screen(80, 24), bytearray()

    def read() -> None:
        try:
            while data := os.read(master, 65536):
                taken.extend(data)
        except OSError:  # how Linux ends a pseudo-terminal
            return

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(slave, "w") as file:
        watcher, run = LiveView(Stream(file, {"TERM": "xterm"})), Scripted()
        watcher.planned(plan)
        watcher.opened(folder, run)
        watcher.heard(_note("something happened"))
        for _ in range(3):
            run.asked.acquire()
        watcher.closed()
    reader.join()
    os.close(master)
    screen.feed(taken.decode())
    assert "stop   " in taken.decode()
    assert [line for line in screen.all if line] == ["10:02:16Z T+00:05  something happened"]
    assert not screen.cursor_hidden
    assert screen.unknown == []


def test_only_the_live_view_imports_rich() -> None:
    code = (
        "import sys; from chaosdrill.cli import console, runs, status, start, files\n"
        "console.watcher(plain=True, quiet=False); console.watcher(plain=False, quiet=True)\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'rich', 'jinja2', 'scipy'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_emergency_commands_import_nothing_heavy() -> None:
    code = (
        "import sys; from chaosdrill.cli import status\n"
        "heavy = {'rich', 'pydantic', 'yaml', 'chaoslib'}\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
