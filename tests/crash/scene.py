"""A run that is about to be killed: where it stands still, whom to kill, and what must be true afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaosdrill.record.running import birth
from chaosdrill.sandbox import client
from commandline import BIN, CommandLine

#: Far beyond what anything here takes: a test that waits so long has failed.
PATIENCE = 60.0
#: Longer than any kill and clean-up takes: what is off by then was undone, and did not end by itself.
FAULT_SECONDS = 25
EVERYBODY = ("runner", "engine", "watchdog")


def until(true: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Return the first answer of `true` that counts; fail with `what` when none comes."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = true()
        if found:
            return found
        time.sleep(0.002)
    raise AssertionError(f"{what} did not happen within {patience:g} s")


def experiment(place: Path, *, seconds: float = FAULT_SECONDS) -> None:
    """Write a file with one fault and one rollback, without a baseline to wait for."""
    arguments = {"duration": f"{seconds} s", "delay": "5 ms"}
    provider = {"type": "python", "module": "chaosdrill.actions", "func": "network_latency"}
    fault = {**provider, "arguments": arguments}
    mark = {"type": "process", "path": "touch", "arguments": str(place / "rolled-back")}
    path = place / "experiment.json"
    path.write_text(
        json.dumps(
            {
                "title": "Killed",
                "description": "A run that is about to be killed.",
                "method": [{"type": "action", "name": "break", "provider": fault}],
                "rollbacks": [{"type": "action", "name": "mark", "provider": mark}],
            }
        )
    )


@dataclass
class Scene:
    """One run on one sandbox, and the processes that it is made of."""

    line: CommandLine
    sandbox: client.Sandbox
    step: str = ""
    seconds: float = FAULT_SECONDS
    process: subprocess.Popen[str] | None = None
    killed: list[str] = field(default_factory=list)
    took: float = 0.0

    # ---- before

    def start(self) -> None:
        """Write the file and start the run."""
        self.write()
        self.begin()

    def write(self) -> None:
        """Write the file that is to be run."""
        self.line.place.mkdir(parents=True, exist_ok=True)
        experiment(self.line.place, seconds=self.seconds)

    def begin(self, *arguments: str) -> None:
        """Start the run in a process group of its own; it stands still at `step`."""
        file = str(self.line.place / "experiment.json")
        stop = {"CHAOSDRILL_FAILPOINT": f"{self.line.place}:{self.step}"} if self.step else {}
        self.process = subprocess.Popen(
            [str(BIN / "chaosdrill"), "run", "--json", "--report", "none", *arguments, file],
            cwd=self.line.place,
            env={**self.line.environment, **stop},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def reach(self) -> int:
        """Wait until some process stands at `step`; return its id."""

        def there() -> bool:
            place = self.line.place / self.step
            ended = self.process is not None and self.process.poll() is not None
            assert not ended or self.killed or place.is_file(), self.finished()
            return place.is_file()

        until(there, self.step)
        return int((self.line.place / self.step).read_text())

    def go(self) -> None:
        """Let whoever stands at `step` go on."""
        (self.line.place / "go").touch()

    def await_fault(self) -> None:
        """Wait until the sandbox says that the fault is on."""

        def on() -> bool:
            assert self.process is None or self.process.poll() is None, self.finished()
            return bool(self.sandbox.faults())

        until(on, "the fault")

    def interrupt(self) -> None:
        """Press Ctrl-C, once the fault is on: then the engine undoes it early."""
        self.await_fault()
        os.kill(self.processes()["runner"], signal.SIGINT)

    def processes(self) -> dict[str, int]:
        """Return the ids of the run's processes, as they were registered."""
        path = until(lambda: next(iter(self._registry.glob("*.json")), None), "the registration")
        facts = json.loads(path.read_text())
        return {name: facts[name][0] for name in ("runner", "engine", "watchdog")}

    # ---- the kill

    def kill_known(self, *victims: str) -> float:
        """Kill those of a run's processes that are there by now; return when, in monotonic seconds."""
        assert self.process is not None
        entries = list(self._registry.glob("*.json"))
        facts = json.loads(entries[0].read_text()) if entries else {}
        pids = [int(facts[victim][0]) for victim in victims if victim in facts]
        if "runner" in victims:
            pids.append(self.process.pid)
        for pid in pids:
            _kill(pid)
        return time.monotonic()

    def stop(self) -> None:
        """Press Ctrl-C, wherever the run is by now."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)

    def left_alone(self) -> None:
        """Wait until the watchdog of this run has ended."""
        for entry in list(self._registry.glob("*.json")):
            try:
                pid = int(json.loads(entry.read_text())["watchdog"][0])
            except (OSError, ValueError, KeyError):
                continue
            until(lambda pid=pid: not _runs(pid), "the end of the watchdog")

    def runs(self) -> list[Path]:
        """Return the folders of the runs that got so far as to have one."""
        return sorted((self.line.place / "runs").glob("*/"))

    @property
    def _registry(self) -> Path:
        return Path(self.line.environment["XDG_STATE_HOME"]) / "chaosdrill" / "running"

    def kill(self, *victims: str) -> float:
        """Send SIGKILL to these of the run's processes at once; return when, in monotonic seconds."""
        known = self.processes()
        for victim in victims:
            if victim == "group":
                os.killpg(known["runner"], signal.SIGKILL)
            else:
                _kill(known[victim])
        self.killed += victims
        return time.monotonic()

    # ---- after

    @property
    def folder(self) -> Path:
        """The run's folder: the only one."""
        return next((self.line.place / "runs").iterdir())

    def facts(self) -> dict[str, Any]:
        """Return run.json as it is now."""
        found: dict[str, Any] = json.loads((self.folder / "run.json").read_text())
        return found

    def events(self) -> list[dict[str, Any]]:
        """Return the journal, every line of which must parse."""
        lines = (self.folder / "journal.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines if line]

    def finished(self) -> tuple[int, str]:
        """Wait for the command that was started; return its exit code and what it said on standard error."""
        assert self.process is not None
        out, err = self.process.communicate(timeout=PATIENCE)
        assert "Traceback" not in out + err
        return self.process.returncode, err

    def end(self) -> None:
        """End the command if it still runs, and read what it said, if nobody has."""
        if self.process is None or self.process.stdout is None or self.process.stdout.closed:
            return
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)

    def clean(self) -> float:
        """Wait until the sandbox itself says that nothing is on; return when, in monotonic seconds."""
        until(lambda: not self.sandbox.faults(), "the undo", patience=15.0)
        return time.monotonic()

    def sealed(self) -> dict[str, Any]:
        """Wait until the run is recorded to its end and its lock is free; return run.json."""
        until(lambda: self.facts()["state"] == "sealed", "the seal")
        lock = self.sandbox.directory / "run.lock"
        until(lambda: not lock.exists() or not lock.read_text(), "the release of the lock")
        return self.facts()

    def recover(self) -> dict[str, Any]:
        """Have a person recover the run; it must end clean."""
        answer = self.line("recover", "--json", str(self.folder))
        assert answer.code == 0, answer.out + answer.err
        return self.sealed()


