"""One more CPU stress worker next to an instance: a process in its group, so that it counts as its CPU.

Few imports, because it must be there within a blink; it ends after its time, with its supervisor, or when it
is killed with its instance.
"""

from __future__ import annotations

import select
import socket
import sys

from chaosdrill.clock import SystemClock
from chaosdrill.sandbox.parts.quota import Quota, burn

#: A process of its own hinders nobody else's event loop, so its slices may be longer than those inside one.
PERIOD = 0.020


def main(load: float, seconds: float) -> None:
    """Use `load` of one core for `seconds`."""
    clock = SystemClock()
    supervisor = socket.socket(fileno=0)
    supervisor.sendall(b"ready\n")
    start = clock.mono()
    quota = Quota(load, start)
    while (now := clock.mono()) - start < seconds:
        quota.burned(burn(quota.slice(now, PERIOD)))
        rest = max(0.0, now + PERIOD - clock.mono())
        if select.select([supervisor], [], [], rest)[0]:
            return


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]))
