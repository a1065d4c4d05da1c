"""Plays the declared rollbacks that nobody has played, and nothing else: for a run whose engine died.

Chaos Toolkit plays them itself, with the file's configuration, secrets, controls and variables, from a copy
of the experiment without hypothesis and method. One that had begun when the engine died is played again.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from chaoslib.experiment import run_experiment
from chaoslib.types import Strategy

from chaosdrill.ctk.channel import Events
from chaosdrill.ctk.observer import Observer
from chaosdrill.model.fault import ACTIONS_MODULE
from chaosdrill.record.context import RunContext

if TYPE_CHECKING:
    from chaosdrill.ctk.child import Loaded


class RollbackObserver(Observer):
    """Tells of rollbacks alone, by their places in the file."""

    def __init__(self, events: Events, context: RunContext, places: list[int]) -> None:
        super().__init__(events, context)
        self._places = places

    def start_method(self, experiment: Any) -> None:
        """Say nothing: there is none."""

    def method_completed(self, experiment: Any, state: Any = None) -> None:
        """Say nothing: there was none."""

    def place(self, count: int) -> int:
        """Return where in the file the rollback is that was begun as number `count`, from 0."""
        return self._places[count] if count < len(self._places) else count


def play(loaded: Loaded, skip: Collection[int], events: Events, context: RunContext) -> dict[str, Any]:
    """Play the rollbacks of `loaded` whose places (from 0) are not in `skip`; return what came of it.

    Shape: {declared, played, left_out: [name], error}. A strategy of 'never' is honoured; faults
    of ours among the rollbacks are left out, because nothing may be injected any more.
    """
    declared = resolved(loaded.experiment)
    said: dict[str, Any] = {
        "declared": len(declared),
        "played": 0,
        "left_out": [],
        "never": False,
        "error": "",
    }
    if loaded.settings["runtime"]["rollbacks"]["strategy"] == "never":
        return said
    places = [place for place in range(len(declared)) if place not in skip]
    said["left_out"] = [declared[place].get("name", "") for place in places if _injects(declared[place])]
    places = [place for place in places if not _injects(declared[place])]
    if not places:
        return said
    experiment = {**loaded.experiment, "method": [], "rollbacks": [declared[place] for place in places]}
    experiment.pop("steady-state-hypothesis", None)
    loaded.settings["runtime"]["rollbacks"]["strategy"] = "always"
    observer = RollbackObserver(events, context, places)
    try:
        journal = run_experiment(
            experiment,
            settings=loaded.settings,
            experiment_vars=loaded.variables,
            strategy=Strategy.SKIP,
            schedule=loaded.schedule,
            event_handlers=[observer],
        )
    except Exception as failure:  # whatever it was, it must be told
        logging.getLogger("chaostoolkit").critical("Chaos Toolkit failed", exc_info=True)
        journal = observer.journal or {}
        said["error"] = f"{type(failure).__name__}: {failure}"
    said["played"] = len(journal.get("rollbacks") or ())
    if said["played"] < len(places) and not said["error"]:
        said["error"] = f"Chaos Toolkit played {said['played']} of {len(places)}"
    return said


def resolved(experiment: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rollbacks of `experiment`, each `ref` replaced by what it refers to."""
    hypothesis = experiment.get("steady-state-hypothesis") or {}
    referable = [*(experiment.get("method") or ()), *(hypothesis.get("probes") or ())]
    named = {activity["name"]: activity for activity in referable if activity.get("name")}
    return [copy.deepcopy(named.get(a.get("ref"), a)) for a in experiment.get("rollbacks") or ()]


def _injects(activity: dict[str, Any]) -> bool:
    provider = activity.get("provider") or {}
    return bool(provider.get("module") == ACTIONS_MODULE)
