"""A forgiving stream never raises, whatever becomes of its place; facts are never lost unnoticed."""

from __future__ import annotations

import io
import os
import pty
import threading
from pathlib import Path

import pytest

from chaosdrill.cli.screen.stream import Stream


def test_a_reader_that_has_gone_silences_the_stream_and_raises_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as file:
        out = Stream(file)
        out.line("nobody reads this")
        assert out.dead
        # Other code that still prints, and Python's own flush at the end, must not fail either.
        file.write("nor this")
        file.flush()


def test_a_terminal_that_was_closed_silences_the_stream() -> None:
    master, slave = pty.openpty()
    os.close(master)
    with os.fdopen(slave, "w") as file:
        out = Stream(file)
        out.line("the window has gone")
        assert out.dead


def test_a_full_disk_silences_the_stream() -> None:
    with Path("/dev/full").open("w") as file:
        out = Stream(file)
        out.line("no room")
        assert out.dead


def test_a_standard_output_that_was_never_open_is_no_error() -> None:
    out = Stream(None)
    out.line("to nobody")
    assert out.dead
    assert not out.terminal


def test_facts_that_could_not_be_written_are_an_error() -> None:
    with Path("/dev/full").open("w") as file, pytest.raises(OSError, match="standard output"):
        Stream(file, forgiving=False).line("facts")
    with pytest.raises(OSError, match="standard output"):
        Stream(None, forgiving=False).line("facts")


def test_a_stream_without_a_descriptor_is_written_to_as_it_is() -> None:
    file = io.StringIO()
    Stream(file).line("in memory")
    assert file.getvalue() == "in memory\n"


def test_what_an_old_encoding_cannot_say_is_replaced_not_fatal(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w", encoding="latin-1") as file:
        Stream(file).line("größer ✓")
    assert path.read_text("latin-1") == "größer ?\n"


def test_a_pipe_that_somebody_made_non_blocking_loses_nothing() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    text = "x" * 300_000  # more than a pipe holds

    def write() -> None:
        with os.fdopen(writing, "w") as file:
            Stream(file).write(text)

    writer = threading.Thread(target=write)
    writer.start()
    taken = bytearray()
    while chunk := os.read(reading, 65536):
        taken += chunk
    os.close(reading)
    writer.join()
    assert taken.decode() == text


@pytest.mark.parametrize(
    ("environment", "colour"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({}, False),
    ],
)
def test_colour_is_for_terminals_that_have_it_and_people_who_want_it(
    environment: dict[str, str], colour: bool
) -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as file:
        out = Stream(file, environment)
        assert out.colour is colour
        assert out.paint("held", fg="green") == ("\x1b[32mheld\x1b[0m" if colour else "held")
    os.close(master)
