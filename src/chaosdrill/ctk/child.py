"""The engine: Chaos Toolkit plays one experiment in this process, which the runner watches over.

Started as `python -m chaosdrill.ctk.child EVENTS_FD` before the runner knows what it will play, so that both
load at the same time. It answers `prepare` with the expanded file and `play` with the run. It wants the main
thread for Chaos Toolkit's signals; commands are read by a second one.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import logging
import os
import queue
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import chaoslib
import chaoslib.control
import chaostoolkit
from chaoslib import convert_vars, merge_vars
from chaoslib.exceptions import ChaosException
from chaoslib.experiment import ensure_experiment_is_valid, load_experiment, run_experiment
from chaoslib.log import configure_logger
from chaoslib.notification import RunFlowEvent, notify
from chaoslib.settings import load_settings
from chaoslib.types import Dry, Schedule
from chaostoolkit import encoder
from chaostoolkit.check import check_hypothesis_strategy_spelling

from chaosdrill import redact
from chaosdrill.clock import SystemClock
from chaosdrill.ctk import channel, controls, expansion, rollbacks
from chaosdrill.ctk.log import EngineLog
from chaosdrill.ctk.observer import Observer
from chaosdrill.record import context
from chaosdrill.record.folder import ENGINE, ENGINE_LOG, LEDGER
from chaosdrill.record.ledger import Ledger
from chaosdrill.redact import Redactor, secret_values

#: What Chaos Toolkit itself says of these; everything else an author's file or code may raise is said as is.
_USER_MISTAKES = (ChaosException, ValueError, KeyError, TypeError, AttributeError, OSError)


class Loaded:
    """An experiment with everything that playing it needs."""

    def __init__(self, request: dict[str, Any]) -> None:
        os.environ.update(request.get("environment") or {})
        options = request["options"]
        self.settings = load_settings(options.get("settings") or str(_default_settings())) or {}
        self.variables = merge_vars(
            convert_vars(options.get("var") or []), list(options.get("var_file") or [])
        )
        with controls.importing():
            chaoslib.control.load_global_controls(self.settings, list(options.get("control_file") or []))
        self.experiment = load_experiment(request["source"], self.settings)
        _same_bytes(request)
        ensure_experiment_is_valid(self.experiment)
        controls.check(self.experiment)
        self.configuration, self.secrets = expansion.resolve(self.experiment, self.variables)
        self.faults = expansion.fault_actions(self.experiment, self.configuration, self.secrets)
        self.experiment["dry"] = Dry.from_string(options.get("dry"))
        self.dry = options.get("dry")
        self._strategies(options)

    def fingerprint(self, salt: str) -> dict[str, str]:
        """Return digests of the configuration and of the secrets under `salt`."""
        return {
            "configuration": expansion.fingerprint(self.configuration, salt),
            "secrets": expansion.fingerprint(self.secrets, salt) if self.secrets else "",
        }

    def _strategies(self, options: dict[str, Any]) -> None:
        """Apply settings, then the file, then the command line, in Chaos Toolkit's order.

        Where nobody says anything about rollbacks, they are always played: Chaos Toolkit's own default skips
        them after a failed or interrupted run, which is when they are needed.
        """
        runtime = self.settings.setdefault("runtime", {})
        own = self.experiment.get("runtime") or {}
        for part, default in (("rollbacks", "always"), ("hypothesis", "default")):
            chosen = runtime.setdefault(part, {}).get("strategy") or default
            if own:
                chosen = (own.get(part) or {}).get("strategy") or chosen
            runtime[part]["strategy"] = options.get(f"{part}_strategy") or chosen
        self.strategy = check_hypothesis_strategy_spelling(runtime["hypothesis"]["strategy"])
        self.schedule = Schedule(
            continuous_hypothesis_frequency=float(options.get("hypothesis_frequency") or 1.0),
            fail_fast=bool(options.get("fail_fast")),
        )


class EngineProcess:
    """The engine's side of the conversation."""

    def __init__(self, events: channel.Events, clock: SystemClock) -> None:
        self._events = events
        self._clock = clock
        self._commands: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._context: context.RunContext | None = None
        self._aborting = threading.Event()

    def serve(self) -> int:
        """Answer commands until the run has been played or the runner is gone; return the exit status."""
        threading.Thread(target=self._listen, name="commands", daemon=True).start()
        loaded: Loaded | None = None
        while (command := self._commands.get()) is not None:
            if command["command"] == "prepare":
                loaded = self._prepare(command)
            elif command["command"] == "fingerprint" and loaded is not None:
                self._events.send({"event": "fingerprint", **loaded.fingerprint(command["salt"])})
            elif command["command"] == "play" and loaded is not None:
                return self._play(loaded, command)
            elif command["command"] == "rollbacks" and loaded is not None:
                return self._play_rollbacks(loaded, command)
        return 0

    def _listen(self) -> None:
        for command in channel.messages(os.dup(0)):
            if command.get("command") == "abort":
                self._abort()
            else:
                self._commands.put(command)
        # The runner is gone: nothing may go on without somebody who watches it.
        self._abort()
        self._commands.put(None)

    def _abort(self) -> None:
        self._aborting.set()
        if self._context is not None:
            self._context.stopping.set()
            # To the main thread by name: only there does it end a sleep.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def _prepare(self, request: dict[str, Any]) -> Loaded | None:
        try:
            loaded = Loaded(request)
        except _USER_MISTAKES as error:
            self._events.send({"event": "invalid", "message": _said(error)})
            return None
        secrets = secret_values(loaded.secrets)
        # Through the pipe alone, so that the runner can mask them too.
        self._events.send_openly({"event": "prepared", "secret_values": secrets, **self._prepared(loaded)})
        self._events.redactor = Redactor(secrets)
        self._events.redactor.learn(redact.named_secrets(os.environ))
        self._events.redactor.learn(redact.named_secrets(loaded.configuration))
        self._events.redactor.learn(redact.written_secrets(loaded.experiment, os.environ))
        return loaded

    def _control_failed(self, name: str, error: str) -> None:
        """Stop at the next activity: a gate that breaks is shut."""
        if self._context is not None:
            self._context.stopping.set()
        self._events.send({"event": "run.stopping", "reason": f"the control {name} failed: {error}"})

    @staticmethod
    def _prepared(loaded: Loaded) -> dict[str, Any]:
        return {
            "configuration": loaded.configuration,
            "faults": loaded.faults,
            "title": loaded.experiment.get("title", ""),
            "versions": {
                "chaostoolkit": chaostoolkit.__version__,
                "chaostoolkit-lib": chaoslib.__version__,
            },
        }

    def _play(self, loaded: Loaded, command: dict[str, Any]) -> int:
        folder = Path(command["folder"])
        ledger = Ledger(folder / LEDGER, self._clock)
        run = context.RunContext(folder.name, ledger, command["cleared"], self._events.send)
        run.masked = self._events.redactor.tree
        context.enter(run)
        self._context = run
        log = EngineLog(folder / ENGINE_LOG, self._events.redactor)
        observer = Observer(self._events, run)
        controls.watch(self._control_failed)
        if self._aborting.is_set():
            run.stopping.set()
        notify(loaded.settings, RunFlowEvent.RunStarted, loaded.experiment)
        error, whole = "", False
        try:
            journal = run_experiment(
                loaded.experiment,
                settings=loaded.settings,
                experiment_vars=loaded.variables,
                strategy=loaded.strategy,
                schedule=loaded.schedule,
                event_handlers=[observer],
            )
            whole = True
        except Exception as failure:  # whatever it was, the journal must not be lost
            logging.getLogger("chaostoolkit").critical("Chaos Toolkit failed", exc_info=True)
            error = _said(failure)
            journal = {**(observer.journal or {}), "status": "aborted"}
        except SystemExit:
            # The run was stopped in the moment before Chaos Toolkit could have caught it.
            journal = {**(observer.journal or {}), "status": "interrupted"}
        if not whole and observer.owes_rollbacks:
            self._catch_up(loaded, run)
        if "dry" in journal.get("experiment", {}):
            journal["experiment"]["dry"] = loaded.dry
        _write_journal(folder / ENGINE, self._events.redactor.tree(journal))
        _notify_end(loaded.settings, journal)
        said = {"status": journal.get("status"), "deviated": bool(journal.get("deviated"))}
        log.close()
        self._events.send({"event": "engine.ended", **said, "error": error})
        return 0

    def _catch_up(self, loaded: Loaded, run: context.RunContext) -> None:
        """Play the rollbacks: Chaos Toolkit did not come to them, and what the method did is still on."""
        said = rollbacks.play(loaded, (), self._events, run)
        if said["error"]:
            self._events.send({"event": "rollbacks.unplayed", "why": said["error"]})

    def _play_rollbacks(self, loaded: Loaded, command: dict[str, Any]) -> int:
        folder = Path(command["folder"])
        run = context.RunContext(folder.name, Ledger(folder / LEDGER, self._clock), [], self._events.send)
        context.enter(run)
        log = EngineLog(folder / ENGINE_LOG, self._events.redactor)
        controls.watch(self._control_failed)
        said = rollbacks.play(loaded, command["skip"], self._events, run)
        log.close()
        self._events.send({"event": "rollbacks.replayed", **said})
        return 0