NewScene = Callable[..., Scene]


def new_scene(place: Path, directory: Path, environment: dict[str, str], **more: object) -> Scene:
    """Return a scene in `place` on the sandbox in `directory`, registered in a place of its own."""
    own = {"XDG_STATE_HOME": str(place / "state"), "CHAOSDRILL_SANDBOX_DIR": str(directory)}
    sandbox = client.find(directory)
    assert sandbox is not None
    return Scene(CommandLine(place, {**environment, **own}), sandbox, **more)  # type: ignore[arg-type]


def _runs(pid: int) -> bool:
    return bool(birth(pid))


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def proved(scene: Scene) -> None:
    """Assert what must be true of every run that was killed, whoever it was that died."""
    facts = scene.facts()
    verdict = facts["verdict"]
    assert facts["state"] == "sealed"
    assert scene.sandbox.faults() == []
    assert verdict["cleanup"]["state"] != "failed", verdict["cleanup"]
    assert (verdict["word"], verdict["exit_code"]) == ("ABORTED", 4), verdict["why"]
    rows = [json.loads(line) for line in (scene.folder / "ledger.jsonl").read_text().splitlines()]
    intended = {row["id"] for row in rows if row["state"] == "intended"}
    assert intended <= {row["id"] for row in rows if row["state"] == "undone" and not row["residue"]}
    assert scene.events()[-1]["event"] == "run.sealed"
