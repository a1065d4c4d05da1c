"""A run that waits for a team goes on when it says that it is ready, and at no other word."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from chaosdrill.clock import ManualClock, SystemClock
from chaosdrill.model.checklist import Check
from chaosdrill.model.policy import Notified
from chaosdrill.preflight.ready import Waiting, asked, wait
from chaosdrill.record import folder as folders
from chaosdrill.record import journal, running
from chaosdrill.record.folder import INBOX, JOURNAL, RunFolder
from chaosdrill.record.journal import Journal
from commandline import CommandLine

TEAM = Waiting(("alice", "Bob B."), 60.0)


class Waiter:
    """A run that waits in a thread of this process."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.asked = threading.Event()
        self.why = ""
        self._pool = ThreadPoolExecutor(1)
        self._log: Journal | None = None

    def begin(self, waiting: Waiting) -> Future[Check]:
        clock = SystemClock()
        log = self._log = Journal(self.folder.file(JOURNAL), clock)
        log.listen(lambda event: self.asked.set() if event["event"] == "ready.asked" else None)
        found = self._pool.submit(wait, waiting, self.folder, log, clock, lambda: self.why)
        assert self.asked.wait(10)
        return found

    def events(self) -> list[str]:
        return [event["event"] for event in journal.read(self.folder.file(JOURNAL))]

    def end(self) -> None:
        self.why = "the test is over"
        self._pool.shutdown(wait=True)
        if self._log is not None:
            self._log.close()


def open_folder(home: Path) -> RunFolder:
    name = folders.run_id("payments survive", SystemClock().now(), os.urandom(2).hex())
    return folders.create(home, name, {"id": name, "state": "open", "title": "payments survive"})


@pytest.fixture
def waiter(tmp_path: Path, chaosdrill: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Waiter]:
    monkeypatch.setenv("XDG_STATE_HOME", chaosdrill.environment["XDG_STATE_HOME"])
    # Elsewhere than the commands: whoever answers need not know where the run lies.
    folder = open_folder(tmp_path / "elsewhere")
    running.register(folder.path)
    waiter = Waiter(folder)
    yield waiter
    waiter.end()
    running.unregister(folder.path)


def test_a_run_goes_on_when_the_team_is_ready(chaosdrill: CommandLine, waiter: Waiter) -> None:
    found = waiter.begin(TEAM)
    said = chaosdrill("ready", waiter.folder.id[-4:], "--as", "alice", "--words", "all eyes on it")
    assert said.code == 0, said.err
    check = found.result(10)
    assert (check.ok, check.said) == (True, "alice is ready: all eyes on it")
    assert waiter.events() == ["ready.asked", "ready.answered"]
    assert waiter.folder.facts()["waiting"] is None


def test_the_run_says_the_very_command_to_type(chaosdrill: CommandLine, waiter: Waiter) -> None:
    found = waiter.begin(TEAM)
    (event,) = journal.read(waiter.folder.file(JOURNAL))
    assert event["names"] == ["alice", "Bob B."]
    assert waiter.folder.facts()["waiting"]["command"] == event["command"]
    assert chaosdrill(*event["command"].split()[1:]).code == 0
    assert found.result(10).ok


def test_somebody_who_is_not_ready_refuses_at_once(chaosdrill: CommandLine, waiter: Waiter) -> None:
    found = waiter.begin(TEAM)
    said = chaosdrill("ready", "last", "--as", "bob b.", "--not-ready", "--words", "an incident", "--json")
    assert said.json["ready"] is False
    check = found.result(10)
    assert (check.ok, check.said) == (False, "bob b. is not ready: an incident")
    assert check.next_step


def test_a_stranger_can_not_answer(chaosdrill: CommandLine, waiter: Waiter) -> None:
    found = waiter.begin(TEAM)
    said = chaosdrill("ready", "last", "--as", "mallory")
    assert said.code == 2
    assert "does not wait for 'mallory', but for alice or Bob B." in said.err
    assert not waiter.folder.file(INBOX).exists()
    # Not even past the command.
    journal.hand_in(waiter.folder.file(INBOX), "ready", by="mallory", ready=True)
    journal.hand_in(waiter.folder.file(INBOX), "ready", by="alice", ready="yes")
    check = found.result(10)
    assert (check.ok, check.said) == (False, "alice is not ready")


def test_anybody_can_answer_where_nobody_is_named(chaosdrill: CommandLine, waiter: Waiter) -> None:
    found = waiter.begin(Waiting((), 60.0))
    assert "--as NAME" in waiter.folder.facts()["waiting"]["command"]
    assert chaosdrill("ready", "last", "--as", "carol").code == 0
    assert found.result(10).said == "carol is ready"


@pytest.mark.parametrize("stop", ["abort", "hold"])
def test_an_abort_and_a_hold_end_the_wait(chaosdrill: CommandLine, waiter: Waiter, stop: str) -> None:
    found = waiter.begin(TEAM)
    if stop == "abort":
        journal.hand_in(waiter.folder.file(INBOX), "abort", by="dave", reason="a customer has called")
        assert found.result(10).said == "stopped by dave: a customer has called"
    else:
        waiter.why = "a hold is on, by dave: a customer has called"
        assert found.result(10).said == waiter.why
    assert not found.result(10).ok


def test_nobody_waits_for_an_answer_twice(chaosdrill: CommandLine, waiter: Waiter) -> None:
    assert "no run waits for an answer" in chaosdrill("ready", "last", "--as", "alice").err
    said = chaosdrill("ready", waiter.folder.id, "--as", "alice")
    assert said.code == 2
    assert "does not wait for an answer" in said.err


def test_silence_refuses_when_the_time_is_over(tmp_path: Path) -> None:
    folder, clock = open_folder(tmp_path), ManualClock()
    with closing(Journal(folder.file(JOURNAL), clock)) as log:
        check = wait(Waiting(("alice",), 900.0), folder, log, clock, never)
    assert (check.ok, check.said) == (False, "alice did not answer within 15 min")
    assert "chaosdrill ready RUN --as alice" in check.next_step
    assert check.took == pytest.approx(900, abs=1)
    assert folder.facts()["waiting"] is None


def test_an_answer_that_was_handed_in_before_the_question_counts(tmp_path: Path) -> None:
    folder, clock = open_folder(tmp_path), ManualClock()
    journal.hand_in(folder.file(INBOX), "ready", by="alice", ready=True)
    with closing(Journal(folder.file(JOURNAL), clock)) as log:
        check = wait(TEAM, folder, log, clock, never)
    assert (check.ok, check.took) == (True, 0.0)


def test_an_unannounced_drill_asks_the_guardians_and_never_the_responders() -> None:
    notified = Notified(responders=("alice",), guardians=("gina",), answer_within=60.0)
    assert asked(notified, announced=True) == Waiting(("alice",), 60.0)
    assert asked(notified, announced=False) == Waiting(("gina",), 60.0)


def never() -> str:
    return ""
