"""Where runs lie, and who asks: what every command needs, and what must cost no imports."""

from __future__ import annotations

import getpass
import os
from pathlib import Path


def home(chosen: str | None = None) -> Path:
    """Return the folder that `runs/` lies in: the option, CHAOSDRILL_HOME, or the working directory."""
    return Path(chosen or os.environ.get("CHAOSDRILL_HOME") or ".").absolute()


def actor() -> str:
    """Return who runs this: CHAOSDRILL_ACTOR, else user@host."""
    if named := os.environ.get("CHAOSDRILL_ACTOR"):
        return named
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid-{os.getuid()}"
    return f"{user}@{os.uname().nodename}"


def account() -> str:
    """Return whose account this process runs under, whatever the environment says."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid-{os.getuid()}"
