"""Times two commands in turn, A B A B ..., so that a drifting machine drifts for both."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Timing:
    """Medians over all counted runs: wall seconds, and the peak memory of the largest process in MiB."""

    wall: float
    memory: float


def once(command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> tuple[float, float]:
    """Run a command to its end and return wall seconds and peak MiB. Raises RuntimeError when it fails."""
    began = time.perf_counter()
    with subprocess.Popen(
        list(command),
        cwd=cwd,
        # A shell that forbids .pyc files would have our modules compiled on every run, and nobody else's.
        env={k: v for k, v in environment.items() if k != "PYTHONDONTWRITEBYTECODE"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {said.decode(errors='replace')[-800:]}")
    return wall, _peak(usage)


def _peak(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / 1024  # Linux counts in KiB.


def pair(
    ours: Sequence[str],
    theirs: Sequence[str],
    *,
    runs: int,
    cwd: Path,
    environment: Mapping[str, str],
) -> tuple[Timing, Timing, float]:
    """Return the medians of both commands, and the median of the ratios ours/theirs, pair by pair."""
    once(ours, cwd, environment)
    once(theirs, cwd, environment)
    rows = [(once(ours, cwd, environment), once(theirs, cwd, environment)) for _ in range(runs)]
    ratio = statistics.median(a[0] / b[0] for a, b in rows)
    return _medians([a for a, _ in rows]), _medians([b for _, b in rows]), ratio


def _medians(rows: Sequence[tuple[float, float]]) -> Timing:
    return Timing(statistics.median(w for w, _ in rows), statistics.median(m for _, m in rows))
