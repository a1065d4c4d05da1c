"""A fault that is a file, and activities that go wrong in every way in which activities do.

The file is there: the fault is on. It is on purpose as plain as what users write.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

#: No activity waits longer than this, in seconds, whatever becomes of the test that it waits for.
LONGEST = 20.0


def tell(word: str) -> None:
    """Say where the experiment is, if anybody listens."""
    try:
        pipe = os.open(os.environ["GAP_TOLD"], os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return
    os.write(pipe, f"{word}\n".encode())
    os.close(pipe)


def on(path: str) -> None:
    """Inject."""
    Path(path).touch()
    tell("on")


def off(path: str) -> None:
    """Undo."""
    Path(path).unlink(missing_ok=True)
    tell("off")


def mark(path: str) -> None:
    """Leave a mark, to show that this was played."""
    Path(path).touch()


def wait_for(path: str) -> None:
    """Wait until somebody makes that file."""
    tell("waiting")
    until = time.monotonic() + LONGEST
    while not Path(path).exists() and time.monotonic() < until:
        time.sleep(0.02)


def fail() -> None:
    """Do nothing, and say so."""
    raise RuntimeError("it did not work")


def unprintable() -> Any:
    """Return what JSON has no form for."""
    return {1, 2, 3}


def match(names: list[str]) -> list[str]:
    """Return what was hit: nothing at all, and no error."""
    return [name for name in names if name == "no such thing"]


def leak(**secrets: Any) -> Any:
    """Print and return a secret, as a client library in debug mode does."""
    sys.stdout.write(f"{secrets}\n")
    sys.stdout.flush()
    return {"sent": secrets}


def well(path: str) -> bool:
    """Return whether the fault is off; leave a mark when it is on."""
    broken = Path(path).exists()
    if broken:
        Path(f"{path}.seen").touch()
    return not broken


def fails_when_on(path: str) -> bool:
    """Raise while the fault is on, and leave a mark."""
    if Path(path).exists():
        Path(f"{path}.seen").touch()
        raise RuntimeError("nobody answers")
    return True


def blind_when_on(path: str) -> float | None:
    """Return a measure, and nothing while the fault is on."""
    return None if Path(path).exists() else 0.5
