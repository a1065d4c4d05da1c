"""The faults that are on: what each does, when each ends, and that it ends by itself.

Every fault has its time limit here and, where another process carries it out, in that process too. Knows
nothing of who asked or why.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from chaosdrill.clock import SystemClock
from chaosdrill.sandbox.parts.channel import ChannelClosed
from chaosdrill.sandbox.supervisor import topology
from chaosdrill.sandbox.supervisor.fleet import Fleet
from chaosdrill.sandbox.supervisor.instance import Instance

ANSWER_WITHIN = 2.0
#: What was held down must be back and healthy within 5 s; this is as long as a stop waits for it.
BACK_WITHIN = 5.0

SHAPES = ("network_latency", "network_loss", "network_cut")
#: A start that comes after its stop is refused for as many faults as this.
MOST_ENDED = 1000
KINDS = ("instance_failure", "cpu_stress", *SHAPES)


class Impossible(Exception):
    """The fault can't be started; the message says why."""


@dataclass(frozen=True, slots=True)
class Active:
    """One fault that is on. `since` is epoch seconds, `deadline` monotonic seconds."""

    id: str
    kind: str
    hit: tuple[str, ...]
    arguments: Mapping[str, Any]
    run: str
    since: float
    deadline: float
    timer: asyncio.TimerHandle

    def facts(self, now: float) -> dict[str, Any]:
        """Return what others may know, with the seconds left at monotonic `now`."""
        return {
            "id": self.id,
            "kind": self.kind,
            "target": _target(self.kind, self.hit),
            "hit": list(self.hit),
            "arguments": dict(self.arguments),
            "run": self.run,
            "since": self.since,
            "seconds_left": round(max(0.0, self.deadline - now), 3),
        }


def _target(kind: str, hit: tuple[str, ...]) -> str:
    if kind in SHAPES:
        return next((service for service, link in topology.LINKS.items() if link in hit), "")
    name = hit[0]
    return name.rpartition("-")[0] if name.rpartition("-")[2].isdigit() else name


