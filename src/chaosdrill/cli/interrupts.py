"""Ctrl-C, SIGTERM and a closed terminal: the first stops the run, and none of them stops the undoing."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from chaosdrill.execute.runner import Runner
from chaosdrill.pipeline import Plan, Watcher
from chaosdrill.record.folder import RunFolder
from chaosdrill.record.journal import Event

SENDERS = {
    signal.SIGINT: ("somebody at the terminal", "Ctrl-C"),
    signal.SIGTERM: ("another process", "SIGTERM"),
    signal.SIGHUP: ("the system", "the terminal was closed (SIGHUP)"),
}
#: Ctrl-Z, and a terminal that lets nobody in the background write: a runner that is stopped watches nothing
#: while its faults go on, so these do nothing during a run.
STOPS = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)


class Interrupts:
    """Stands between the run and a watcher, and hands signals to the runner once there is one.

    Before anything was injected a signal simply ends the program (KeyboardInterrupt).
    """

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._runner: Runner | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        for number in SENDERS:
            # What a parent has set to be ignored, as nohup does, stays ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._received)
        for number in STOPS:
            self._before[number] = signal.signal(number, signal.SIG_IGN)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _received(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._runner is None:
            raise KeyboardInterrupt("before anything was injected")
        self._runner.interrupt(*SENDERS[signal.Signals(number)])

    # ---- what the run tells, passed on

    def planned(self, plan: Plan) -> None:
        """Pass on that the plan stands."""
        self._watcher.planned(plan)

    def opened(self, folder: RunFolder, runner: Runner) -> None:
        """From now on a signal is the runner's."""
        self._runner = runner
        self._watcher.opened(folder, runner)

    def heard(self, event: Event) -> None:
        """Pass on one event."""
        self._watcher.heard(event)

    def closed(self) -> None:
        """Pass on that the run has ended; signals stay harmless until the reports are written."""
        self._watcher.closed()
