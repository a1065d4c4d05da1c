"""What commands may ask of a sandbox: one JSON object per line over a Unix socket, one answer each.

Translates between the socket and the fleet; decides nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from chaosdrill.clock import SystemClock
from chaosdrill.sandbox import state
from chaosdrill.sandbox.supervisor import topology
from chaosdrill.sandbox.supervisor.disturbance import Disturbances, Impossible
from chaosdrill.sandbox.supervisor.fleet import Fleet
from chaosdrill.sandbox.supervisor.instance import Instance

LONGEST_LINE = 1 << 20
Question = dict[str, Any]


class Control:
    """The control socket of one sandbox."""

    def __init__(self, directory: Path, fleet: Fleet, faults: Disturbances, clock: SystemClock) -> None:
        self.ending = asyncio.Event()
        self._path = state.socket_path(directory)
        self._directory = directory
        self._fleet = fleet
        self._faults = faults
        self._since = clock.now()
        self._fixes: list[str] = []
        self._rolling: list[str] = []
        self._one_at_a_time = asyncio.Lock()
        self._server: asyncio.Server | None = None
        self._commands: dict[str, Callable[[Question], Awaitable[Any]]] = {
            "status": self._status,
            "series": self._series,
            "faults": self._list_faults,
            "fault-start": self._start_fault,
            "fault-stop": self._stop_fault,
            "load": self._set_load,
            "fix": self._fix,
            "down": self._down,
        }

    async def listen(self) -> None:
        """Begin to answer."""
        state.make_private(self._path.parent)
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._converse, self._path, limit=LONGEST_LINE)
        self._path.chmod(0o600)

    def close(self) -> None:
        """Answer nobody any more."""
        if self._server is not None:
            self._server.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, ValueError):
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            question = json.loads(line)
            command = self._commands[question["do"]]
        except (ValueError, KeyError, TypeError):
            return {"error": "the sandbox does not know this command", "why": "unknown"}
        try:
            return {"answer": await command(question)}
        except Impossible as problem:
            return {"error": str(problem), "why": "impossible"}
        except (KeyError, TypeError, ValueError) as problem:
            return {"error": f"{question['do']}: wrong or missing argument {problem}", "why": "unknown"}

    async def _status(self, _: Question) -> dict[str, Any]:
        fleet = self._fleet
        order = list(topology.MODULES)
        instances = sorted(fleet.instances.values(), key=lambda i: (order.index(i.service), i.id))
        return {
            "directory": str(self._directory),
            "supervisor": os.getpid(),
            "since": self._since,
            "shop_url": f"http://127.0.0.1:{fleet.shop_port}",
            "settings": fleet.payment_settings,
            "fixes": self._fixes,
            "rolling": self._rolling,
            "load": fleet.load,
            "instances": [_facts(i) for i in instances],
            "faults": self._faults.facts(),
        }

    async def _series(self, question: Question) -> dict[str, float]:
        places = self._fleet.of(question["service"])
        if not places:
            raise Impossible(f"there is no service {question['service']} in the sandbox")
        running = [i for i in places if i.process is not None]
        return {
            "ready": sum(i.state == "ready" for i in places),
            "instances": len(places),
            "restarts": sum(i.restarts for i in places),
            "cpu": round(sum(i.cpu for i in running) / len(running), 4) if running else 0.0,
            "breaker": max((i.breaker for i in running), default=0),
        }

    async def _list_faults(self, _: Question) -> list[dict[str, Any]]:
        return self._faults.facts()

    async def _start_fault(self, question: Question) -> None:
        await self._faults.start(question)

    async def _stop_fault(self, question: Question) -> None:
        await self._faults.stop(question["id"])

    async def _set_load(self, question: Question) -> None:
        rate = float(question["rate"])
        if not 0 <= rate <= 2000:
            raise Impossible(f"{rate:g} per second is not a load between 0 and 2000")
        async with self._one_at_a_time:
            await self._fleet.set_load(rate)

    async def _fix(self, question: Question) -> dict[str, Any]:
        name, undo = question["name"], bool(question.get("undo"))
        changes = topology.FIXES.get(name)
        if changes is None:
            raise Impossible(f"the sandbox knows no fix {name!r}, only {', '.join(topology.FIXES)}")
        async with self._one_at_a_time:
            before = dict(self._fleet.payment_settings)
            values = {k: topology.PAYMENT_SETTINGS[k] for k in changes} if undo else changes
            self._fleet.payment_settings.update(values)
            self._fixes = [f for f in self._fixes if f != name] + ([] if undo else [name])
            if self._fleet.payment_settings != before:
                # Said while it lasts: nobody should experiment on a system that is being changed.
                self._rolling.append(name)
                try:
                    await self._fleet.roll(topology.SCALED)
                finally:
                    self._rolling.remove(name)
        return {key: [before[key], self._fleet.payment_settings[key]] for key in changes}

    async def _down(self, _: Question) -> None:
        self.ending.set()


def _facts(instance: Instance) -> dict[str, Any]:
    return {
        "id": instance.id,
        "service": instance.service,
        "state": instance.state,
        "pid": instance.pid,
        "port": None if instance.service == "load" else instance.port,
        "restarts": instance.restarts,
        "cpu": instance.cpu,
        "since": instance.since,
        "breaker": instance.breaker,
    }
