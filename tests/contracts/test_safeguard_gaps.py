"""What the safeguards of chaostoolkit-addons let through, and what the guard does in their place.

The rows of the safeguards among the gaps of test_toolkit_gaps.py, each played under `chaos run` with the
addon and under chaosdrill with a stop condition that asks the same question.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from gap_players import Bench

from chaosdrill.errors import Exit


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.close()


@contextmanager
def answering(answer: Callable[[], tuple[int, bytes]]) -> Iterator[str]:
    """A server that answers as told, on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()
            thread.join()


def safeguard(probe: dict[str, Any], tolerance: Any, frequency: float | None = None) -> dict[str, Any]:
    """Return the addon's control around one probe."""
    often = {} if frequency is None else {"frequency": frequency}
    arguments = {"probes": [{**probe, "tolerance": tolerance, **often}]}
    provider = {"type": "python", "module": "chaosaddons.controls.safeguards", "arguments": arguments}
    return {"controls": [{"name": "safeguard", "provider": provider}]}


def guarded(condition: dict[str, Any]) -> dict[str, Any]:
    """Return our block with one stop condition, and nothing else to wait for."""
    quick = {"baseline": "0 s", "recovery": "0 s"}
    return {
        "extensions": [{"name": "chaosdrill", "version": "1", "abort-when": [condition], "phases": quick}]
    }


def played(bench: Bench) -> Path:
    return bench.place / "played"


# ---- safeguard probe raises with a range tolerance


def test_a_safeguard_that_is_blind_stops_nothing(bench: Bench) -> None:
    probe = bench.python("fails_when_on", "probe", path=str(bench.fault))
    wait = {**bench.python("wait_for", path=f"{bench.fault}.seen"), "pauses": {"after": 1}}
    control = safeguard(probe, {"type": "range", "range": [0, 1]}, 0.2)
    ending = bench.chaos(bench.file(bench.on, wait, **control))
    assert (ending.code, ending.journal["status"]) == (0, "completed")


def test_a_guard_that_is_blind_aborts(bench: Bench) -> None:
    def answer() -> tuple[int, bytes]:
        if bench.fault.exists():
            return 500, b""
        found = {"resultType": "vector", "result": [{"metric": {}, "value": [0, "0.5"]}]}
        return 200, json.dumps({"status": "success", "data": found}).encode()

    with answering(answer) as url:
        asked = {"prometheus": {"url": url, "query": "up"}, "above": "1", "noticed-within": "0.5 s"}
        ending = bench.drill(bench.file(bench.on, bench.stay, **guarded(asked)))
    assert ending.code == Exit.ABORTED
    assert ending.answer["verdict"]["execution"]["text"].startswith("by guard")
    assert not ending.left_on


# ---- safeguard trips during rollbacks


def _slow_undo(bench: Bench, bad: Path) -> list[dict[str, Any]]:
    wait = bench.python("wait_for", path=str(bench.place / "go"))
    return [bench.python("mark", path=str(bad)), wait, bench.off]


def test_a_safeguard_that_trips_during_rollbacks_drops_the_rest_of_them(bench: Bench) -> None:
    bad = bench.place / "bad"
    probe = bench.python("well", "probe", path=str(bad))
    file = bench.file(bench.on, rollbacks=_slow_undo(bench, bad), **safeguard(probe, True, 0.2))
    ending = bench.chaos(file, "--rollback-strategy", "always")
    assert ending.left_on


def test_a_guard_that_trips_during_rollbacks_drops_none(bench: Bench) -> None:
    bad = bench.place / "bad"
    with answering(lambda: (503 if bad.exists() else 200, b"")) as url:
        block = guarded({"http": {"url": url}, "noticed-within": "0.5 s"})
        run = bench.start_drill(bench.file(bench.on, rollbacks=_slow_undo(bench, bad), **block))
        bench.hear("waiting")
        bench.event("abort.requested")
        (bench.place / "go").touch()
        ending = bench.end(run)
    assert not ending.left_on
    assert ending.code == Exit.ABORTED


# ---- safeguard pre-check fails


def test_behind_a_safeguard_that_says_no_the_method_has_begun(bench: Bench) -> None:
    bench.fault.touch()
    probe = bench.python("well", "probe", path=str(bench.fault))
    file = bench.file(bench.python("mark", path=str(played(bench))), **safeguard(probe, True))
    # The addon's signal races with the method: how often it loses depends on the machine.
    assert any(bench.chaos(file).journal["run"] for _ in range(20))


def test_behind_a_stop_condition_that_is_met_already_nothing_begins(bench: Bench) -> None:
    with answering(lambda: (503, b"")) as url:
        block = guarded({"http": {"url": url}, "noticed-within": "0.5 s"})
        ending = bench.drill(bench.file(bench.python("mark", path=str(played(bench))), **block))
    assert ending.code in (Exit.REFUSED, Exit.ABORTED)
    assert not played(bench).exists()