def _same_bytes(request: dict[str, Any]) -> None:
    """Raise ValueError when the file is no longer what the runner read its block and faults from."""
    digest = request.get("digest")
    if digest and hashlib.sha256(Path(request["source"]).read_bytes()).hexdigest() != digest:
        raise ValueError("the file was changed while it was being read; run it again")


def _default_settings() -> Path:
    return Path("~/.chaostoolkit/settings.yaml").expanduser()


def _said(error: BaseException) -> str:
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    if isinstance(error, ChaosException) and first:
        return first
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _write_journal(path: Path, journal: dict[str, Any]) -> None:
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(journal, file, indent=2, ensure_ascii=False, default=_encode)
    fresh.replace(path)


def _encode(value: object) -> Any:
    try:
        return encoder(value)
    except TypeError:
        # An output that JSON has no form for would otherwise cost the whole journal.
        return repr(value)


def _notify_end(settings: dict[str, Any], journal: dict[str, Any]) -> None:
    completed = journal.get("status") == "completed"
    notify(settings, RunFlowEvent.RunCompleted if completed else RunFlowEvent.RunFailed, journal)
    if journal.get("deviated"):
        notify(settings, RunFlowEvent.RunDeviated, journal)


def main() -> int:
    """Serve the runner whose event pipe is the first argument; return the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the runner's to decide about.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # Its default ends the process; a run sets its own.
    clock = SystemClock()
    events = channel.Events(int(sys.argv[1]), clock.now)
    configure_logger()
    return EngineProcess(events, clock).serve()


def _leave(code: int) -> None:
    """End at once, without taking the interpreter apart: the runner waits for this process.

    What activities have registered for the end is run, and threads that must not be cut off are waited for.
    """
    others = [t for t in threading.enumerate() if not t.daemon and t is not threading.main_thread()]
    if others:
        sys.exit(code)
    atexit._run_exitfuncs()
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    _leave(main())
