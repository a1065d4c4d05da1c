"""Every process of the sandbox: started, watched, restarted, scaled, replaced one by one.

Knows nothing of faults beyond one word: an instance that is held down by somebody is not restarted.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from socket import socket
from typing import IO, Any

from chaosdrill.clock import SystemClock
from chaosdrill.sandbox.parts.channel import Channel, ChannelClosed, Message
from chaosdrill.sandbox.supervisor import topology
from chaosdrill.sandbox.supervisor.autoscaler import Autoscaler
from chaosdrill.sandbox.supervisor.instance import Instance, reserve

#: A process that dies within this many seconds of its start waits before the next try, twice as long each
#: time, up to the longest: back within 5 s, and no storm of starts.
EARLY_DEATH = 1.0
LONGEST_PAUSE = 2.0

#: An instance that answers no health check for this long hangs, and is replaced.
HUNG_AFTER = 10.0

#: What dies this often while the sandbox comes up will not live.
HOPELESS = 3

#: Seconds that an instance gets to finish when it is told to leave.
LEAVE_WITHIN = 4.0
READY_WITHIN = 15.0


class Fleet:
    """All places and their processes."""

    def __init__(self, directory: Path, errors: IO[bytes], clock: SystemClock) -> None:
        self.instances: dict[str, Instance] = {}
        self.payment_settings = dict(topology.PAYMENT_SETTINGS)
        self.load: dict[str, Any] = {"rate": 0.0}
        self.on_ready: Callable[[Instance], None] = lambda _: None
        self.on_change: Callable[[], None] = lambda: None
        self._directory = directory
        self._errors = errors
        self._clock = clock
        self._scaler = Autoscaler(topology.SMALLEST, topology.LARGEST)
        self._pauses: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._ending = False

    def of(self, service: str) -> list[Instance]:
        """Return the places of one service, in the order of their names."""
        return [i for i in self.instances.values() if i.service == service]

    @property
    def shop_port(self) -> int:
        """The port that customers use."""
        return self.instances["balancer"].port

    async def start(self) -> None:
        """Start everything. Raises TimeoutError when not all is ready in time, OSError when it can't be."""
        for service, count in topology.REPLICAS.items():
            for name in topology.instance_names(service, count):
                self._make_place(service, name)
        for instance in self.instances.values():
            await self.spawn(instance)
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)
        self._reap()
        everyone = list(self.instances.values())
        await self.until(
            lambda: (
                all(i.state == "ready" for i in everyone) or any(i.restarts >= HOPELESS for i in everyone)
            ),
            READY_WITHIN,
        )
        dying = [i.id for i in everyone if i.restarts >= HOPELESS]
        if dying:
            raise ChildProcessError(f"{', '.join(dying)} died {HOPELESS} times")

    async def until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait for a change that makes `condition` true. Raises TimeoutError after `seconds`."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def changed(self) -> None:
        """Let everybody look again who waits for something."""
        self._changed.set()
        self.on_change()

    async def spawn(self, instance: Instance) -> None:
        """Start a process in a place, unless there is one, or it is held down, or everything ends."""
        if self._ending or instance.process is not None or instance.holds:
            return
        first = {"settings": self._settings(instance), "log": str(instance.log(self._directory))}
        end = instance.spawn(topology.MODULES[instance.service], first, self._errors)
        instance.since, instance.started = self._clock.now(), self._clock.mono()
        instance.channel = Channel(partial(self._hear, instance), lambda: None)
        await instance.channel.attach(end)
        self.changed()

    async def revive(self, instance: Instance) -> None:
        """Start a process in a place as `spawn` does, and go on trying while the machine can't."""
        while self.instances.get(instance.id) is instance:
            try:
                await self.spawn(instance)
            except OSError:
                # No memory or no process left on the machine: that passes, or a person sees it in `status`.
                await asyncio.sleep(LONGEST_PAUSE)
            else:
                return

    def run_aside(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine that nobody waits for, and keep it alive."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def ask(self, instance: Instance, timeout: float, **message: Any) -> None:
        """Give a process an order. Raises ChannelClosed when it is gone or says no, TimeoutError."""
        if instance.channel is None:
            raise ChannelClosed(f"{instance.id} is {instance.state}")
        answer = await instance.channel.ask(timeout, **message)
        if error := answer.get("error"):
            raise ChannelClosed(error)

    def add_burner(self, instance: Instance, fault: str, load: float, seconds: float) -> None:
        """Start a CPU stress worker beside a process. Raises OSError."""
        instance.add_burner(fault, load, seconds, self._errors)
        self.changed()

    async def stop(self) -> None:
        """End every process, at once."""
        self._ending = True
        for task in list(self._tasks):
            task.cancel()
        for instance in self.instances.values():
            instance.stop_burners()
            instance.signal(signal.SIGKILL)
        for instance in self.instances.values():
            if instance.process is not None:
                instance.process.wait()
            instance.bury()
            instance.keeper.close()

    async def retire(self, instance: Instance) -> None:
        """Take a process out of the balancer, let it finish, and wait until it is gone."""
        instance.leaving = True
        await self._tell_balancer()
        instance.signal(signal.SIGTERM)
        try:
            await self.until(lambda: instance.process is None, LEAVE_WITHIN)
        except TimeoutError:
            instance.signal(signal.SIGKILL)
            await self.until(lambda: instance.process is None, LEAVE_WITHIN)

    async def roll(self, service: str) -> None:
        """Replace every process of `service`, one after the other, so that new settings take effect."""
        for instance in self.of(service):
            if instance.process is None:
                continue  # Held down: it will come back with the new settings.
            await self.retire(instance)
            await self.spawn(instance)
            with suppress(TimeoutError):
                await self.until(lambda i=instance: i.state in ("ready", "held"), READY_WITHIN)  # type: ignore[misc]

    async def set_load(self, rate: float) -> None:
        """Let `rate` customers arrive per second; 0 ends the traffic."""
        self.load = {"rate": rate}
        place = self.instances.get("load")
        if rate and place is None:
            await self.spawn(self._make_place("load", "load"))
        elif rate and place is not None and place.channel is not None:
            place.channel.tell(do="rate", rate=rate)
        elif place is not None:
            await self._remove(place)

    async def scale(self) -> None:
        """Do what the autoscaler says; called once a second."""
        places = self.of(topology.SCALED)
        ready = [i.cpu for i in places if i.state == "ready"]
        wanted = self._scaler.decide(self._clock.mono(), len(places), ready)
        for number in range(len(places) + 1, wanted + 1):
            await self.spawn(self._make_place(topology.SCALED, f"{topology.SCALED}-{number}"))
        for instance in places[: wanted - 1 : -1] if wanted < len(places) else []:
            if instance.pinned:
                break
            await self.retire(instance)
            await self._remove(instance)

    def replace_hung(self) -> None:
        """End processes that have answered nobody for too long; called once a second."""
        now = self._clock.mono()
        for instance in self._balanced():
            if instance.state != "unhealthy":
                instance.ill_since = None
            elif instance.ill_since is None:
                instance.ill_since = now
            elif now - instance.ill_since > HUNG_AFTER:
                instance.signal(signal.SIGKILL)

    def _balanced(self) -> Iterator[Instance]:
        return (i for i in self.instances.values() if i.service in topology.BALANCED)

    def _make_place(self, service: str, name: str) -> Instance:
        instance = self.instances[name] = Instance(name, service, _reserve_for(service))
        return instance

    async def _remove(self, instance: Instance) -> None:
        instance.leaving = True
        del self.instances[instance.id]
        instance.signal(signal.SIGKILL)
        if instance.process is not None:
            instance.process.wait()
        instance.bury()
        instance.keeper.close()
        self.changed()

    def _settings(self, instance: Instance) -> dict[str, Any]:
        data = self._directory / "data"
        match instance.service:
            case "database":
                return {"port": instance.port, "file": str(data / "payments.sqlite")}
            case "delay-proxy":
                return {"port": instance.port, "database_port": self.instances["database"].port}
            case "payment-api":
                return self.payment_settings | {
                    "port": instance.port,
                    "database_port": self.instances["delay-proxy"].port,
                    "outbox": str(data / f"{instance.id}.outbox"),
                }
            case "load":
                return {"balancer_port": self.shop_port, "rate": self.load["rate"]}
            case _:
                return {"port": instance.port, "balancer_port": self.shop_port}

    def _hear(self, instance: Instance, message: Message) -> None:
        match message.get("event"):
            case "ready":
                instance.announced = True
                # The balancer says how those behind it are; the others are well when they say so.
                instance.healthy = instance.service not in topology.BALANCED
                self._pauses.pop(instance.id, None)
                self.on_ready(instance)
                self.run_aside(self._tell_balancer())
            case "health":
                for name, healthy in message["health"].items():
                    if name in self.instances:
                        self.instances[name].healthy = healthy and self.instances[name].announced
            case "breaker":
                instance.breaker = message["state"]
            case "load":
                self.load |= {k: message[k] for k in ("sent", "failed", "p50", "p95")}
        self.changed()

    async def _tell_balancer(self) -> None:
        channel = self.instances["balancer"].channel
        if channel is None:
            return
        serving = [i for i in self._balanced() if i.announced and not i.leaving]
        backends = {s: [(i.id, i.port) for i in serving if i.service == s] for s in topology.BALANCED}
        with suppress(ChannelClosed, TimeoutError):
            await channel.ask(1.0, do="backends", **backends)

    def _reap(self) -> None:
        for instance in list(self.instances.values()):
            for burner in [b for b in instance.burners if b.process.poll() is not None]:
                burner.stop()
                instance.burners.remove(burner)
            if instance.process is not None and instance.process.poll() is not None:
                self._bury(instance)

    def _bury(self, instance: Instance) -> None:
        meant = instance.leaving
        lived = self._clock.mono() - instance.started
        instance.bury()
        if not meant and not self._ending:
            instance.restarts += 1
            self.run_aside(self._restart(instance, lived))
        self.changed()

    async def _restart(self, instance: Instance, lived: float) -> None:
        await self._tell_balancer()
        if lived < EARLY_DEATH:
            pause = self._pauses[instance.id] = min(LONGEST_PAUSE, 2 * self._pauses.get(instance.id, 0.05))
            await asyncio.sleep(pause)
        await self.revive(instance)

    def processes(self) -> dict[str, list[tuple[int, str]]]:
        """Return (pid, identity) of everything that runs, by place."""
        return {i.id: i.processes() for i in self.instances.values()}


def _reserve_for(service: str) -> socket:
    if service == "balancer":
        with suppress(OSError):
            return reserve(topology.PREFERRED_PORT)
    return reserve(0)
