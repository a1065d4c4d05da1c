"""The run folder: opened with intent before anything happens, sealed with results and checksums.

The folder alone is the truth of a run; everything that is shown later is read from it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chaosdrill import redact
from chaosdrill.errors import RecordUnusable, UsageError
from chaosdrill.record import ledger

RUN, JOURNAL, INBOX, LEDGER = "run.json", "journal.jsonl", "inbox.jsonl", ledger.NAME
SAMPLES, ENGINE, ENGINE_LOG = "samples.csv", "engine.json", "engine.log"

#: What a checksum would be stale for: files that are still written after sealing, or hold the checksums.
_UNSUMMED = {RUN, INBOX, "answers.jsonl", "watchdog.log"}


class RunFolder:
    """One folder under `runs/`, by the path it lies at."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def id(self) -> str:
        """The run's name: its folder's."""
        return self.path.name

    def file(self, name: str) -> Path:
        """Return where `name` lies in this folder."""
        return self.path / name

    def facts(self) -> dict[str, Any]:
        """Return run.json. Raises RecordUnusable when it is missing or broken."""
        try:
            facts = json.loads(self.file(RUN).read_text("utf-8"))
        except OSError as error:
            raise RecordUnusable(f"{self.path} is not a run folder: {error.strerror}") from error
        except ValueError as error:
            raise RecordUnusable(f"{self.file(RUN)} is broken: {error}") from error
        if not isinstance(facts, dict):
            raise RecordUnusable(f"{self.file(RUN)} is broken: it is not an object")
        return facts

    def write_facts(self, facts: dict[str, Any]) -> None:
        """Replace run.json at once: a reader sees the old one or the new one. Raises RecordUnusable."""
        self.write_text(RUN, json.dumps(facts, indent=2, ensure_ascii=False, default=str) + "\n")

    def write_text(self, name: str, text: str) -> Path:
        """Replace the file `name` at once, secrets masked, and return its path. Raises RecordUnusable."""
        path = self.file(name)
        fresh = path.with_name(f".{name}.{os.getpid()}.new")
        try:
            fresh.write_text(redact.known.text(text), "utf-8")
            fresh.replace(path)
        except OSError as error:
            raise RecordUnusable(f"{path} cannot be written: {error.strerror}") from error
        return path

    def update_facts(self, **changes: Any) -> dict[str, Any]:
        """Change keys of run.json and return the whole."""
        facts = {**self.facts(), **changes}
        self.write_facts(facts)
        return facts

    def checksums(self) -> dict[str, str]:
        """Return the SHA-256 of every file that will not change any more, by its name."""
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.path.iterdir())
            if path.is_file() and path.name not in _UNSUMMED and not path.name.startswith(".")
        }

    def altered(self) -> list[str]:
        """Return the names of files that differ from the checksums they were sealed with, or are gone."""
        sealed = self.facts().get("checksums", {})
        now = self.checksums()
        return [name for name, digest in sealed.items() if now.get(name) != digest]


def run_id(title: str, moment: float, entropy: str) -> str:
    """Return a folder name that sorts by time: '2026-11-21T10-02-11Z-payments-survive-the-a1b2'."""
    stamp = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain)
    slug = ""
    for word in words:
        if len(slug) + len(word) > 28:
            break
        slug = f"{slug}-{word}" if slug else word
    return f"{stamp}-{slug or 'run'}-{entropy}"


def create(home: Path, name: str, facts: dict[str, Any]) -> RunFolder:
    """Open the folder `runs/name` under `home` with `facts`.

    Raises RecordUnusable when it can't be made, before anything has happened.
    """
    path = home / "runs" / name
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise RecordUnusable(
            f"the run folder {path} cannot be made: {error.strerror}",
            next_step="choose another place with --home or CHAOSDRILL_HOME",
        ) from error
    folder = RunFolder(path)
    folder.write_facts(facts)
    return folder


def all_runs(home: Path) -> list[RunFolder]:
    """Return every run under `home`, oldest first; names begin with the time."""
    return sorted(_folders(home), key=lambda folder: folder.id)


def find(home: Path, name: str) -> RunFolder:
    """Return the run that `name` means: a path, an id, any unambiguous part of an id, or `last`.

    Raises UsageError when there is none, or more than one.
    """
    direct = Path(name)
    if (direct / RUN).is_file():
        return RunFolder(direct.resolve())
    runs = all_runs(home)
    if not runs:
        raise UsageError(f"no runs in {home / 'runs'}", next_step="start one: chaosdrill run FILE")
    if name == "last":
        return runs[-1]
    exact = [r for r in runs if r.id == name]
    partial = exact or [r for r in runs if name in r.id]
    if not partial:
        raise UsageError(
            f"no run matches {name!r} in {home / 'runs'}", next_step="list them: chaosdrill runs"
        )
    if len(partial) > 1:
        names = ", ".join(r.id for r in partial[-3:])
        raise UsageError(
            f"{name!r} matches {len(partial)} runs, among them {names}", next_step="say more of it"
        )
    return partial[0]


def _folders(home: Path) -> Iterator[RunFolder]:
    runs = home / "runs"
    if not runs.is_dir():
        return
    for path in runs.iterdir():
        if (path / RUN).is_file():
            yield RunFolder(path)
