"""Sandboxes for runs that are killed: some, because one sandbox has one run at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from scene import NewScene, Scene, new_scene

from chaosdrill.sandbox import client
from commandline import CommandLine


def _up(folder: str) -> Path:
    directory = Path(folder) / "sb"
    client.up(directory)
    return directory


@pytest.fixture(scope="session")
def crash_sandboxes() -> Iterator[list[Path]]:
    """Two sandboxes for the whole session."""
    with tempfile.TemporaryDirectory(prefix="cc-") as one, tempfile.TemporaryDirectory(prefix="cc-") as two:
        directories = [_up(one), _up(two)]
        yield directories
        for directory in directories:
            client.down(directory)


@pytest.fixture
def scene(tmp_path: Path, crash_sandboxes: list[Path], chaosdrill: CommandLine) -> Iterator[NewScene]:
    """Return a maker of scenes on the first sandbox; what still runs of them at the end is ended."""
    made: list[Scene] = []

    def make(step: str = "", **more: object) -> Scene:
        made.append(new_scene(tmp_path, crash_sandboxes[0], chaosdrill.environment, step=step, **more))
        return made[-1]

    yield make
    for scene in made:
        scene.end()
