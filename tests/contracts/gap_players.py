"""Plays one plain experiment under `chaos run` and under chaosdrill, and can act while its fault is on."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
#: Nothing here takes longer, in seconds.
PATIENCE = 60.0


@dataclass(frozen=True)
class Ending:
    """What a run left behind: `left_on` is whether its fault still is."""

    code: int
    left_on: bool
    out: str
    err: str
    journal: Mapping[str, Any] = field(default_factory=dict)

    @property
    def answer(self) -> dict[str, Any]:
        """What `chaosdrill run --json` printed."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


class Bench:
    """A folder with one fault in it, a pipe on which an experiment tells where it is, and both tools."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.fault = place / "fault"
        self.journal = place / "journal.json"
        self._pipe = place / "told"
        os.mkfifo(self._pipe)
        # Both ends, so that nobody who writes waits for us, and nobody who ends closes it.
        self._told = os.open(self._pipe, os.O_RDWR | os.O_NONBLOCK)
        self._heard = ""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CHAOSDRILL_")}
        self.environment = {
            **kept,
            "GAP_TOLD": str(self._pipe),
            "PYTHONPATH": str(Path(__file__).parent / "gaps"),
            "XDG_STATE_HOME": str(place / "state"),
            "CHAOSDRILL_SANDBOX_DIR": str(place / "no-sandbox"),
        }

    def close(self) -> None:
        """Give the pipe back."""
        os.close(self._told)

    # ---- what is played

    def python(self, func: str, kind: str = "action", **arguments: Any) -> dict[str, Any]:
        """Return an activity that calls `func` of gap_faults."""
        provider = {"type": "python", "module": "gap_faults", "func": func, "arguments": arguments}
        return {"type": kind, "name": func.replace("_", "-"), "provider": provider}

    @property
    def on(self) -> dict[str, Any]:
        """The action that injects."""
        return self.python("on", path=str(self.fault))

    @property
    def off(self) -> dict[str, Any]:
        """The action that undoes."""
        return self.python("off", path=str(self.fault))

    @property
    def stay(self) -> dict[str, Any]:
        """An action that takes long, in a process of its own, as load generators do."""
        script = f"echo staying > {self._pipe}; exec sleep 30"
        return {
            "type": "action",
            "name": "stay",
            "provider": {"type": "process", "path": "sh", "arguments": ["-c", script]},
        }

    def file(
        self,
        *method: dict[str, Any],
        rollbacks: list[dict[str, Any]] | None = None,
        probes: list[dict[str, Any]] | None = None,
        **more: Any,
    ) -> Path:
        """Write an experiment and return its path; unless told otherwise, its rollback undoes the fault."""
        experiment = {
            "title": "A gap",
            "description": "A fault that is a file.",
            "method": list(method),
            "rollbacks": [self.off] if rollbacks is None else rollbacks,
            **more,
        }
        if probes:
            experiment["steady-state-hypothesis"] = {"title": "All is well", "probes": probes}
        path = self.place / "experiment.json"
        path.write_text(json.dumps(experiment))
        return path

    # ---- the two tools

    def start_chaos(self, file: Path, *options: str, journal: str | Path = "") -> subprocess.Popen[str]:
        """Start `chaos run` as found, with its own defaults."""
        where = ("--journal-path", str(journal or self.journal))
        command = [str(BIN / "chaos"), "--no-version-check", "--log-file", str(self.place / "chaos.log")]
        return self._start([*command, "run", *where, *options, str(file)])

    def start_drill(self, file: Path, *options: str, home: str | Path = "") -> subprocess.Popen[str]:
        """Start `chaosdrill run --json`."""
        command = [str(BIN / "chaosdrill"), "--home", str(home or self.place), "run", "--json"]
        return self._start([*command, *options, str(file)])

    def chaos(self, file: Path, *options: str, journal: str | Path = "") -> Ending:
        """Play the file under `chaos run` to its end."""
        return self.end(self.start_chaos(file, *options, journal=journal))

    def drill(self, file: Path, *options: str, home: str | Path = "") -> Ending:
        """Play the file under chaosdrill to its end."""
        return self.end(self.start_drill(file, *options, home=home))

    def end(self, process: subprocess.Popen[str]) -> Ending:
        """Wait for a run, and return what it left."""
        out, err = process.communicate(timeout=PATIENCE)
        try:
            journal = json.loads(self.journal.read_text())
        except (OSError, ValueError):
            journal = {}
        return Ending(process.returncode, self.fault.exists(), out, err, journal)

    # ---- while it goes on

    def hear(self, word: str) -> None:
        """Wait until the experiment says that it has come to `word`."""
        until = time.monotonic() + PATIENCE
        while f"{word}\n" not in self._heard:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._told], [], [], left)[0]:
                raise AssertionError(f"never heard {word!r}, only {self._heard!r}")
            self._heard += os.read(self._told, 4096).decode()
        self._heard = self._heard.partition(f"{word}\n")[2]

    def strike(self, process: subprocess.Popen[str], number: signal.Signals, when: str = "staying") -> None:
        """Send a signal to the tool alone, once the experiment has come to `when`."""
        self.hear(when)
        process.send_signal(number)

    @property
    def folder(self) -> Path:
        """The only run folder."""
        (found,) = (self.place / "runs").iterdir()
        return found

    def event(self, name: str) -> dict[str, Any]:
        """Wait until the run has journalled an event of that name, and return it."""
        until = time.monotonic() + PATIENCE
        while True:
            rows = map(json.loads, (self.folder / "journal.jsonl").read_text().splitlines())
            found = next((row for row in rows if row["event"] == name), None)
            if found is not None:
                return dict(found)
            if time.monotonic() > until:
                raise AssertionError(f"no {name} in the journal")
            time.sleep(0.05)

    def sealed(self) -> dict[str, Any]:
        """Wait until somebody has sealed the record, and return it."""
        until = time.monotonic() + PATIENCE
        while True:
            facts = json.loads((self.folder / "run.json").read_text())
            if facts["state"] == "sealed":
                assert isinstance(facts, dict)
                return facts
            if time.monotonic() > until:
                raise AssertionError("nobody sealed the record")
            time.sleep(0.05)

    def _start(self, command: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.place,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