class Disturbances:
    """All faults that are on."""

    def __init__(self, fleet: Fleet, clock: SystemClock) -> None:
        self._fleet = fleet
        self._clock = clock
        self._active: dict[str, Active] = {}
        self._ended: dict[str, None] = {}
        fleet.on_ready = self._resume

    def facts(self) -> list[dict[str, Any]]:
        """Return every fault that is on, oldest first."""
        return [active.facts(self._clock.mono()) for active in self._active.values()]

    async def start(self, question: Mapping[str, Any]) -> None:
        """Put a fault on, which takes itself off after its seconds. Raises Impossible; then nothing is on.

        A fault that is on already stays as it is. One that was stopped before is refused: whoever asked for
        it may be dead by now, and its stop may have overtaken it.
        """
        name, kind, seconds = question["id"], question["kind"], float(question["seconds"])
        if name in self._active:
            return
        if name in self._ended:
            raise Impossible(f"{kind}: this fault was stopped already")
        if kind not in KINDS or not question["hit"] or not 0 < seconds <= 86_400:
            raise Impossible(f"the sandbox knows no {kind} of {question['hit']} for {seconds} s")
        timer = asyncio.get_running_loop().call_later(seconds, self._expire, name)
        active = self._active[name] = Active(
            name,
            kind,
            tuple(question["hit"]),
            question["arguments"],
            question.get("run", ""),
            self._clock.now(),
            self._clock.mono() + seconds,
            timer,
        )
        try:
            await self._begin(active)
        except (Impossible, ChannelClosed, TimeoutError, OSError) as problem:
            await self._end(name)
            raise Impossible(str(problem) or f"{kind}: the process did not answer") from None

    async def stop(self, name: str) -> None:
        """Take a fault off and wait, for a while, until what it hit is well again. Right when it is off."""
        active = self._active.get(name)
        self._ended[name] = None
        if len(self._ended) > MOST_ENDED:
            del self._ended[next(iter(self._ended))]
        await self._end(name)
        if active is not None and active.kind == "instance_failure":
            with suppress(TimeoutError):
                await self._fleet.until(lambda: self._back(active), BACK_WITHIN)

    def close(self) -> None:
        """Forget all time limits, because everything ends."""
        for active in self._active.values():
            active.timer.cancel()

    def _back(self, active: Active) -> bool:
        places = [self._fleet.instances.get(name) for name in active.hit]
        return all(p is None or p.holds or p.state == "ready" for p in places)

    def _expire(self, name: str) -> None:
        self._fleet.run_aside(self._end(name))

    async def _begin(self, active: Active) -> None:
        if active.kind == "instance_failure":
            await self._hold_down(active)
        elif active.kind == "cpu_stress":
            for instance in self._places(active):
                await self._stress(active, instance)
        else:
            await self._shape(active)

    async def _end(self, name: str) -> None:
        active = self._active.pop(name, None)
        if active is None:
            return
        active.timer.cancel()
        if active.kind in SHAPES:
            await self._tell("delay-proxy", do="unshape", fault=name)
        for place in [self._fleet.instances.get(hit) for hit in active.hit]:
            if place is None:
                continue
            place.stop_burners(name)
            if active.kind == "cpu_stress":
                await self._tell(place.id, do="cool", fault=name)
            if name in place.holds:
                place.holds.discard(name)
                self._fleet.run_aside(self._fleet.revive(place))
            place.pinned.discard(name)
        self._fleet.changed()

    def _places(self, active: Active) -> list[Instance]:
        missing = [name for name in active.hit if name not in self._fleet.instances]
        if missing:
            raise Impossible(f"there is no {missing[0]} in the sandbox any more")
        places = [self._fleet.instances[name] for name in active.hit]
        for place in places:
            place.pinned.add(active.id)
        return places

    async def _hold_down(self, active: Active) -> None:
        places = self._places(active)
        for place in places:
            place.holds.add(active.id)
            place.signal(signal.SIGKILL)
        await self._fleet.until(lambda: all(p.process is None for p in places), ANSWER_WITHIN)

    async def _stress(self, active: Active, place: Instance) -> None:
        if place.channel is None or not place.announced:
            raise Impossible(f"{place.id} is {place.state}")
        left = active.deadline - self._clock.mono()
        load, workers = active.arguments["load"], active.arguments["workers"]
        # The first worker burns inside the instance, so that its requests feel it; the others beside it.
        if active.id not in self._active:
            return  # Stopped meanwhile, and nobody would end what begins now.
        await self._fleet.ask(place, ANSWER_WITHIN, do="burn", fault=active.id, load=load, seconds=left)
        if active.id not in self._active:
            return
        for _ in range(workers - 1):
            self._fleet.add_burner(place, active.id, load, left)

    async def _shape(self, active: Active) -> None:
        proxy = self._fleet.instances["delay-proxy"]
        names = ("delay", "jitter", "loss")
        shape = {k: active.arguments[k] for k in names if k in active.arguments}
        if active.kind == "network_cut":
            shape["cut"] = True
        left = active.deadline - self._clock.mono()
        await self._fleet.ask(proxy, ANSWER_WITHIN, do="shape", fault=active.id, shape=shape, seconds=left)

    async def _tell(self, place: str, **message: Any) -> None:
        """Say it and wait for the answer; a process that is gone or mute has its own time limit."""
        instance = self._fleet.instances.get(place)
        if instance is not None:
            with suppress(ChannelClosed, TimeoutError):
                await self._fleet.ask(instance, ANSWER_WITHIN, **message)

    def _resume(self, instance: Instance) -> None:
        """Put a shape on again when the proxy was restarted; CPU stress ends with the process that had it."""
        if instance.service == "delay-proxy":
            for active in [a for a in self._active.values() if a.kind in SHAPES]:
                self._fleet.run_aside(self._shape_again(active))
        for active in [a for a in self._active.values() if a.kind == "cpu_stress"]:
            if active.hit == (instance.id,):
                self._fleet.run_aside(self._end(active.id))

    async def _shape_again(self, active: Active) -> None:
        with suppress(ChannelClosed, TimeoutError):
            await self._shape(active)
