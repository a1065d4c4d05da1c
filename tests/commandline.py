"""The command line as people start it: for tests, in a folder and an environment of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
