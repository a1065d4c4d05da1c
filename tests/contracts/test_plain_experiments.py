"""Experiments without a word of ours come out under chaosdrill as under `chaos run`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

PLAIN = Path(__file__).parent / "plain"
BIN = Path(sys.executable).parent
SECRET = "canary-7f3a91c5"


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.headers.get("Authorization") == f"Bearer {SECRET}" else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture
def environment(server: str, tmp_path: Path) -> dict[str, str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = free.getsockname()[1]
    (tmp_path / "file").touch()
    return {
        **os.environ,
        "CHAOSDRILL_TEST_URL": server,
        "CHAOSDRILL_TEST_NOBODY": f"http://127.0.0.1:{nobody}",
        "CHAOSDRILL_TEST_TOKEN": SECRET,
        "CHAOSDRILL_TEST_FILE": str(tmp_path / "file"),
        "CHAOSDRILL_TEST_NOTES": str(tmp_path / "notes"),
        "PYTHONPATH": str(PLAIN),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }


def _chaos(file: Path, place: Path, environment: dict[str, str]) -> tuple[dict[str, Any], int]:
    journal = place / "journal.json"
    done = subprocess.run(
        [
            *(BIN / "chaos", "--no-version-check", "--no-log-file", "run"),
            *("--rollback-strategy", "always", "--journal-path", journal, file),
        ],
        env=environment,
        cwd=place,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return json.loads(journal.read_text()), done.returncode


def _chaosdrill(file: Path, place: Path, environment: dict[str, str]) -> tuple[dict[str, Any], int, Path]:
    done = subprocess.run(
        [BIN / "chaosdrill", "--home", str(place), "run", "--json", str(file)],
        env=environment,
        cwd=place,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    folder = Path(json.loads(done.stdout)["folder"])
    return json.loads((folder / "engine.json").read_text()), done.returncode, folder


def _statuses(journal: dict[str, Any]) -> dict[str, Any]:
    def runs(rows: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
        return [(row["activity"].get("name", row["activity"].get("ref")), row.get("status")) for row in rows]

    states = journal["steady_states"]
    return {
        "status": journal["status"],
        "deviated": journal["deviated"],
        "method": runs(journal["run"]),
        "rollbacks": runs(journal["rollbacks"]),
        "before": states["before"] and states["before"]["steady_state_met"],
        "after": states["after"] and states["after"]["steady_state_met"],
    }


@pytest.mark.parametrize(
    "name", ["python.yaml", "process.json", "http.yaml", "rollbacks.yaml", "controls.yaml"]
)
def test_activities_end_as_under_chaos_run(name: str, environment: dict[str, str], tmp_path: Path) -> None:
    theirs, _ = _chaos(PLAIN / name, tmp_path, environment)
    (tmp_path / "file").touch()
    ours, code, _ = _chaosdrill(PLAIN / name, tmp_path, environment)
    assert _statuses(ours) == _statuses(theirs)
    assert code in (0, 4, 5, 7) if name != "rollbacks.yaml" else code == 6
    assert set(ours) >= set(theirs) - {"chaoslib-version", "platform", "node"}


def test_a_hypothesis_that_deviates_ends_with_7_and_a_held_one_with_0(
    environment: dict[str, str], tmp_path: Path
) -> None:
    text = (PLAIN / "rollbacks.yaml").read_text().replace("path: /does-not-exist", "path: /")
    (tmp_path / "deviates.yaml").write_text(text)
    assert _chaosdrill(tmp_path / "deviates.yaml", tmp_path, environment)[1] == 7
    experiment = json.loads((PLAIN / "process.json").read_text())
    experiment["method"] = [a for a in experiment["method"] if a["name"] != "exits-with-one"]
    (tmp_path / "held.json").write_text(json.dumps(experiment))
    assert _chaosdrill(tmp_path / "held.json", tmp_path, environment)[1] == 0


def test_an_action_that_exits_with_1_is_never_held(environment: dict[str, str], tmp_path: Path) -> None:
    assert _chaosdrill(PLAIN / "process.json", tmp_path, environment)[1] == 5


def test_a_secret_is_in_no_file_of_the_run(environment: dict[str, str], tmp_path: Path) -> None:
    _, _, folder = _chaosdrill(PLAIN / "http.yaml", tmp_path, environment)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    assert not [path.name for path in files if SECRET.encode() in path.read_bytes()]
