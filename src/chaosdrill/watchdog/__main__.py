"""Where the watchdog begins: a bare script that knows one JSON argument: runner, path, line."""

from __future__ import annotations

import json
import signal
import sys


def main() -> int:
    """Watch over one runner; return the exit status."""
    # Whatever ends the terminal or its owner's patience must not end the one who cleans up.
    for name in ("SIGINT", "SIGHUP", "SIGTERM", "SIGQUIT", "SIGPIPE", "SIGTSTP", "SIGUSR1", "SIGUSR2"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    told = json.loads(sys.argv[1])
    standard = list(sys.path)
    sys.path[:] = [*standard, *(place for place in told["path"] if place not in standard)]
    from chaosdrill.watchdog.watch import Watch

    return Watch(int(told["runner"]), int(told["line"])).serve()


if __name__ == "__main__":
    sys.exit(main())
