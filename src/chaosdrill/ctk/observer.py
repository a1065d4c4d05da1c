"""Tells the runner what Chaos Toolkit is doing, and stops it between two activities when the run is stopping.

It observes and never gates: whatever an event handler raises is logged and forgotten by Chaos Toolkit, apart
from SystemExit, which is how Chaos Toolkit itself leaves a run early.
"""

from __future__ import annotations

import signal
import threading
from typing import Any

from chaoslib.run import RunEventHandler

from chaosdrill.ctk.channel import Events
from chaosdrill.record.context import RunContext
from chaosdrill.record.outcome import refused

#: What `chaoslib.exit.exit_gracefully` leaves with: rollbacks are still played where the strategy says so.
GRACEFUL_EXIT = 20


class Observer(RunEventHandler):
    """Sends one event per step, with the section that the step belongs to."""

    def __init__(self, events: Events, context: RunContext) -> None:
        self._events = events
        self._context = context
        self._section = "hypothesis"
        self._played = self._ending = False
        self._begun = 0
        self._at: dict[int, int] = {}
        self.journal: dict[str, Any] | None = None

    # ---- what the runner hears

    def started(self, experiment: Any, journal: Any) -> None:  # noqa: ARG002
        """Keep hold of the live journal, so that it survives an exception in Chaos Toolkit."""
        self.journal = journal
        # Chaos Toolkit has just set a handler that would break into whatever is going on, an undo included.
        signal.signal(signal.SIGUSR1, self._leave)

    def start_hypothesis_before(self, experiment: Any) -> None:  # noqa: ARG002
        self._hypothesis("before")

    def hypothesis_before_completed(self, experiment: Any, state: Any, journal: Any) -> None:  # noqa: ARG002
        """Tell of it; where the gate is shut, nothing will be done, so there is nothing to roll back."""
        self._hypothesis_met("before", state)
        if state is not None and not state.get("steady_state_met"):
            experiment["rollbacks"] = []

    def start_continuous_hypothesis(self, frequency: int) -> None:  # noqa: ARG002
        self._events.send({"event": "hypothesis.started", "moment": "during"})

    def continuous_hypothesis_iteration(self, iteration_index: int, state: Any) -> None:  # noqa: ARG002
        if state is not None and not state.get("steady_state_met"):
            self._hypothesis_met("during", state)

    def start_hypothesis_after(self, experiment: Any) -> None:  # noqa: ARG002
        self._hypothesis("after")

    def hypothesis_after_completed(self, experiment: Any, state: Any, journal: Any) -> None:  # noqa: ARG002
        self._hypothesis_met("after", state)

    def start_method(self, experiment: Any) -> None:  # noqa: ARG002
        self._section, self._played = "method", True
        self._events.send({"event": "method.started"})

    def method_completed(self, experiment: Any, state: Any = None) -> None:  # noqa: ARG002
        self._events.send({"event": "method.ended"})

    def start_rollbacks(self, experiment: Any) -> None:  # noqa: ARG002
        self._section, self._ending, self._begun = "rollbacks", True, 0
        self._events.send({"event": "rollbacks.started"})

    def rollbacks_completed(self, experiment: Any, journal: Any) -> None:  # noqa: ARG002
        self._events.send({"event": "rollbacks.ended"})

    def start_activity(self, activity: Any) -> None:
        """Tell of it, unless the run is stopping: then nothing new begins."""
        self._leave_if_stopping()
        # By its place, because two activities may have one name.
        self._at[id(activity)] = self.place(self._begun)
        self._begun += 1
        self._events.send({"event": "activity.started", **self._named(activity)})

    def activity_completed(self, activity: Any, run: Any) -> None:
        """Tell how it ended; leave when it ended because the run is stopping."""
        lines = run.get("exception") or [""]
        said = str(lines[-1]).strip().removeprefix("chaoslib.exceptions.ActivityFailed: ")
        status = {"status": run.get("status", "interrupted")}
        if status["status"] == "succeeded" and (no := refused(run)):
            status, said = {"status": "failed"}, no
        error = {"error": said} if said else {}
        self._events.send({"event": "activity.ended", **self._named(activity), **status, **error})
        self._leave_if_stopping()

    def place(self, count: int) -> int:
        """Return the place in the file of the activity that was begun as number `count` of its section."""
        return count

    @property
    def owes_rollbacks(self) -> bool:
        """Whether the method has begun and its rollbacks have not."""
        return self._played and not self._ending

    # ---- leaving

    def _leave_if_stopping(self) -> None:
        on_main = threading.current_thread() is threading.main_thread()
        if on_main and self._context.stopping.is_set() and not self._ending:
            raise SystemExit(GRACEFUL_EXIT)

    def _leave(self, signum: int, frame: Any) -> None:  # noqa: ARG002
        if not self._context.main_thread_undoes_itself:
            self._leave_if_stopping()

    # ---- shapes

    def _hypothesis(self, moment: str) -> None:
        self._section = "hypothesis"
        self._events.send({"event": "hypothesis.started", "moment": moment})

    def _hypothesis_met(self, moment: str, state: Any) -> None:
        met = bool((state or {}).get("steady_state_met"))
        self._events.send({"event": "hypothesis.ended", "moment": moment, "met": met})

    def _named(self, activity: Any) -> dict[str, Any]:
        return {
            "name": activity.get("name", ""),
            "type": activity.get("type", ""),
            "section": self._section,
            "background": bool(activity.get("background")),
            **({"place": self._at.get(id(activity))} if self._section == "rollbacks" else {}),
        }
