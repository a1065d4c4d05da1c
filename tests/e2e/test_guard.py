"""The guard on a real run: what it sees, what it does not see, and how it says so."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from commandline import Answer, CommandLine

FAULT = {
    "type": "action",
    "name": "slow-database",
    "provider": {
        "type": "python",
        "module": "chaosdrill.actions",
        "func": "network_latency",
        "arguments": {"delay": "20 ms", "duration": "60 s"},
    },
}


class Endpoint:
    """A web server whose answers can be changed, and which can be asked how often it was asked."""

    def __init__(self) -> None:
        self.status, self.body, self.asked = 200, b"", 0
        self.turns_bad_at = 10**9
        endpoint = self

        class Answering(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                endpoint.asked += 1
                endpoint.seen_headers = dict(self.headers)
                if self.path == "/bad":
                    endpoint.turns_bad_at = 0
                bad = endpoint.asked >= endpoint.turns_bad_at and self.path != "/bad"
                self.send_response(503 if bad else endpoint.status)
                self.send_header("Content-Length", str(len(endpoint.body)))
                self.end_headers()
                self.wfile.write(endpoint.body)

            def log_message(self, *_: object) -> None:
                pass

        self.seen_headers: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    serving = Endpoint()
    yield serving
    serving.close()


def vector(*values: str) -> bytes:
    result = [{"metric": {}, "value": [0, value]} for value in values]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


def _experiment(place: Path, *method: dict[str, Any], **block: Any) -> str:
    experiment = {
        "title": "A guarded test",
        "description": "A test.",
        "configuration": {
            "shop_url": {"type": "env", "key": "CHAOSDRILL_SHOP_URL", "default": "http://127.0.0.1:9"}
        },
        "method": list(method),
        "rollbacks": [],
        "extensions": [
            {
                "name": "chaosdrill",
                "version": "1",
                "phases": {"baseline": "1 s", "recovery": "1 s"},
                **block,
            }
        ],
    }
    path = place / "guarded.json"
    path.write_text(json.dumps(experiment))
    return str(path)


def _events(answer: Answer) -> list[dict[str, Any]]:
    folder = Path(answer.json["folder"])
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


def _names(events: list[dict[str, Any]]) -> list[str]:
    return [event["event"] for event in events]


def test_an_http_check_that_fails_aborts_and_the_fault_is_undone(
    on_sandbox: CommandLine, endpoint: Endpoint
) -> None:
    endpoint.turns_bad_at = 12
    stop = {"http": {"url": endpoint.url}, "noticed-within": "1 s"}
    answer = on_sandbox("run", "--json", _experiment(on_sandbox.place, FAULT, **{"abort-when": [stop]}))
    assert answer.code == 4
    events = _events(answer)
    assert [e["how"] for e in events if e["event"] == "fault.undone"] == ["abort"]
    order = _names(events)
    assert order.index("guard.breach") < order.index("abort.requested") < order.index("fault.undone")
    (breach,) = [e for e in events if e["event"] == "guard.breach"]
    assert (breach["value"], endpoint.url in breach["rule"]) == ("answered 503, which is not expected", True)


def test_a_guard_proves_itself_before_the_engine_starts(on_sandbox: CommandLine, endpoint: Endpoint) -> None:
    fault = {**FAULT, "provider": {**FAULT["provider"], "arguments": {"delay": "1 ms", "duration": "1 s"}}}
    stops = [
        {"signal": "pay.availability", "below": "50 %", "for": "5 s"},
        {"http": {"url": endpoint.url}, "for": "3 s"},
    ]
    signals = {"pay": {"http": {"url": "${shop_url}/checkout", "rate": "20"}}}
    answer = on_sandbox(
        "run", "--json", _experiment(on_sandbox.place, fault, signals=signals, **{"abort-when": stops})
    )
    assert answer.code in (0, 5)
    events = _events(answer)
    (proved,) = [e for e in events if e["event"] == "guard.proved"]
    assert proved["conditions"] == 2
    assert _names(events).index("guard.proved") < _names(events).index("engine.started")
    # What it proved itself by is in no record: all that was sampled came from the shop.
    samples = (Path(answer.json["folder"]) / "samples.csv").read_text()
    assert "timeout" not in samples


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (vector(), "0 series"),
        (vector("1", "1"), "2 series"),
        (vector("NaN"), "NaN"),
        (b"<html>", ""),
    ],
)
def test_a_query_that_tells_nothing_is_never_good(
    body: bytes, said: str, on_sandbox: CommandLine, endpoint: Endpoint
) -> None:
    endpoint.body = body
    stop = {"prometheus": {"url": endpoint.url, "query": "up"}, "above": "5", "noticed-within": "500 ms"}
    answer = on_sandbox("run", "--json", _experiment(on_sandbox.place, FAULT, **{"abort-when": [stop]}))
    assert answer.code == 4
    assert "can't be watched" in answer.err
    assert said in answer.err


def test_a_query_on_the_bad_side_aborts_and_its_token_is_nowhere(
    on_sandbox: CommandLine, endpoint: Endpoint
) -> None:
    endpoint.body = vector("7.5")
    check = {"url": endpoint.url, "query": "sum(errors)", "bearer": "canary-4711-token"}
    stop = {"prometheus": check, "above": "5", "noticed-within": "1 s"}
    answer = on_sandbox("run", "--json", _experiment(on_sandbox.place, FAULT, **{"abort-when": [stop]}))
    assert answer.code == 4
    assert "sum(errors) above 5" in answer.err
    assert "7.5" in answer.err
    assert endpoint.seen_headers["Authorization"] == "Bearer canary-4711-token"
    assert "canary-4711" not in answer.out + answer.err
    for path in Path(answer.json["folder"]).iterdir():
        assert b"canary-4711" not in path.read_bytes(), path.name


def test_a_system_that_falls_ill_in_the_baseline_is_left_alone(
    on_sandbox: CommandLine, endpoint: Endpoint
) -> None:
    # Well while it is looked at before the run (a second of 50 requests), ill for most of the baseline.
    endpoint.turns_bad_at = 80
    criteria = [{"signal": "web.error_rate", "below": "40 %", "over": "phase"}]
    signals = {"web": {"http": {"url": endpoint.url, "rate": "50"}}}
    phases = {"baseline": "3 s", "recovery": "1 s"}
    file = _experiment(on_sandbox.place, FAULT, signals=signals, criteria=criteria, phases=phases)
    answer = on_sandbox("run", file)
    assert answer.code == 3
    assert "already out of its steady state: web.error_rate below 40 %" in answer.err
    (folder,) = (path for path in (on_sandbox.place / "runs").iterdir() if path.is_dir())
    assert "intended" not in "".join(path.read_text() for path in folder.glob("ledger.jsonl"))
    events = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    assert "engine.started" not in _names(events)
    assert "abort.requested" not in _names(events)
    assert "run.refused" in _names(events)


def test_the_steps_from_breach_to_undo_stand_in_the_report(
    on_sandbox: CommandLine, endpoint: Endpoint
) -> None:
    endpoint.turns_bad_at = 12
    stop = {"http": {"url": endpoint.url}, "noticed-within": "1 s"}
    answer = on_sandbox("run", "--json", _experiment(on_sandbox.place, FAULT, **{"abort-when": [stop]}))
    report = (Path(answer.json["folder"]) / "report.md").read_text()
    assert "First undo" in report
    abort = json.loads((Path(answer.json["folder"]) / "report.json").read_text())["abort"]
    assert 0 <= abort["latencies"]["decision"] <= abort["latencies"]["first undo"]


def test_a_background_fault_is_undone_before_anything_else_is_played(
    on_sandbox: CommandLine, endpoint: Endpoint
) -> None:
    endpoint.turns_bad_at = 12
    wait = {"type": "process", "path": "sleep", "arguments": "60"}
    sleeping = {"type": "action", "name": "wait", "provider": wait}
    after = {"type": "action", "name": "after", "provider": {**wait, "arguments": "0"}}
    stop = {"http": {"url": endpoint.url}, "noticed-within": "1 s"}
    background = {**FAULT, "background": True}
    file = _experiment(on_sandbox.place, background, sleeping, after, **{"abort-when": [stop]})
    answer = on_sandbox("run", "--json", file)
    assert answer.code == 4
    events = _events(answer)
    (undone,) = [e for e in events if e["event"] == "fault.undone"]
    assert undone["how"] == "abort"
    started = [e["name"] for e in events if e["event"] == "activity.started"]
    assert started == ["slow-database", "wait"]


@pytest.mark.parametrize("pause", [0.0, 0.01, 0.03])
def test_a_fault_that_is_being_started_is_undone_or_never_on(
    pause: float, on_sandbox: CommandLine, endpoint: Endpoint
) -> None:
    # The endpoint turns bad with the activity right before the fault, and is asked every 25 ms.
    begin = {"type": "action", "name": "begin", "provider": {"type": "http", "url": f"{endpoint.url}/bad"}}
    stop = {"http": {"url": endpoint.url}, "noticed-within": "100 ms"}
    paused = {**FAULT, "pauses": {"before": pause}}
    answer = on_sandbox(
        "run", "--json", _experiment(on_sandbox.place, begin, paused, **{"abort-when": [stop]})
    )
    assert answer.code == 4
    events = _events(answer)
    assert _names(events).count("fault.intended") == _names(events).count("fault.undone")
    # Unverified where it never came to a fault, so that there was nothing to look for.
    assert answer.json["verdict"]["cleanup"]["state"] in ("verified", "unverified")
    assert not on_sandbox("sandbox", "status", "--json").json["faults"]
