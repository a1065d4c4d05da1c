"""The engine plays what it is given, stops when it is told, and never outlives its runner."""

from __future__ import annotations

import json
import os
import queue
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaosdrill.ctk.process import EngineProcess
from chaosdrill.errors import InvalidFile

ACTIVITIES = '''
"""Activities as authors write them, good and bad."""
import time


def swallow_everything(seconds):
    """Sleep in slices, and let nothing through."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            time.sleep(0.05)
        except:
            pass


def not_json():
    return {"lock": object()}


def nothing():
    return None
'''


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineProcess]:
    (tmp_path / "activities.py").write_text(ACTIVITIES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process = EngineProcess()
    process.start()
    yield process
    process.end(grace=0.5)


def _file(place: Path, **parts: Any) -> str:
    experiment = {"title": "t", "description": "d", "method": [], **parts}
    path = place / "experiment.json"
    path.write_text(json.dumps(experiment))
    return str(path)


def _python(name: str, module: str, func: str, **arguments: Any) -> dict[str, Any]:
    provider = {"type": "python", "module": module, "func": func, "arguments": arguments}
    return {"type": "action", "name": name, "provider": provider}


def _sleep(seconds: float) -> dict[str, Any]:
    action = _python("sleep", "activities", "nothing")
    return {**action, "pauses": {"before": seconds}}


class _Played:
    """A run of the engine, with its events as they come."""

    def __init__(self, engine: EngineProcess, place: Path, source: str, **options: Any) -> None:
        engine.prepare({"source": source, "options": options})
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        self.folder = place
        engine.listen(self._events.put)
        engine.play(str(place), [])

    def until(self, event: str) -> list[dict[str, Any]]:
        """Return the events up to the first of that name."""
        seen = []
        while not seen or seen[-1]["event"] != event:
            seen.append(self._events.get(timeout=30))
        return seen

    def journal(self) -> dict[str, Any]:
        """Return Chaos Toolkit's journal."""
        found: dict[str, Any] = json.loads((self.folder / "engine.json").read_text())
        return found


def test_a_file_that_chaos_toolkit_refuses_is_refused_in_its_words(
    engine: EngineProcess, tmp_path: Path
) -> None:
    with pytest.raises(InvalidFile, match="requires a description"):
        engine.prepare({"source": _file(tmp_path, description=""), "options": {}})


def test_a_variable_without_a_value_is_refused(engine: EngineProcess, tmp_path: Path) -> None:
    source = _file(tmp_path, configuration={"a": {"type": "env", "key": "CHAOSDRILL_TEST_NOT_SET"}})
    with pytest.raises(InvalidFile, match="CHAOSDRILL_TEST_NOT_SET"):
        engine.prepare({"source": source, "options": {}})


def test_fault_actions_are_expanded_with_variables_and_references(
    engine: EngineProcess, tmp_path: Path
) -> None:
    fault = _python("slow", "chaosdrill.actions", "network_latency", delay="${ms} ms", duration="1 s")
    source = _file(tmp_path, configuration={"ms": "50"}, method=[fault, {"ref": "slow"}])
    reply = engine.prepare({"source": source, "options": {"var": ["ms=80"]}})
    assert [f["arguments"]["delay"] for f in reply["faults"]] == ["80 ms", "80 ms"]
    assert reply["configuration"] == {"ms": "80"}


def test_a_file_that_changed_since_it_was_read_is_refused(engine: EngineProcess, tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="changed while it was being read"):
        engine.prepare({"source": _file(tmp_path), "digest": "0" * 64, "options": {}})


def test_an_abort_breaks_a_pause_and_plays_the_rollbacks(engine: EngineProcess, tmp_path: Path) -> None:
    source = _file(
        tmp_path,
        method=[_sleep(60), _python("next", "activities", "nothing")],
        rollbacks=[_python("back", "activities", "nothing")],
    )
    played = _Played(engine, tmp_path, source)
    played.until("method.started")
    engine.abort()
    played.until("engine.gone")
    journal = played.journal()
    assert journal["status"] == "interrupted"
    assert [r["activity"]["name"] for r in journal["rollbacks"]] == ["back"]
    assert "next" not in [r["activity"]["name"] for r in journal["run"]]


def test_an_abort_before_the_first_activity_plays_none(engine: EngineProcess, tmp_path: Path) -> None:
    engine.prepare({"source": _file(tmp_path, method=[_python("a", "activities", "nothing")]), "options": {}})
    engine.abort()
    engine.play(str(tmp_path), [])
    assert engine.gone.wait(30)
    assert json.loads((tmp_path / "engine.json").read_text())["status"] == "interrupted"


def test_an_activity_that_swallows_everything_is_the_last_one(engine: EngineProcess, tmp_path: Path) -> None:
    method = [
        _python("deaf", "activities", "swallow_everything", seconds=1),
        _python("next", "activities", "nothing"),
    ]
    played = _Played(engine, tmp_path, _file(tmp_path, method=method))
    played.until("activity.started")
    engine.abort()
    played.until("engine.gone")
    assert [r["activity"]["name"] for r in played.journal()["run"]] == ["deaf"]


def test_an_engine_whose_runner_is_gone_stops_and_rolls_back(engine: EngineProcess, tmp_path: Path) -> None:
    source = _file(tmp_path, method=[_sleep(60)], rollbacks=[_python("back", "activities", "nothing")])
    played = _Played(engine, tmp_path, source)
    played.until("method.started")
    assert engine._process is not None
    assert engine._process.stdin is not None
    engine._process.stdin.close()  # What the kernel does when the runner is killed.
    assert engine.gone.wait(30)
    assert [r["activity"]["name"] for r in played.journal()["rollbacks"]] == ["back"]


def test_an_output_that_json_has_no_form_for_does_not_cost_the_journal(
    engine: EngineProcess, tmp_path: Path
) -> None:
    played = _Played(engine, tmp_path, _file(tmp_path, method=[_python("odd", "activities", "not_json")]))
    played.until("engine.gone")
    assert played.journal()["run"][0]["status"] == "succeeded"


def test_a_crash_of_chaos_toolkit_leaves_a_journal_and_says_so(engine: EngineProcess, tmp_path: Path) -> None:
    probe = {
        **_python("nothing", "activities", "nothing"),
        "type": "probe",
        "tolerance": {"type": "range", "range": [1, 2]},
    }
    hypothesis = {"title": "h", "probes": [probe]}
    played = _Played(engine, tmp_path, _file(tmp_path, **{"steady-state-hypothesis": hypothesis}))
    ended = played.until("engine.ended")[-1]
    assert "TypeError" in ended["error"]
    played.until("engine.gone")
    assert played.journal()["status"] == "aborted"


def test_a_killed_engine_is_noticed(engine: EngineProcess, tmp_path: Path) -> None:
    played = _Played(engine, tmp_path, _file(tmp_path, method=[_sleep(60)]))
    played.until("method.started")
    os.kill(engine.pid, signal.SIGKILL)
    played.until("engine.gone")
    engine.end()
    assert engine.code == -signal.SIGKILL


def test_ending_the_engine_ends_what_its_activities_started(engine: EngineProcess, tmp_path: Path) -> None:
    action = {
        "type": "action",
        "name": "long",
        "provider": {
            "type": "process",
            "path": "sh",
            "arguments": f"-c 'echo $$ > {tmp_path}/pid; exec sleep 60'",
        },
    }
    played = _Played(engine, tmp_path, _file(tmp_path, method=[action]))
    played.until("activity.started")
    pid_file = tmp_path / "pid"
    for _ in range(2000):
        if pid_file.exists() and pid_file.read_text().strip():
            break
        signal.sigtimedwait([], 0.01)
    pid = int(pid_file.read_text())
    engine.end(grace=0.0)
    stat = Path(f"/proc/{pid}/stat")
    assert not stat.exists() or stat.read_text().rsplit(") ", 1)[1][0] in "ZX"
