"""One experiment that turns bad on purpose, for chaosdrill and for Chaos Toolkit with its safeguards addon.

Both watch the same endpoint and call the same rollback; when the endpoint turned bad and when it was called
is measured here, at the target, and not believed from either.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.peer import peer

OURS = Path(sys.executable).parent / "chaosdrill"
#: How long a round may take before it counts as failed, in seconds.
PATIENCE = 60.0


class Round(NamedTuple):
    """Seconds from the breach to the rollback's call at the target, and to the undo of our own fault."""

    rollback: float
    undo: float | None


class Endpoint:
    """A web server that is well until it is told otherwise; it keeps when it was asked to undo."""

    def __init__(self) -> None:
        self.well = True
        self.begun, self.undone = threading.Event(), threading.Event()
        self.undone_at = 0.0
        endpoint = self

        class Answering(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path == "/undo" and not endpoint.undone.is_set():
                    endpoint.undone_at = time.monotonic()
                    endpoint.undone.set()
                if self.path == "/begin":
                    endpoint.begun.set()
                self.send_response(503 if self.path == "/health" and not endpoint.well else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    def turn_bad(self) -> float:
        """Answer 503 from now on, and return this moment in monotonic seconds."""
        moment = time.monotonic()
        self.well = False
        return moment

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def sandbox(place: Path) -> Iterator[dict[str, str]]:
    """Start a sandbox in `place` and give the environment to use it in; take it down at the end."""
    environment = {**os.environ, "HOME": str(place), "XDG_STATE_HOME": str(place / "st")}
    environment |= {"CHAOSDRILL_SANDBOX_DIR": str(place / "sb")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    subprocess.run([str(OURS), "sandbox", "up"], env=environment, check=True, capture_output=True)
    try:
        yield environment
    finally:
        subprocess.run([str(OURS), "sandbox", "down"], env=environment, check=False, capture_output=True)


def ours(place: Path, environment: Mapping[str, str], period: float, after: float) -> Round:
    """Play one round with chaosdrill: a breach `after` so many seconds, to be noticed within `period`."""
    fault = _python("chaosdrill.actions", "network_latency", {"delay": "1 ms", "duration": "120 s"})
    stop = {"http": {"url": "URL/health"}, "noticed-within": f"{period:g} s"}
    block = {"name": "chaosdrill", "version": 1, "phases": {"baseline": "100 ms", "recovery": "0 s"}}
    more = {"extensions": [{**block, "abort-when": [stop]}]}
    command = [str(OURS), "--home", str(place), "run", "--plain", "--report", "json", "ours.json"]
    return _round(
        place, environment, after, [{**_action("latency", fault), "background": True}], more, command
    )


def theirs(place: Path, environment: Mapping[str, str], period: float, after: float) -> Round:
    """Play one round with Chaos Toolkit: the same endpoint as a safeguard of that frequency."""
    http = {"type": "http", "url": "URL/health", "timeout": period / 2}
    probe = {"type": "probe", "name": "health", "tolerance": 200, "frequency": period, "provider": http}
    provider = {
        "type": "python",
        "module": "chaosaddons.controls.safeguards",
        "arguments": {"probes": [probe]},
    }
    more = {"controls": [{"name": "safeguard", "provider": provider}]}
    chaos = [str(peer("addons") / "chaos"), "--no-version-check"]
    command = [*chaos, "run", "--rollback-strategy", "always", "ours.json"]
    return _round(place, environment, after, [], more, command)


def _round(
    place: Path,
    environment: Mapping[str, str],
    after: float,
    first: list[dict[str, Any]],
    more: dict[str, Any],
    command: list[str],
) -> Round:
    endpoint = Endpoint()
    begin = _action("begin", {"type": "http", "url": "URL/begin"})
    wait = _action("wait", {"type": "process", "path": "sleep", "arguments": "120"})
    undo = _action("undo", {"type": "http", "url": "URL/undo"})
    experiment = {
        "title": "Breach",
        "description": "The endpoint turns bad.",
        "method": [*first, begin, wait],
        "rollbacks": [undo],
        **more,
    }
    file = place / "ours.json"
    file.write_text(json.dumps(experiment).replace("URL", endpoint.url), encoding="utf-8")
    process = subprocess.Popen(
        command,
        cwd=place,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        begun = endpoint.begun.wait(PATIENCE)
        time.sleep(after)
        breach = endpoint.turn_bad()
        if not begun or not endpoint.undone.wait(PATIENCE):
            process.kill()
            said = process.communicate()[0]
            raise RuntimeError(f"nothing was undone: {said.decode(errors='replace')[-600:]}")
        process.communicate(timeout=PATIENCE)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        endpoint.close()
    return Round(endpoint.undone_at - breach, _undone(place, breach))


def _undone(place: Path, breach: float) -> float | None:
    """Return when the newest run undid its fault, in seconds after `breach`; None when there is no run."""
    journals = sorted(place.rglob("journal.jsonl"), key=lambda path: path.stat().st_mtime)
    if not journals:
        return None
    rows = [json.loads(line) for line in journals[-1].read_text("utf-8").splitlines()]
    undone = [row["mono"] for row in rows if row["event"] == "fault.undone"]
    return min(undone) - breach if undone else None


def _action(name: str, provider: dict[str, Any]) -> dict[str, Any]:
    return {"type": "action", "name": name, "provider": provider}


def _python(module: str, func: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"type": "python", "module": module, "func": func, "arguments": arguments}
