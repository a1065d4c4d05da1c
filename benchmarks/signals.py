"""What the HTTP signal costs at 200 requests per second, and how punctual it is.

`python benchmarks/signals.py [--seconds N] [--json FILE]` prints a table. The server (which takes 5 ms) and
the burners are processes of their own; the signal, the sample file and a rolling window are in this one, as
in a run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

RATE = 200
SERVER_MS = 5
CPU_GOAL = 10.0  # percent of one core
DISPATCH_GOAL = 0.5  # ms, p95


def measure(seconds: float = 15.0) -> list[dict]:
    """Return rows of {name, value, unit, goal, met}: at rest, then beside two processes that burn CPU."""
    rows = []
    with _child("serve") as server:
        port = int(server.stdout.readline())
        rows += _one(port, seconds, "")
        with _child("burn"), _child("burn"):
            rows += _one(port, seconds, ", two burners beside")
    return rows


def _one(port: int, seconds: float, where: str) -> list[dict]:
    from chaosdrill import signals, statistics
    from chaosdrill.clock import SystemClock
    from chaosdrill.model.experiment import HttpSource, SourceSpec
    from chaosdrill.model.signal import Sample
    from chaosdrill.record.samples import SampleWriter, read_samples

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "samples.csv")
        writer, rolling = SampleWriter(path), statistics.Rolling(10)
        source = HttpSource(url=f"http://127.0.0.1:{port}/", rate=RATE, timeout=2)
        signal = signals.open("pay", SourceSpec(http=source), SystemClock())

        def sink(sample: Sample) -> None:
            writer.write(sample)
            rolling.add(sample)

        signal.check()
        cpu, began = time.process_time(), time.monotonic()
        signal.start(sink)
        time.sleep(seconds)
        signal.stop()
        share = 100 * (time.process_time() - cpu) / (time.monotonic() - began)
        writer.close()
        readings = read_samples(path).of("pay")
    late = statistics.percentile(sorted(signal.dispatch_errors()), 95) * 1000
    control = statistics.percentile(sorted(_bare_sleep(seconds / 3)), 95) * 1000
    p95 = statistics.measure("p95_latency", readings).value
    return [
        _row(f"CPU at {RATE}/s{where}", share, "% of a core", CPU_GOAL),
        _row(f"dispatch error p95{where}", late, "ms", DISPATCH_GOAL),
        _row(f"the same of a thread that only sleeps{where}", control, "ms", None),
        _row(f"latency p95 of a {SERVER_MS} ms server{where}", p95 * 1000, "ms", None),
        _row(f"requests recorded of {seconds * RATE:.0f}{where}", len(readings), "", None),
    ]


def _bare_sleep(seconds: float) -> list[float]:
    """Return how late a bare thread wakes on the same schedule: what the machine itself takes just now."""
    start, late = time.monotonic(), []
    for i in range(1, round(seconds * RATE)):
        due = start + i / RATE
        time.sleep(max(0.0, due - time.monotonic()))
        late.append(time.monotonic() - due)
    return late


def _row(name: str, value: float, unit: str, goal: float | None) -> dict:
    met = None if goal is None else value <= goal
    return {"name": name, "value": round(value, 3), "unit": unit, "goal": goal, "met": met}


@contextmanager
def _child(role: str):
    child = subprocess.Popen([sys.executable, __file__, role], stdout=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


async def _serve() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(SERVER_MS / 1000)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def _burn() -> None:
    while True:
        pass


def table(rows: list[dict]) -> str:
    """Return `rows` as text, with what missed its goal marked."""
    lines = []
    for row in rows:
        goal = "" if row["goal"] is None else f"goal <= {row['goal']:g}"
        met = {True: "met", False: "MISSED", None: ""}[row["met"]]
        lines.append(f"{row['name']:<58} {row['value']:>9g} {row['unit']:<12} {goal:<13} {met}".rstrip())
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("role", nargs="?", choices=["serve", "burn"])
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.role == "serve":
        asyncio.run(_serve())
    elif given.role == "burn":
        _burn()
    else:
        rows = measure(given.seconds)
        print(table(rows))
        if given.json:
            given.json.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
