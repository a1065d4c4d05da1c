"""Where approvals lie: the signed files, what was revoked, and which run used what.

Files and locks only: whether an approval counts is decided in preflight. An approval lies in a file of its
own, `ID-NAME.json`, made of the text that was signed and its signature. `ID.revoked.json` beside it revokes
it, whatever that file says. Uses are lines in `uses.jsonl`, kept a second time in this user's state, so that
a fresh copy of a repository is no fresh approval on the same machine.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from chaosdrill.errors import RecordUnusable, Refused
from chaosdrill.record.running import state_home

FOLDER, USES, REVOKED = "approvals", "uses.jsonl", ".revoked.json"
#: An approval has a few thousand bytes; what is larger is something else.
LARGEST = 100_000


class Stored(NamedTuple):
    """One file with an approval: the text that was signed, the signature, or why it can't be read."""

    path: Path
    statement: str = ""
    signature: str = ""
    broken: str = ""

    @property
    def id(self) -> str:
        """Its short name, made of the very text; for a file that can't be read, the file's."""
        return identity(self.statement) if self.statement else self.path.name


class Use(NamedTuple):
    """One start that an approval let happen: by its text's whole SHA-256, the run, and the very targets."""

    approval: str
    run: str
    at: float
    targets: tuple[str, ...]


def folder(policy: Path | None, home: Path) -> Path:
    """Return where approvals lie: beside the policy file, and under `home` where there is none."""
    return (policy.absolute().parent if policy else home) / FOLDER


def digest(statement: str) -> str:
    """Return the SHA-256 of an approval's text, in hexadecimal."""
    return hashlib.sha256(statement.encode()).hexdigest()


def identity(statement: str) -> str:
    """Return the short name of an approval: the first ten digits of its digest."""
    return digest(statement)[:10]


def stored(place: Path) -> list[Stored]:
    """Return every approval in the folder by file name; none where there is no folder."""
    if not place.is_dir():
        return []
    names = [path for path in sorted(place.glob("*.json")) if not path.name.endswith(REVOKED)]
    return [_read(path) for path in names]


def write(place: Path, statement: str, signature: str, approver: str) -> Path:
    """Write an approval and return its file. Raises RecordUnusable."""
    name = re.sub(r"[^A-Za-z0-9@._-]+", "_", approver)[:40]
    path = place / f"{identity(statement)}-{name}.json"
    _replace(path, _text(statement, signature))
    return path


def revoke(place: Path, approval: str, facts: Mapping[str, str]) -> Path:
    """Revoke the approval of this id, at once, and return the file that says so. Raises RecordUnusable."""
    path = place / f"{approval}{REVOKED}"
    _replace(path, json.dumps(dict(facts), indent=1, ensure_ascii=False) + "\n")
    return path


def revoked(place: Path, approval: str) -> str:
    """Return who has revoked it and why, in words; empty when nobody has."""
    path = place / f"{approval}{REVOKED}"
    if not os.path.lexists(path):
        return ""
    try:
        facts = json.loads(path.read_text("utf-8"))
        return f"it was revoked by {facts['by']}: {facts['why']}"
    except (OSError, ValueError, LookupError, TypeError):
        return f"it was revoked ({path.name})"


class Book:
    """Who used what: `uses.jsonl` in the folder of approvals and a second one in this user's state."""

    def __init__(self, place: Path, state: Path | None = None) -> None:
        self._paths = (place / USES, (state or state_home()) / FOLDER / USES)

    def uses(self, statement: str) -> int:
        """Return how many runs were started on this approval. Raises Refused when a book can't be read."""
        whole = digest(statement)
        return len({use.run for path in self._paths for use in _uses(path) if use.approval == whole})

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep everybody else from using anything; whoever comes second sees what the first has used."""
        files: list[int] = []
        try:
            for path in self._paths:
                files.append(_open(path))
                fcntl.flock(files[-1], fcntl.LOCK_EX)
            yield
        finally:
            for file in files:
                os.close(file)

    def add(self, use: Use) -> None:
        """Write down one use, on disk before this returns; inside `locked`. Raises Refused."""
        line = (json.dumps(use._asdict(), ensure_ascii=False) + "\n").encode()
        for path in self._paths:
            file = _open(path)
            try:
                size = os.fstat(file).st_size
                if os.write(file, line) != len(line):
                    os.ftruncate(file, size)
                    raise OSError(28, "no space left")
                os.fsync(file)
            except OSError as error:
                raise Refused(f"{path} can't be written: {error.strerror}") from error
            finally:
                os.close(file)


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise Refused(f"{path} can't be written: {error.strerror}") from error


def _uses(path: Path) -> list[Use]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise Refused(f"{path} can't be read: {error}") from None
    found = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            found.append(Use(row["approval"], row["run"], float(row["at"]), tuple(row["targets"])))
        except (ValueError, LookupError, TypeError):
            # What stood there may have been a use of anything.
            raise Refused(
                f"{path} is broken in line {number}", next_step="repair it from its history, or approve again"
            ) from None
    return found


def _read(path: Path) -> Stored:
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            return Stored(path, broken="it is not an approval")
        text = path.read_text("utf-8")
        data = json.loads(text)
        statement, signature = data["statement"], data["signature"]
        # Nothing in the file but what was signed, and written in the one way that we write it.
        if _text(statement, signature) != text:
            return Stored(path, broken="it was changed since it was written")
    except OSError as error:
        return Stored(path, broken=f"it can't be read: {error.strerror}")
    except (ValueError, LookupError, TypeError, RecursionError):
        return Stored(path, broken="it is not an approval")
    return Stored(path, statement, signature)


def _text(statement: str, signature: str) -> str:
    if not isinstance(statement, str) or not isinstance(signature, str):
        raise TypeError("not a text")
    return json.dumps({"statement": statement, "signature": signature}, indent=1, ensure_ascii=False) + "\n"


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise RecordUnusable(f"{path} cannot be written: {error.strerror}") from error
