"""A sandbox of the tests' own, and the command line as people start it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from commandline import BIN, CommandLine


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
