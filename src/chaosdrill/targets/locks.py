"""One run per target, and the emergency lever: small files that live with the target.

A lock is held by the kernel (flock) for as long as the runner lives, or the watchdog that inherited it; what
the file says outlives them. So a lock that nobody holds but that still names a run is one whose owner died
before anybody proved that nothing is left on.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from chaosdrill.errors import RecordUnusable, Refused
from chaosdrill.ports import Hold, Lock, Owner


class FileLock:
    """A lock that this process holds, by the descriptor of its file."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def release(self) -> None:
        """Give the target back, for every process that shares the descriptor."""
        if self.descriptor < 0:
            return
        with suppress(OSError):
            os.ftruncate(self.descriptor, 0)
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)
            os.close(self.descriptor)
        self.descriptor = -1


class FileLocks:
    """The lock of one target, in the file at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def take(self, owner: Owner) -> Lock:
        """Lock the target. Raises Refused, naming who has it or who died with it."""
        descriptor = self._open()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left = _read(descriptor)
            if left is not None:
                raise Refused(
                    f"not injecting: {left.run} by {left.actor} ended without having proved that its faults are off",
                    next_step=f"chaosdrill recover {left.run}",
                )
            data = json.dumps(asdict(owner)).encode()
            os.pwrite(descriptor, data, 0)
            os.fsync(descriptor)
        except BlockingIOError:
            busy = _read(descriptor)
            os.close(descriptor)
            who = f"{busy.run} by {busy.actor} (process {busy.pid})" if busy else "another run"
            raise Refused(
                f"not injecting: the target is taken by {who}", next_step="see: chaosdrill status"
            ) from None
        except (OSError, Refused) as problem:
            os.close(descriptor)
            if isinstance(problem, Refused):
                raise
            raise Refused(f"not injecting: {self._path} can't be locked: {problem.strerror}") from problem
        return FileLock(descriptor)

    def owner(self) -> tuple[Owner, bool] | None:
        """Return who has it and whether it is stale; None when it is free."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            found = _read(descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return (found, False) if found else None
            # Again under the lock: it may have been given back in between.
            found = _read(descriptor)
            return (found, True) if found else None
        finally:
            os.close(descriptor)

    def adopt(self, descriptor: int) -> Lock:
        """Return the lock that another process has handed over."""
        return FileLock(descriptor)

    def clear(self, run: str) -> None:
        """Free the stale lock of `run`; right when it is not there. A lock that is held stays held."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = _read(descriptor)
            if found is not None and found.run == run:
                os.ftruncate(descriptor, 0)
        except BlockingIOError:
            return
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise Refused(f"not injecting: {self._path} can't be locked: {problem.strerror}") from problem


def _read(descriptor: int) -> Owner | None:
    data = os.pread(descriptor, 1 << 16, 0)
    if not data.strip():
        return None
    try:
        return Owner(**json.loads(data))
    except (ValueError, TypeError):
        return Owner("a run that can't be told", "", "somebody", 0, 0.0)


class FileLever:
    """The hold of one target: on when any of `paths` exists."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)

    def hold(self) -> Hold | None:
        """Return the hold that is on, None when there is none; one that can't be read counts as on."""
        for path in self._paths:
            try:
                facts = json.loads(path.read_bytes())
                return Hold(str(facts["by"]), float(facts["since"]), str(facts["why"]))
            except FileNotFoundError:
                continue
            except (OSError, ValueError, KeyError, TypeError) as problem:
                return Hold("somebody", 0.0, f"{path} can't be read ({type(problem).__name__})")
        return None

    def pull(self, hold: Hold) -> None:
        """Put the hold on, everywhere. Raises RecordUnusable."""
        for path in self._paths:
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                fresh = path.with_name(f".{path.name}.{os.getpid()}")
                fresh.write_text(json.dumps(asdict(hold)), "utf-8")
                fresh.replace(path)
            except OSError as problem:
                raise RecordUnusable(f"the hold can't be put on: {path}: {problem.strerror}") from problem

    def let_go(self) -> None:
        """Take the hold off, everywhere. Raises RecordUnusable."""
        for path in self._paths:
            try:
                path.unlink(missing_ok=True)
            except OSError as problem:
                raise RecordUnusable(f"the hold can't be taken off: {path}: {problem.strerror}") from problem
