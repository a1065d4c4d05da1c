"""From settings to concrete parts: the one place that knows which adapter answers which port."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from chaosdrill import __version__, faults, targets
from chaosdrill.clock import SystemClock
from chaosdrill.ctk.process import EngineProcess, started_in
from chaosdrill.model.checklist import Check
from chaosdrill.pipeline import Workshop
from chaosdrill.pipeline.parts import ArmedLifeline
from chaosdrill.ports import Notifier, Signal, StopCheck, Target

if TYPE_CHECKING:
    # Typed only: a plain Chaos Toolkit file never waits for pydantic before it is played.
    from chaosdrill.model.experiment import ChaosdrillBlock
    from chaosdrill.pipeline.recovering import Tools


def workshop(engine: EngineProcess, lifeline: ArmedLifeline) -> Workshop:
    """Return the parts of a real run, around an engine and a watchdog that have been started."""
    clock = SystemClock()
    return Workshop(
        clock=clock,
        engine=engine,
        lifeline=lifeline,
        open_target=targets.open,
        open_locks=targets.open_locks,
        open_lever=targets.open_lever,
        open_rollouts=targets.open_rollouts,
        open_strays=targets.open_strays,
        open_fault=faults.open,
        open_engine=started_in,
        open_signals=lambda block, target: _open_signals(block, target, clock),
        open_checks=lambda block: _open_checks(block, clock),
        open_notifier=_open_notifier,
        firing_alerts=_firing_alerts,
        entropy=os.urandom(2).hex(),
        versions={"chaosdrill": __version__, "python": ".".join(map(str, sys.version_info[:3]))},
    )


def _open_notifier(addresses: Sequence[str]) -> Notifier:
    from chaosdrill import notify

    return notify.open(addresses)


def _firing_alerts(url: str) -> Check:
    from chaosdrill.signals import alerts

    return alerts.firing(url, SystemClock())


def _open_signals(block: ChaosdrillBlock, target: Target, clock: SystemClock) -> Mapping[str, Signal]:
    # Imported where used, like every adapter: a plain Chaos Toolkit file has no signals.
    from chaosdrill import signals

    return {name: signals.open(name, spec, clock, target) for name, spec in block.signals.items()}


def recovery_tools() -> Tools:
    """Return the parts that a lost run is brought to its end with; its engine is started on demand."""
    from chaosdrill.pipeline.recovering import Tools

    return Tools(
        clock=SystemClock(),
        open_fault=faults.open,
        open_strays=targets.open_strays,
        open_locks=targets.open_locks,
        open_engine=started_in,
        open_notifier=_open_notifier,
    )


def _open_checks(block: ChaosdrillBlock, clock: SystemClock) -> Sequence[StopCheck]:
    asked = [condition for condition in block.abort_when if not condition.signal]
    if not asked:
        return ()
    from chaosdrill.signals.checks import open_check

    return [open_check(condition, clock) for condition in asked]
