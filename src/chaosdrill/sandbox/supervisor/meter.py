"""How much CPU each instance uses: its process and every worker beside it, as a share of one core."""

from __future__ import annotations

from collections.abc import Iterable

import psutil

from chaosdrill.sandbox.supervisor.instance import Instance


class Meter:
    """Called about once a second; what it writes is the mean since the call before."""

    def __init__(self, now: float) -> None:
        self._last = now

    def read(self, now: float, instances: Iterable[Instance]) -> None:
        """Set `cpu` of each instance."""
        elapsed, self._last = now - self._last, now
        if elapsed <= 0:
            return
        for instance in instances:
            used = _used(instance)
            # A process that was not there at the last look started since, so all of its time counts.
            spent = sum(seconds - instance.cpu_used.get(pid, 0.0) for pid, seconds in used.items())
            instance.cpu_used = used
            instance.cpu = round(spent / elapsed, 4)


def _used(instance: Instance) -> dict[int, float]:
    found = {}
    for pid, _ in instance.processes():
        try:
            times = psutil.Process(pid).cpu_times()
        except psutil.Error:
            continue
        found[pid] = times.user + times.system
    return found
