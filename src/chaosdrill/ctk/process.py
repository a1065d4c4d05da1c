"""The runner's end of the engine: starts it, talks to it, ends it.

Standard library only, so that the engine can be started before anything else is imported: it loads Chaos
Toolkit while the runner reads the experiment.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from chaosdrill.ctk.channel import Message, messages
from chaosdrill.errors import EngineFailed, InvalidFile, Problem

#: How long the engine may take to load an experiment; a control or a slow URL may hang for ever.
PREPARE_LIMIT = 60.0


class EngineProcess:
    """One engine: `start`, `prepare`, `play`, then events until `gone`. It works in the folder `cwd`."""

    def __init__(self, cwd: str | None = None) -> None:
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None
        self._replies: queue.Queue[Message] = queue.Queue()
        self._listener: Callable[[Message], None] = self._replies.put
        self._reader: threading.Thread | None = None
        self._switch = threading.Lock()
        self.gone = threading.Event()

    @property
    def pid(self) -> int:
        """The engine's process id, 0 before it was started; its process group has the same number."""
        return self._process.pid if self._process else 0

    @property
    def code(self) -> int | None:
        """What the process ended with, None while it runs; negative for a signal."""
        return self._process.poll() if self._process else None

    def start(self) -> None:
        """Start the engine in a session of its own, so that Ctrl-C reaches the runner alone."""
        reading, writing = os.pipe()
        try:
            # -P: like the `chaos` command, modules are not looked up in the working directory.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "chaosdrill.ctk.child", str(writing)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(writing,),
                start_new_session=True,
                cwd=self._cwd,
            )
        except OSError as error:
            os.close(reading)
            raise EngineFailed(f"the engine cannot be started: {error.strerror}") from error
        finally:
            os.close(writing)
        self._reader = threading.Thread(target=self._read, args=(reading,), name="engine", daemon=True)
        self._reader.start()

    def prepare(self, request: Mapping[str, Any]) -> Message:
        """Have the file loaded, validated and expanded; return `configuration`, `faults` and `title`.

        Raises InvalidFile with Chaos Toolkit's own words, and EngineFailed when it dies or hangs.
        """
        self._send({"command": "prepare", **request})
        try:
            reply = self._replies.get(timeout=PREPARE_LIMIT)
        except queue.Empty:
            self.end()
            raise EngineFailed(f"Chaos Toolkit did not load the file within {PREPARE_LIMIT:g} s") from None
        if reply["event"] == "invalid":
            raise InvalidFile(str(request["source"]), [Problem(0, 0, reply["message"])])
        if reply["event"] != "prepared":
            raise EngineFailed(f"the engine died while loading the file: {reply.get('error', reply)}")
        return reply

    def fingerprint(self, salt: str) -> Mapping[str, str]:
        """Return digests of the resolved configuration and secrets under `salt`, once prepared.

        A salt that begins with 'scrypt:' makes them slow to guess, for approvals that are kept in files; any
        other gives a plain HMAC. Raises EngineFailed.
        """
        self._send({"command": "fingerprint", "salt": salt})
        try:
            reply = self._replies.get(timeout=PREPARE_LIMIT)
        except queue.Empty:
            raise EngineFailed("the engine does not answer") from None
        if reply["event"] != "fingerprint":
            raise EngineFailed(f"the engine died: {reply.get('error', reply)}")
        return {"configuration": reply["configuration"], "secrets": reply["secrets"]}

    def listen(self, listener: Callable[[Message], None]) -> None:
        """Have every further event go to `listener`, in the reading thread; the last one is engine.gone."""
        with self._switch:
            self._listener = listener
            while not self._replies.empty():
                listener(self._replies.get_nowait())

    def play(self, folder: str, cleared: Sequence[Mapping[str, Any]]) -> None:
        """Start the experiment with these cleared faults; progress arrives as events."""
        self._tell({"command": "play", "folder": folder, "cleared": list(cleared)})

    def play_rollbacks(self, folder: str, skip: Sequence[int]) -> None:
        """Play the file's rollbacks alone, apart from those at these places; progress arrives as events."""
        self._tell({"command": "rollbacks", "folder": folder, "skip": list(skip)})

    def abort(self) -> None:
        """Ask for an early end: the engine undoes what it started and plays its rollbacks."""
        self._tell({"command": "abort"})

    def end(self, grace: float = 2.0) -> None:
        """End the engine and whatever it started, by force after `grace` seconds. Right when called twice."""
        process = self._process
        if process is None:
            return
        if process.stdin and not process.stdin.closed:
            try:
                process.stdin.close()
            except BrokenPipeError:
                pass
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            pass
        # The group outlives its leader when an activity left something behind.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        process.wait()
        if self._reader is not None and self._reader is not threading.current_thread():
            self._reader.join(5.0)

    def _tell(self, command: Message) -> None:
        try:
            self._send(command)
        except EngineFailed:
            return  # Gone already: `gone` says so, and the runner undoes what is left.

    def _send(self, command: Message) -> None:
        if self._process is None or self._process.stdin is None:
            raise EngineFailed("the engine was not started")
        try:
            self._process.stdin.write((json.dumps(command, default=str) + "\n").encode())
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise EngineFailed(f"the engine is gone: {error}") from error

    def _read(self, descriptor: int) -> None:
        for message in messages(descriptor):
            self._deliver(message)
        self.gone.set()
        self._deliver({"event": "engine.gone"})

    def _deliver(self, message: Message) -> None:
        with self._switch:
            self._listener(message)


_spare: EngineProcess | None = None


def start_spare() -> None:
    """Start an engine before anything else is imported; the first `started` hands it out.

    One that can't be started is no error yet: `started` meets it again, where it can be said.
    """
    global _spare  # noqa: PLW0603 - a process has one command line, and at most one head start
    _spare = EngineProcess()
    with suppress(EngineFailed):
        _spare.start()


def end_spare() -> None:
    """End the engine of `start_spare` if nobody took it, as when the command line made no sense."""
    if _spare is not None:
        _spare.end(grace=0.0)


def started_in(cwd: str) -> EngineProcess:
    """Return a new engine that works in the folder `cwd`. Raises EngineFailed."""
    engine = EngineProcess(cwd)
    engine.start()
    return engine


def started() -> EngineProcess:
    """Return an engine that has been started: the spare one, or a new one. Raises EngineFailed."""
    global _spare
    engine, _spare = _spare or EngineProcess(), None
    if not engine.pid:
        engine.start()
    return engine
