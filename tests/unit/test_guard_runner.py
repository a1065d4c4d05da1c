"""Everything that must stop a run stops it, and in the right order: undo first, words afterwards."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from chaosdrill.clock import SystemClock
from chaosdrill.errors import Refused
from chaosdrill.execute.runner import Parts, Runner
from chaosdrill.execute.sampling import Sampling
from chaosdrill.model.checklist import Binding, Clearance
from chaosdrill.model.experiment import ChaosdrillBlock
from chaosdrill.model.signal import Sample
from chaosdrill.ports import CheckAnswer, Fault, Hold, Rehearsal
from chaosdrill.record import journal
from chaosdrill.record.folder import JOURNAL, LEDGER, SAMPLES, RunFolder
from chaosdrill.record.journal import Journal
from chaosdrill.record.ledger import Ledger
from chaosdrill.record.samples import SampleWriter

CLOCK = SystemClock()


class Engine:
    """An engine that plays until it is told to stop, and then ends; `begun` runs when it begins to play."""

    def __init__(self, begun: Callable[[], None] = lambda: None) -> None:
        self.gone = threading.Event()
        self.pid, self.code = 4242, 0
        self.begun = begun
        self._listener: Callable[[dict[str, Any]], None] = lambda _: None

    def listen(self, listener: Callable[[dict[str, Any]], None]) -> None:
        self._listener = listener

    def play(self, folder: str, cleared: Sequence[Mapping[str, Any]]) -> None:
        del folder, cleared
        self.begun()

    def say(self, event: str, **facts: Any) -> None:
        self._listener({"event": event, **facts})

    def abort(self) -> None:
        self._listener({"event": "engine.ended", "status": "interrupted", "deviated": False, "error": ""})
        self.gone.set()

    def end(self, grace: float = 2.0) -> None:
        del grace
        self.gone.set()


class Lifeline:
    alive = True

    def beat(self, patience: float = 0.0) -> None:
        pass


class Lever:
    """A lever that anybody may pull; it counts how often it was looked at."""

    on: Hold | None = None
    looks = 0

    def hold(self) -> Hold | None:
        self.looks += 1
        return self.on

    def pull(self, hold: Hold) -> None:
        self.on = hold

    def let_go(self) -> None:
        self.on = None


class Source:
    """A signal whose samples are handed in by the test, after a good one."""

    def __init__(self) -> None:
        self.sink: Callable[[Any], None] = lambda _: None

    def check(self) -> None: ...

    def start(self, sink: Callable[[Any], None]) -> None:
        self.sink = sink
        self.well()

    def stop(self) -> None: ...

    def well(self) -> None:
        self.sink(Sample(CLOCK.now(), "pay", 0.0, True, "200"))

    def ill(self) -> None:
        self.sink(Sample(CLOCK.now(), "pay", None, False, "refused"))


class Check:
    """A check with an answer that can be changed; it counts how often it was asked."""

    def __init__(self) -> None:
        self.answer, self.asked = CheckAnswer(False, "fine"), 0

    def ask(self, seconds: float) -> CheckAnswer:
        self.asked += 1
        return self.answer

    def rehearse(self) -> Rehearsal:
        return Rehearsal(CheckAnswer(False, "fine"), CheckAnswer(True, "bad"), (CheckAnswer(None, "?"),))

    def close(self) -> None: ...


def _no_fault(kind: str, system: str) -> Fault:
    raise AssertionError(f"nothing is on: {kind} {system}")


class Scene:
    """A runner with everything around it, in a folder of its own."""

    def __init__(
        self, place: Path, begun: Callable[[], None] = lambda: None, expires: float = 60.0, **block: Any
    ) -> None:
        (place / "run").mkdir()
        self.folder = RunFolder(place / "run")
        self.engine, self.lifeline, self.lever = Engine(begun), Lifeline(), Lever()
        self.source, self.check = Source(), Check()
        signals = {"pay": {"http": {"url": "http://127.0.0.1:9/", "rate": "50"}}}
        phases = {"baseline": "0 s", "recovery": "0 s"}
        given = {"signals": signals, "phases": phases, **block}
        self.block = ChaosdrillBlock.model_validate(given)
        checks = [self.check for condition in self.block.abort_when if not condition.signal]
        now = CLOCK.now()
        clearance = Clearance("run", "sandbox", Binding("", {}), (), now, now + expires)
        self.journal = Journal(self.folder.file(JOURNAL), CLOCK)
        self._parts = Parts(
            clock=CLOCK,
            folder=self.folder,
            journal=self.journal,
            ledger=Ledger(self.folder.file(LEDGER), CLOCK),
            engine=self.engine,
            lifeline=self.lifeline,
            lever=self.lever,
            open_fault=_no_fault,
            clearance=clearance,
            sampling=Sampling({"pay": self.source}, self.block, SampleWriter(self.folder.file(SAMPLES))),
            checks=checks,
        )
        self.use(self.engine)

    def use(self, engine: Engine) -> None:
        """Have this engine play."""
        self.engine = engine
        self.runner = Runner(self._parts._replace(engine=engine), self.block, ())

    def run(self) -> list[dict[str, Any]]:
        """Run to the end, which must come by itself, and return the journal."""
        try:
            self.runner.run()
        finally:
            self.journal.close()
        return self.events()

    def events(self) -> list[dict[str, Any]]:
        return journal.read(self.folder.file(JOURNAL))


def _aborted(events: list[dict[str, Any]]) -> str:
    (abort,) = [event for event in events if event["event"] == "abort.requested"]
    return f"{abort['by']}: {abort['rule']}"


BELOW = {"signal": "pay.availability", "below": "95 %"}


def test_a_sample_wakes_the_runner_and_the_engine_hears_of_it_before_the_journal(tmp_path: Path) -> None:
    order: list[str] = []

    class Told(Engine):
        def abort(self) -> None:
            order.append("engine told")
            super().abort()

    scene = Scene(tmp_path, **{"abort-when": [BELOW]})
    scene.use(Told(begun=scene.source.ill))
    scene.journal.listen(lambda event: order.append(event["event"]))
    assert _aborted(scene.run()) == "guard: pay.availability below 95 % (seen: 50 %)"
    assert order.index("engine told") < order.index("guard.breach") < order.index("abort.requested")


def test_a_check_is_asked_apart_and_its_bad_answer_aborts(tmp_path: Path) -> None:
    stop = {"http": {"url": "http://127.0.0.1:9/"}, "noticed-within": "200 ms"}

    def turn_bad() -> None:
        scene.check.answer = CheckAnswer(True, "answered 503")

    scene = Scene(tmp_path, begun=turn_bad, **{"abort-when": [stop]})
    events = scene.run()
    assert _aborted(events).endswith("does not answer 200-399 (seen: answered 503)")
    (asked,) = [event for event in events if event["event"] == "guard.asked"]
    assert (asked["asked"] > 1, asked["untold"]) == (True, 0)


def test_a_check_that_tells_nothing_aborts(tmp_path: Path) -> None:
    stop = {"http": {"url": "http://127.0.0.1:9/"}, "noticed-within": "100 ms"}

    def go_blind() -> None:
        scene.check.answer = CheckAnswer(None, "the query gives 0 series instead of one")

    scene = Scene(tmp_path, begun=go_blind, **{"abort-when": [stop]})
    assert "the check tells nothing" in _aborted(scene.run())


def test_a_check_that_hangs_aborts(tmp_path: Path) -> None:
    stop = {"http": {"url": "http://127.0.0.1:9/"}, "noticed-within": "100 ms"}
    hung = threading.Event()

    def hang(seconds: float) -> CheckAnswer:
        hung.wait(seconds * 1000)
        return CheckAnswer(False, "at last")

    scene = Scene(tmp_path, begun=lambda: setattr(scene.check, "ask", hang), **{"abort-when": [stop]})
    assert "the check tells nothing" in _aborted(scene.run())
    hung.set()


def test_a_hold_aborts(tmp_path: Path) -> None:
    scene = Scene(tmp_path, begun=lambda: scene.lever.pull(Hold("ann", 0.0, "customers call")))
    assert _aborted(scene.run()) == "ann: hold: customers call"


def test_a_lever_is_looked_at_five_times_a_second_at_most(tmp_path: Path) -> None:
    scene = Scene(tmp_path, phases={"baseline": "1 s", "recovery": "0 s"})
    ended = threading.Event()

    def chatter() -> None:
        # Whoever talks to the runner gives it a turn, and a turn must not cost a look each.
        while not ended.wait(0.01):
            scene.engine.say("activity.started", type="probe", name="ask")
        scene.runner.interrupt("ann", "enough")

    talking = threading.Thread(target=chatter)
    threading.Timer(1.5, ended.set).start()
    scene.engine.begun = talking.start
    began = CLOCK.mono()
    scene.run()
    talking.join()
    assert 2 <= scene.lever.looks <= 2 + (CLOCK.mono() - began) / 0.2


def test_a_watchdog_that_is_gone_aborts(tmp_path: Path) -> None:
    scene = Scene(tmp_path, begun=lambda: setattr(scene.lifeline, "alive", False))
    assert "the watchdog is gone" in _aborted(scene.run())


def test_the_time_limit_aborts(tmp_path: Path) -> None:
    scene = Scene(tmp_path, **{"time-limit": "100 ms"})
    assert "the time limit has passed" in _aborted(scene.run())


def test_a_signal_that_falls_silent_aborts(tmp_path: Path) -> None:
    scene = Scene(tmp_path, **{"abort-when": [BELOW]})
    assert "pay fell silent" in _aborted(scene.run())


def test_an_expired_clearance_refuses_before_anything_is_played(tmp_path: Path) -> None:
    scene = Scene(tmp_path, expires=-1.0)
    with pytest.raises(Refused, match="the clearance expired"):
        scene.run()
    names = [event["event"] for event in scene.events()]
    assert "engine.started" not in names
    assert "abort.requested" not in names


def test_a_guard_that_cannot_see_refuses_before_anything_is_played(tmp_path: Path) -> None:
    always = {"signal": "pay.availability", "at-least": "0 %"}
    scene = Scene(tmp_path, **{"abort-when": [always]})
    with pytest.raises(Refused, match="did not see the breach that it must see"):
        scene.run()
    assert "engine.started" not in [event["event"] for event in scene.events()]


def test_the_proof_leaves_no_trace_in_the_samples(tmp_path: Path) -> None:
    scene = Scene(tmp_path, begun=lambda: scene.runner.interrupt("ann", "enough"), **{"abort-when": [BELOW]})
    events = scene.run()
    (proved,) = [event for event in events if event["event"] == "guard.proved"]
    assert proved["conditions"] == 1
    rows = scene.folder.file(SAMPLES).read_text().splitlines()
    assert len(rows) == 2  # the header, and the one sample that the source gave
    assert json.dumps(proved)


@pytest.mark.parametrize("baseline", ["0 s", "2 s"])
def test_nothing_is_played_before_every_check_has_told_something(baseline: str, tmp_path: Path) -> None:
    stop = {"http": {"url": "http://127.0.0.1:9/"}, "noticed-within": "100 ms"}
    phases = {"baseline": baseline, "recovery": "0 s"}
    scene = Scene(tmp_path, phases=phases, **{"abort-when": [stop]})
    scene.check.answer = CheckAnswer(None, "nobody answers")
    events = scene.run()
    assert "the check tells nothing" in _aborted(events)
    assert "engine.started" not in [event["event"] for event in events]
