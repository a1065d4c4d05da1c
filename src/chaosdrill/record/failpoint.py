"""Places between a write and an act where the crash tests make a process stand still, to kill it there.

Costs one look at the environment; does nothing unless CHAOSDRILL_FAILPOINT=DIR:STEP names the place. Standard
library only.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

VARIABLE = "CHAOSDRILL_FAILPOINT"
_LOOK_AGAIN = 0.005
_MOST_LOOKS = 6000  # 30 s: a test that died must not leave anybody standing.


def reached(step: str) -> None:
    """Say that this process is at `step` and wait for DIR/go, at most 30 s; other steps return at once."""
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return
    place, _, name = wanted.rpartition(":")
    if name != step:
        return
    here, go = Path(place), Path(place, "go")
    if go.exists():
        return
    fresh = here / f".{step}.{os.getpid()}"
    fresh.write_text(str(os.getpid()), "ascii")
    fresh.replace(here / step)
    for _ in range(_MOST_LOOKS):
        if go.exists():
            return
        threading.Event().wait(_LOOK_AGAIN)
