"""One run per target, and the emergency lever: small files that live with the target.

A lock is held by the kernel (flock) for as long as the runner lives, or the watchdog that inherited it; what
the file says outlives them. So a lock that nobody holds but that still names a run is one whose owner died
before anybody proved that nothing is left on. Knows nothing of what a run does, nor of any policy.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import sleep

from chaosdrill.clock import iso
from chaosdrill.errors import RecordUnusable, Refused
from chaosdrill.ports import Hold, Lock, Owner

#: Somebody who only looks holds a lock for an instant: so often, and so many seconds apart, one tries again.
ATTEMPTS, PAUSE = 30, 0.01
#: Who has a lock in which no run can be read: it says no more than that somebody was there.
UNKNOWN = Owner("", "", "somebody", 0, 0.0)


class FileLock:
    """A lock that this process holds, by the descriptor of its file."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self.descriptor = descriptor
        self._path = path

    def release(self) -> None:
        """Give the target back, for every process that shares the descriptor; leaves no file behind."""
        if self.descriptor < 0:
            return
        with suppress(OSError):
            _empty(self.descriptor, self._path)
        with suppress(OSError):
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)
        with suppress(OSError):
            os.close(self.descriptor)
        self.descriptor = -1


class FileLocks:
    """The lock of one target, `what` in words, in the file at `path`."""

    def __init__(self, path: Path, what: str = "the target") -> None:
        self._path = path
        self._what = what

    def take(self, owner: Owner) -> Lock:
        """Lock the target. Raises Refused, naming who has it or who died with it."""
        descriptor = self._locked()
        left = _read(descriptor)
        if left is not None:
            os.close(descriptor)
            raise self._stale(left)
        try:
            data = json.dumps(owner._asdict()).encode()
            if os.pwrite(descriptor, data, 0) != len(data):
                raise OSError(28, "no space left on device")
            os.fsync(descriptor)
        except OSError as problem:
            # Nothing was injected yet, so half a name must not keep others out.
            FileLock(descriptor, self._path).release()
            raise self._unusable(problem) from problem
        return FileLock(descriptor, self._path)

    def owner(self) -> tuple[Owner, bool] | None:
        """Return who has it and whether it is stale; None when it is free.

        An owner without a run's name is one that can't be read: whoever it was, nothing was proved.
        """
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError:
            return UNKNOWN, True
        try:
            try:
                # Shared, so that those who look are not in each other's way.
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _read(descriptor) or UNKNOWN, False
            # Read under the lock: it may have been given back in between.
            found = _read(descriptor)
            return (found, True) if found else None
        except OSError:
            return UNKNOWN, True
        finally:
            os.close(descriptor)

    def adopt(self, descriptor: int) -> Lock:
        """Return the lock that another process has handed over."""
        return FileLock(descriptor, self._path)

    def clear(self, run: str) -> None:
        """Free the stale lock of `run`; right when it is not there. A lock that is held stays held.

        The run '' means a lock in which no run can be read.
        """
        if not self._path.exists():
            return
        try:
            descriptor = self._locked()
        except Refused:
            return
        try:
            found = _read(descriptor)
            if found is None or found.run == run:
                _empty(descriptor, self._path)
        finally:
            os.close(descriptor)

    def _locked(self) -> int:
        """Return the descriptor of the file at the path, locked. Raises Refused when somebody else has it."""
        busy: Owner | None = None
        for _ in range(ATTEMPTS):
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                continue  # Somebody has removed the empty folder between the two.
            except OSError as problem:
                raise self._unusable(problem) from problem
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Whoever had it before has deleted the file: then this lock is on one nobody will see.
                if _same_file(descriptor, self._path):
                    return descriptor
            except BlockingIOError:
                busy = _read(descriptor)
                if busy is not None and _lives(busy.pid):
                    os.close(descriptor)
                    break
                sleep(PAUSE)
            except OSError as problem:
                os.close(descriptor)
                raise self._unusable(problem) from problem
            os.close(descriptor)
        raise self._busy(busy)

    def _busy(self, busy: Owner | None) -> Refused:
        if busy is None or not busy.run:
            return Refused(
                f"not injecting: {self._what} is taken by a run that is just starting",
                next_step="see: chaosdrill status",
            )
        if not _lives(busy.pid):
            return Refused(
                f"not injecting: {words(busy)} was lost, and its watchdog is still undoing it",
                next_step="wait for it: chaosdrill status",
            )
        return Refused(
            f"not injecting: {self._what} is taken by {words(busy)}", next_step="see: chaosdrill status"
        )

    def _stale(self, left: Owner) -> Refused:
        if not left.run:
            return Refused(
                f"not injecting: {self._path} does not say which run was there last, "
                f"so nobody knows what it left on",
                next_step="chaosdrill recover",
            )
        return Refused(
            f"not injecting: {words(left)} ended without having proved that nothing of it is left on",
            next_step=f"chaosdrill recover {left.run}",
        )

    def _unusable(self, problem: OSError) -> Refused:
        return Refused(f"not injecting: {self._what} can't be locked: {self._path}: {problem.strerror}")


def words(owner: Owner) -> str:
    """Return an owner in words: the run, who started it, since when, in which process and folder."""
    since = f" since {iso(owner.since)[:19].replace('T', ' ')}Z" if owner.since else ""
    return f"{owner.run} by {owner.actor}{since} (process {owner.pid}, {owner.folder})"


def _read(descriptor: int) -> Owner | None:
    data = os.pread(descriptor, 1 << 16, 0)
    if not data:
        return None
    try:
        told = json.loads(data)
        pid, since = int(told["pid"]), float(told["since"])
        return Owner(str(told["run"]), str(told["folder"]), str(told["actor"]), pid, since)
    except (ValueError, TypeError, KeyError):
        return UNKNOWN


def _empty(descriptor: int, path: Path) -> None:
    """Delete the file behind `descriptor`, which is locked; those who wait for it will see it gone."""
    os.ftruncate(descriptor, 0)
    if _same_file(descriptor, path):
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()  # Only when nothing else is in it: the sandbox went down meanwhile.


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return pid > 0


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
        """Put the hold on, everywhere. Raises RecordUnusable, naming each place where it could not be."""
        problems = []
        for path in self._paths:
            fresh = path.with_name(f".{path.name}.{os.getpid()}")
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                fresh.write_text(json.dumps(hold._asdict()), "utf-8")
                fresh.replace(path)
            except OSError as problem:
                problems.append(f"{path}: {problem.strerror}")
                with suppress(OSError):
                    fresh.unlink(missing_ok=True)
        if problems:
            raise RecordUnusable(f"the hold can't be put on everywhere: {'; '.join(problems)}")

    def let_go(self) -> None:
        """Take the hold off, everywhere. Raises RecordUnusable, naming each place where it still is."""
        problems = []
        for path in self._paths:
            try:
                path.unlink(missing_ok=True)
            except OSError as problem:
                problems.append(f"{path}: {problem.strerror}")
            with suppress(OSError):
                path.parent.rmdir()  # Only when nothing else is in it.
        if problems:
            raise RecordUnusable(f"the hold can't be taken off everywhere: {'; '.join(problems)}")
