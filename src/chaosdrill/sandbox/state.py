"""Where a sandbox keeps its state, and who may touch it: the directory, its lock, and `state.json`.

The supervisor writes `state.json`, everybody reads it. It must be enough to find a sandbox again and to clear
up after one whose supervisor was killed. Knows nothing of what the processes do.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep
from typing import Any

from chaosdrill.clock import SystemClock
from chaosdrill.errors import Refused

_CLOCK = SystemClock()

DIRECTORY_VARIABLE = "CHAOSDRILL_SANDBOX_DIR"

#: A Unix socket's address holds 108 bytes on Linux and 104 on BSD, with its final zero (unix(7), unix(4)).
LONGEST_SOCKET_PATH = 100

_STATE = "state.json"
_LOCK = "lock"
#: The lock of the run that acts on this sandbox; chaosdrill.targets takes it.
_RUN_LOCK = "run.lock"
_OURS = (_STATE, _STATE + ".new", "supervisor.log", "control.sock", "data", "logs")


def default_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the sandbox of this user lives: CHAOSDRILL_SANDBOX_DIR, else under XDG_STATE_HOME."""
    if chosen := environ.get(DIRECTORY_VARIABLE):
        return Path(chosen).absolute()
    home = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "chaosdrill" / "sandbox"


def socket_path(directory: Path) -> Path:
    """Return where the control socket of `directory` lies: inside, or under /tmp when that is too long."""
    inside = directory / "control.sock"
    if len(os.fsencode(inside)) <= LONGEST_SOCKET_PATH:
        return inside
    import hashlib

    name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    return Path("/tmp") / f"chaosdrill-{os.getuid()}-{name}" / "control.sock"


def make_private(folder: Path) -> None:
    """Create `folder` for this user alone. Raises Refused when it can't be, or is somebody else's."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as problem:
        raise Refused(
            f"the sandbox can't use {folder}: {problem.strerror}",
            next_step=f"name a folder that you may write in {DIRECTORY_VARIABLE}",
        ) from None
    if found.st_uid != os.getuid() or not folder.is_dir():
        raise Refused(f"the sandbox will not use {folder}: it belongs to somebody else")


@contextmanager
def locked(directory: Path, patience: float) -> Iterator[int]:
    """Hold the lock of `directory`, waiting up to `patience` seconds; yields its file descriptor.

    The lock goes with the open file, so a process that inherits the descriptor keeps holding it. Raises
    Refused when somebody else holds it for longer.
    """
    path = directory / _LOCK
    deadline = _CLOCK.mono() + patience
    while True:
        # Each time, because whoever held the lock before may have removed the folder with it.
        make_private(directory)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it before may have deleted the file: then this lock is on a file nobody will see.
            if _same_file(descriptor, path):
                break
        except BlockingIOError:
            if _CLOCK.mono() > deadline:
                os.close(descriptor)
                raise Refused(
                    f"another command is starting or stopping the sandbox in {directory}",
                    next_step="wait for it, then try again",
                ) from None
            sleep(0.02)
        os.close(descriptor)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def read(directory: Path) -> dict[str, Any] | None:
    """Return what the supervisor last wrote in `directory`, or None when there is nothing to read."""
    try:
        found = json.loads((directory / _STATE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def exists(directory: Path) -> bool:
    """Return whether `state.json` is there."""
    return (directory / _STATE).exists()


def write(directory: Path, content: Mapping[str, Any]) -> None:
    """Replace `state.json`: a reader sees the old content or the new one, never half of it.

    On a full disk the old one stays.
    """
    new = directory / (_STATE + ".new")
    with suppress(OSError):
        new.write_text(json.dumps(content, indent=1), "utf-8")
        new.replace(directory / _STATE)


def remove(directory: Path) -> None:
    """Delete everything that a sandbox leaves in `directory`, except the lock and what others put there."""
    for name in _OURS:
        path = directory / name
        if path.is_dir():
            import shutil

            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    outside = socket_path(directory)
    if outside.parent != directory:
        outside.unlink(missing_ok=True)
        with suppress(OSError):
            outside.parent.rmdir()


def remove_lock(directory: Path) -> None:
    """Delete the lock, which the caller holds, and the folder too when nothing of anybody else is in it.

    The lock of a run stays when somebody has it, or died with it: it says so to the next run.
    """
    _remove_free(directory / _RUN_LOCK)
    (directory / _LOCK).unlink(missing_ok=True)
    with suppress(OSError):
        directory.rmdir()


def _remove_free(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_size == 0 and _same_file(descriptor, path):
            path.unlink(missing_ok=True)
    except BlockingIOError:
        return
    finally:
        os.close(descriptor)
