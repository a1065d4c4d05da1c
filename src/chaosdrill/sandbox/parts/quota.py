"""How much CPU time is owed, in a closed loop on the CPU time really used.

Both kinds of burner aim at `load` seconds of CPU time per second and correct themselves every period, so a
busy machine is answered by longer slices up to a limit. Knows nothing of event loops, faults or instances.
"""

from __future__ import annotations

from time import thread_time

#: How much missed burning is made up for: more would turn a pause of the machine into a storm afterwards.
LARGEST_DEBT = 0.5


def burn(seconds: float) -> float:
    """Keep this thread busy until it has used `seconds` of CPU time; return what it really used."""
    start = thread_time()
    end = start + seconds
    x = 1
    while (now := thread_time()) < end:
        for _ in range(300):
            x = (x * 1103515245 + 12345) & 0x7FFFFFFF
    return now - start


class Quota:
    """How long the next slice must be so that `load` is met over time."""

    def __init__(self, load: float, now: float) -> None:
        self._load = load
        self._last = now
        self._owed = 0.0

    def slice(self, now: float, longest: float) -> float:
        """Return the CPU seconds to burn now, at most `longest`."""
        self._owed = min(self._owed + (now - self._last) * self._load, LARGEST_DEBT)
        self._last = now
        return max(0.0, min(self._owed, longest))

    def burned(self, seconds: float) -> None:
        """Note what a slice really took."""
        self._owed -= seconds
