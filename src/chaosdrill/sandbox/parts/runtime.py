"""What every process of the sandbox does besides its job: obey the supervisor, log, burn, and end in time.

A process leaves at once when the supervisor is gone, so that nothing is ever orphaned. Knows nothing of any
role.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from chaosdrill.clock import SystemClock, iso
from chaosdrill.sandbox.parts.channel import Channel, ChannelClosed, Message, read_first_line
from chaosdrill.sandbox.parts.http import HOST
from chaosdrill.sandbox.parts.stress import LoopBurner

#: A log is turned over at this size and one old file is kept, so that days of load fill no disk.
LARGEST_LOG = 2 << 20


class JsonLog:
    """One JSON object per line, in a file that stays bounded."""

    def __init__(self, path: Path, clock: SystemClock, instance: str) -> None:
        self._path = path
        self._clock = clock
        self._instance = instance
        self._file = path.open("ab", buffering=0)
        self._size = self._file.tell()

    def write(self, level: str, event: str, **fields: Any) -> None:
        """Append one event; `level` is 'info', 'warning' or 'error'."""
        line = {"time": iso(self._clock.now()), "level": level, "instance": self._instance, "event": event}
        data = json.dumps(line | fields, default=str).encode() + b"\n"
        try:
            self._file.write(data)
        except OSError:
            # A full disk must not take the shop down; the log is the first thing to give up.
            return
        self._size += len(data)
        if self._size > LARGEST_LOG:
            self._turn_over()

    def _turn_over(self) -> None:
        self._file.close()
        self._path.replace(self._path.with_suffix(".1.jsonl"))
        self._file = self._path.open("ab", buffering=0)
        self._size = 0


class Runtime:
    """This process: its name, its settings, its line to the supervisor, its log."""

    def __init__(self, end: socket.socket, first: Message) -> None:
        self.clock = SystemClock()
        self.id: str = first["id"]
        self.settings: dict[str, Any] = first["settings"]
        self.log = JsonLog(Path(first["log"]), self.clock, self.id)
        self.channel = Channel(self._obey, self._leave)
        self._end = end
        self._commands: dict[str, Callable[[Message], None]] = {"burn": self._burn, "cool": self._cool}
        self._burners: dict[str, LoopBurner] = {}

    def on(self, command: str, act: Callable[[Message], None]) -> None:
        """Call `act` when the supervisor gives `command`; the answer goes out after it returns."""
        self._commands[command] = act

    async def until_told_to_leave(self) -> None:
        """Begin to listen to the supervisor, say that this process is ready, then wait for SIGTERM.

        Whatever `on` should name must be named before.
        """
        leaving = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leaving.set)
        await self.channel.attach(self._end)
        self.channel.tell(event="ready")
        self.log.write("info", "ready", pid=os.getpid())
        await leaving.wait()
        self.log.write("info", "leaving")

    def _obey(self, message: Message) -> None:
        act = self._commands.get(message.get("do", ""))
        if act is None:
            self.channel.answer(message, error=f"{self.id} does not know {message.get('do')!r}")
            return
        act(message)
        self.channel.answer(message)

    def _leave(self) -> None:
        os._exit(0)

    def _burn(self, message: Message) -> None:
        self._cool(message)
        burner = LoopBurner(message["load"], message["seconds"])
        self._burners[message["fault"]] = burner
        self.log.write("warning", "cpu stress", load=message["load"], seconds=message["seconds"])

    def _cool(self, message: Message) -> None:
        if burner := self._burners.pop(message["fault"], None):
            burner.stop()


def listening_socket(port: int) -> socket.socket:
    """Return a socket bound to `port` on loopback, which the supervisor has reserved and shares with us."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((HOST, port))
    listener.setblocking(False)
    return listener


def run(role: Callable[[Runtime], Awaitable[None]]) -> None:
    """Play `role` in this process until the supervisor ends it or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end = socket.socket(fileno=0)
    try:
        first = read_first_line(end)
    except (ChannelClosed, ConnectionError):
        sys.exit(0)

    async def play() -> None:
        await role(Runtime(end, first))

    asyncio.run(play())
    # What is left are sockets and a log, which the kernel closes faster than an interpreter shuts down.
    os._exit(0)
