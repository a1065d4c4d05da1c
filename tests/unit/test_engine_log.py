"""What the engine and its activities print is in its log, without the secrets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, subprocess, sys
from pathlib import Path
from chaosdrill.ctk.log import EngineLog
from chaosdrill.redact import Redactor
log = EngineLog(Path(sys.argv[1]), Redactor(["canary-1", "first line\\nsecond line\\n"]))
{body}
log.close()
print("too late")
"""


def _log(place: Path, body: str) -> bytes:
    path = place / "engine.log"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("{body}", body), path],
        check=True,
        capture_output=True,
        timeout=30,
    )
    assert done.stdout == b""
    return path.read_bytes()


def test_print_errors_and_children_are_masked(tmp_path: Path) -> None:
    body = "print('canary-1 a'); os.write(2, b'canary-1 b\\n'); subprocess.run(['echo', 'canary-1 c'])"
    log = _log(tmp_path, body).decode()
    assert "canary" not in log
    assert sorted(log.split()) == ["a", "b", "c", *["•••"] * 3]


def test_a_secret_of_several_lines_is_masked_line_by_line(tmp_path: Path) -> None:
    log = _log(tmp_path, "print('first line'); sys.stdout.flush(); print('and second line')").decode()
    assert log.split() == ["•••", "and", "•••"]


def test_what_has_no_end_of_line_and_is_no_text_is_kept(tmp_path: Path) -> None:
    assert _log(tmp_path, "os.write(1, b'\\xff\\xfe no end')") == b"\xff\xfe no end"


def test_a_flood_comes_through_whole(tmp_path: Path) -> None:
    log = _log(tmp_path, "os.write(1, b'x' * 3_000_000 + b'\\n'); print('end')")
    assert log.count(b"x") == 3_000_000
    assert log.endswith(b"end\n")


def test_a_process_that_is_left_behind_holds_up_nothing(tmp_path: Path) -> None:
    log = _log(tmp_path, "print('before'); left = subprocess.Popen(['sleep', '3'])")
    assert b"before" in log
