"""A real Alertmanager on loopback, and what is told to it."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def open_alertmanager(place: Path) -> Iterator[str]:
    """An Alertmanager with its files in `place`, by its address, until it is left."""
    program = shutil.which("prometheus-alertmanager")
    assert program, "make test installs it"
    place.mkdir(exist_ok=True)
    (place / "config.yml").write_text(
        "route: {receiver: none}\nreceivers: [{name: none}]\n"
        "inhibit_rules: [{source_matchers: [alertname=Root], target_matchers: [alertname=Symptom]}]\n"
    )
    address = f"127.0.0.1:{free_port()}"
    with (place / "log").open("w") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={place / 'config.yml'}",
                f"--storage.path={place}",
                f"--web.listen-address={address}",
                "--cluster.listen-address=",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            until(lambda: answers(f"http://{address}/-/ready"), (place / "log").read_text)
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait(10)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def until(met: Callable[[], bool], told: Callable[[], str] = lambda: "") -> None:
    for _ in range(1000):
        if met():
            return
        time.sleep(0.02)
    raise AssertionError(f"it never came to that: {told()}")


def post(url: str, content: object) -> None:
    request = urllib.request.Request(
        url, json.dumps(content).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 200


def fire(url: str, *, resolved: bool = False, **labels: str) -> None:
    now = datetime.now(UTC)
    ends = now - timedelta(seconds=1) if resolved else now + timedelta(hours=1)
    starts = now - timedelta(minutes=5)
    alert = {"labels": labels, "startsAt": starts.isoformat(), "endsAt": ends.isoformat()}
    post(f"{url}/api/v2/alerts", [alert])
