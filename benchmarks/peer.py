"""Chaos Toolkit in environments of its own: what we compare with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def peer(name: str) -> Path:
    """Return the folder with the commands of the peer `name` (`toolkit`, `reporting`), installing it once.

    Raises CalledProcessError when it can't be installed.
    """
    place = HERE / ".peer" / name
    requirements = HERE / "peers" / f"{name}.txt"
    done = place / "requirements.txt"
    if not done.exists() or done.read_text() != requirements.read_text():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
        python = place / "bin" / "python"
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "-r", str(requirements)], check=True)
        subprocess.run([str(python), "-m", "compileall", "-q", str(place / "lib")], check=False)
        done.write_text(requirements.read_text())
    return place / "bin"
