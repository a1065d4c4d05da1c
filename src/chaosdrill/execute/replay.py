"""The file's rollbacks, played by a new engine because the one that should have played them is gone.

What was played already is read from the journal, so that this works for whoever comes after. A rollback that
could not be played, or that failed, is residue: nobody knows whether what it should undo is undone.
"""

from __future__ import annotations

import hashlib
import json
import queue
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from chaosdrill import redact
from chaosdrill.errors import EngineFailed, InvalidFile
from chaosdrill.execute.unwind import Tell
from chaosdrill.ports import Clock
from chaosdrill.record import journal
from chaosdrill.record.folder import ENGINE, JOURNAL, RunFolder
from chaosdrill.record.outcome import refused

#: How long the rollbacks may take together, in seconds; then the engine is ended by force.
LIMIT = 300.0
_TURN = 0.2


class RollbackEngine(Protocol):
    """An engine that can be asked for a file's rollbacks alone."""

    def prepare(self, request: Mapping[str, Any]) -> Mapping[str, Any]: ...
    def listen(self, listener: Callable[[dict[str, Any]], None]) -> None: ...
    def play_rollbacks(self, folder: str, skip: list[int]) -> None: ...
    def end(self, grace: float = 2.0) -> None: ...


class Replay:
    """What a replay is made with; `open_engine(cwd)` starts an engine in that folder."""

    def __init__(
        self, folder: RunFolder, open_engine: Callable[[str], RollbackEngine], clock: Clock, tell: Tell
    ) -> None:
        self._folder = folder
        self._open_engine = open_engine
        self._clock = clock
        self._tell = tell

    def play(
        self,
        request: Mapping[str, Any],
        cwd: str,
        turn: Callable[[], None] = lambda: None,
        *,
        failed_too: bool = False,
    ) -> tuple[list[str], list[str]]:
        """Play what is missing; return the names of what was played, and what is residue, in words.

        `failed_too` plays what had failed once more. Does nothing when the engine had not been told to play
        the file, or stopped at a gate that was not met: then nothing was done that rollbacks would undo.
        `turn` is called about five times a second.
        """
        events = journal.read(self._folder.file(JOURNAL))
        if not _began(events):
            return [], []
        skip = sorted(_ended(events, failed_too=failed_too) | self._journalled(failed_too=failed_too))
        try:
            engine = self._open_engine(cwd)
        except EngineFailed as problem:
            return [], [self._unplayed(str(problem))]
        try:
            engine.prepare(self._readable(request, cwd))
            return self._heard(engine, skip, turn)
        except (EngineFailed, InvalidFile, OSError, ValueError) as problem:
            return [], [self._unplayed(str(problem))]
        finally:
            engine.end(grace=1.0)

    def _heard(
        self, engine: RollbackEngine, skip: list[int], turn: Callable[[], None]
    ) -> tuple[list[str], list[str]]:
        events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        engine.listen(events.put)
        engine.play_rollbacks(str(self._folder.path), skip)
        deadline = self._clock.mono() + LIMIT
        played: list[str] = []
        residue: list[str] = []
        while self._clock.mono() < deadline:
            turn()
            try:
                message = events.get(timeout=_TURN)
            except queue.Empty:
                continue
            event, at = message.pop("event"), message.pop("at", None)
            if event == "engine.gone":
                return played, [*residue, self._unplayed("the engine died while it played them")]
            if event in ("engine.ended", "engine.started"):
                continue
            self._tell(event, at=at, **message)
            if event == "activity.ended" and message.get("section") == "rollbacks":
                played.append(str(message.get("name", "")))
                if message.get("status") != "succeeded":
                    residue.append(failed(message))
            if event == "rollbacks.replayed":
                left_out = [
                    f"rollback {name} was not played: it would inject" for name in message["left_out"]
                ]
                if message["error"]:
                    residue.append(self._unplayed(str(message["error"])))
                return played, residue + left_out
        return played, [*residue, self._unplayed(f"they took longer than {LIMIT:g} s")]

    def _journalled(self, *, failed_too: bool) -> set[int]:
        """Return the places that the engine's own journal has, in case it outlived the runner."""
        try:
            runs = json.loads(self._folder.file(ENGINE).read_text("utf-8")).get("rollbacks") or ()
        except (OSError, ValueError, AttributeError):
            return set()
        return {
            place
            for place, run in enumerate(runs)
            if run.get("status") and not (failed_too and (run["status"] != "succeeded" or refused(run)))
        }

    def _readable(self, request: Mapping[str, Any], cwd: str) -> Mapping[str, Any]:
        """Return the request with the bytes of then as its source: the original, or the folder's copy."""
        if redact.MASK in json.dumps(dict(request), default=str, ensure_ascii=False):
            raise ValueError("they need a secret that stands in no file")
        if not request:
            raise ValueError("nobody knows any more what the engine was asked to play")
        original, digest = Path(cwd, str(request["source"])), request.get("digest")
        if original.is_file() and digest in (None, hashlib.sha256(original.read_bytes()).hexdigest()):
            return request
        copy = self._folder.file(str(self._folder.facts()["source"]["file"]))
        return {**request, "source": str(copy.absolute())}

    def _unplayed(self, why: str) -> str:
        self._tell("rollbacks.unplayed", why=why)
        return f"the file's rollbacks were not played: {why}"


def failed(ended: Mapping[str, Any]) -> str:
    """Return what a failed rollback means, from its activity.ended."""
    error = f": {ended['error']}" if ended.get("error") else ""
    return f"rollback {ended.get('name', '')} {ended.get('status', 'failed')}{error}"


def _began(events: list[journal.Event]) -> bool:
    if not any(event["event"] == "engine.started" for event in events):
        return False
    gate = [e for e in events if e["event"] == "hypothesis.ended" and e.get("moment") == "before"]
    return all(event.get("met") for event in gate)


def _ended(events: list[journal.Event], *, failed_too: bool) -> set[int]:
    return {
        int(event["place"])
        for event in events
        if event["event"] == "activity.ended"
        and event.get("section") == "rollbacks"
        and "place" in event
        and (event.get("status") == "succeeded" or not failed_too)
    }
