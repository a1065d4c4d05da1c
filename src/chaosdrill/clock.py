"""The only file that may ask the time.

Everything else takes a Clock, so that a rehearsal or a test can move time by hand. Moments are epoch seconds
(UTC) that advance with the monotonic clock from one anchor: when somebody sets the wall clock during a run,
no sample moves and no duration turns negative.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime


class SystemClock:
    """The machine's clock, anchored once so that later moments follow the monotonic clock."""

    def __init__(self) -> None:
        self.epoch_anchor = time.time()
        self.mono_anchor = time.monotonic()

    def now(self) -> float:
        """Return this moment in epoch seconds, UTC."""
        return self.epoch_anchor + (time.monotonic() - self.mono_anchor)

    def mono(self) -> float:
        """Return monotonic seconds, the same in every process of this machine until it reboots."""
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until `event` is set or `seconds` have passed; return whether it was set."""
        return event.wait(max(0.0, seconds))


class ManualClock:
    """A clock that stands still until `advance` moves it; waiting moves it at once."""

    def __init__(self, epoch: float = 1_800_000_000.0) -> None:
        self._now = epoch
        self._mono = 1000.0

    def now(self) -> float:
        """Return this moment in epoch seconds, UTC."""
        return self._now

    def mono(self) -> float:
        """Return the seconds that only `advance` moves."""
        return self._mono

    def advance(self, seconds: float) -> None:
        """Move both clocks on by `seconds`."""
        self._now += seconds
        self._mono += seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Move time on by `seconds` unless `event` is set already; return whether it was set."""
        if not event.is_set():
            self.advance(max(0.0, seconds))
        return event.is_set()


def iso(moment: float) -> str:
    """Return epoch seconds as UTC, to the millisecond: '2026-11-21T10:02:11.250Z'."""
    stamp = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


def from_iso(text: str) -> float:
    """Return the epoch seconds of an ISO 8601 stamp. Raises ValueError when it is none."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
