"""A sandbox of the tests' own, and the command line as people start it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be JSON and nothing else."""
        return json.loads(self.out)


@dataclass(frozen=True)
class CommandLine:
    """`chaosdrill`, run in a folder of its own with an environment of its own."""

    place: Path
    environment: dict[str, str]

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """Start a command; whoever starts it waits for it."""
        return subprocess.Popen(
            [str(BIN / "chaosdrill"), *arguments],
            cwd=self.place,
            env={**self.environment, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, **more: str) -> Answer:
        """Run a command to its end; no command ever shows a traceback."""
        with self.start(*arguments, **more) as process:
            out, err = process.communicate(timeout=200)
        assert "Traceback" not in out + err
        return Answer(process.returncode, out, err)


def _environment(state: Path, sandbox: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CHAOSDRILL_", "COLUMNS"))}
    return {**kept, "XDG_STATE_HOME": str(state), "CHAOSDRILL_SANDBOX_DIR": str(sandbox)}


@pytest.fixture
def chaosdrill(tmp_path: Path) -> CommandLine:
    """The command line where no sandbox is up."""
    return CommandLine(tmp_path, _environment(tmp_path / "state", tmp_path / "no-sandbox"))


@pytest.fixture(scope="session")
def sandbox_directory() -> Iterator[Path]:
    """A sandbox for the whole session; what breaks it starts one of its own."""
    # Short, because a Unix socket's path may have 107 bytes and pytest's own folders are long.
    with tempfile.TemporaryDirectory(prefix="cd-") as folder:
        environment = _environment(Path(folder) / "state", Path(folder) / "sb")
        command = [str(BIN / "chaosdrill"), "sandbox"]
        subprocess.run([*command, "up"], env=environment, check=True, capture_output=True, timeout=60)
        yield Path(folder) / "sb"
        subprocess.run([*command, "down"], env=environment, check=True, capture_output=True, timeout=60)


@pytest.fixture
def on_sandbox(tmp_path: Path, sandbox_directory: Path) -> CommandLine:
    """The command line where the session's sandbox is up."""
    return CommandLine(tmp_path, _environment(tmp_path / "state", sandbox_directory))
