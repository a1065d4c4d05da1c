"""The checks of Chaos Toolkit's own part against Chaos Toolkit itself: it decides, we only say where."""

from __future__ import annotations

import copy
import json
import logging
import random
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chaoslib.experiment import ensure_experiment_is_valid
from plan_damage import mutated

from chaosdrill.errors import InvalidFile
from chaosdrill.plan.experiment import read_experiment

SEED = 20261121

WHOLE: dict[str, Any] = {
    "title": "t",
    "description": "d",
    "tags": ["a", "b"],
    "configuration": {
        "a": "1",
        "b": {"type": "env", "key": "HOME"},
        "c": {"type": "env", "key": "NOT_SET_ANYWHERE", "default": 3, "env_var_type": "int"},
    },
    "secrets": {"group": {"token": "x", "env": {"type": "env", "key": "HOME"}}},
    "controls": [{"name": "k", "scope": "before", "provider": {"type": "python", "module": "json"}}],
    "steady-state-hypothesis": {
        "title": "h",
        "probes": [
            {
                "type": "probe",
                "name": "p1",
                "tolerance": [200, 201],
                "provider": {"type": "http", "url": "http://127.0.0.1/", "headers": {"a": "b"}, "timeout": 2},
            },
            {
                "type": "probe",
                "name": "p2",
                "tolerance": {"type": "range", "range": [0, 1.5], "target": "stdout"},
                "provider": {"type": "process", "path": "true", "arguments": ["x"]},
            },
            {
                "type": "probe",
                "name": "p3",
                "tolerance": {"type": "regex", "pattern": "^a[b]*$"},
                "provider": {"type": "process", "path": "true"},
            },
            {
                "type": "probe",
                "name": "p4",
                "tolerance": {
                    "type": "probe",
                    "name": "judge",
                    "provider": {"type": "process", "path": "true"},
                },
                "provider": {"type": "process", "path": "true"},
            },
        ],
    },
    "method": [
        {
            "type": "action",
            "name": "a1",
            "background": True,
            "timeout": 5,
            "pauses": {"before": 1, "after": "${a}"},
            "provider": {"type": "python", "module": "os", "func": "getenv", "arguments": {"key": "HOME"}},
            "controls": [{"name": "k2", "provider": {"type": "python", "module": "json"}}],
        },
        {"ref": "p1"},
    ],
    "rollbacks": [{"type": "action", "name": "r1", "provider": {"type": "process", "path": "true"}}],
    "extensions": [{"name": "other", "x": 1}],
}
#: What Chaos Toolkit finds out by importing, or from the environment: not the reader's to know.
BEYOND = (
    "could not find Python module",
    "does not expose a function",
    "is not part of the function signature",
    "is missing from activity",
    "does not exist",
    "Install the `jsonpath2` package",
    "int()",
)
#: What Chaos Toolkit accepts at first, and then crashes on in the middle of a run.
CRASHES_LATER = ("no activity is called", "the pause `")


def what_chaos_toolkit_says(tree: dict[str, Any]) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ensure_experiment_is_valid(copy.deepcopy(tree))
    except Exception as refusal:  # noqa: BLE001 - it refuses with its own errors, and crashes with any other
        return f"{type(refusal).__name__}: {refusal}"
    return None


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_refuses_what_chaos_toolkit_refuses_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "experiment.json"
    random_ = random.Random(SEED)
    refused = 0
    for _ in range(1500):
        tree = mutated(WHOLE, random_)
        file.write_text(json.dumps(tree))
        theirs = what_chaos_toolkit_says(tree)
        try:
            read_experiment(file)
            ours: list[str] = []
        except InvalidFile as error:
            ours = [problem.message for problem in error.problems]
        if theirs is None:
            unexpected = [message for message in ours if not message.startswith(CRASHES_LATER)]
            assert not unexpected, f"Chaos Toolkit accepts {tree}"
        elif not any(words in theirs for words in BEYOND):
            assert ours, f"Chaos Toolkit says {theirs} about {tree}"
        refused += bool(ours)
    assert 300 < refused < 1400


def test_accepts_the_experiment_that_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "experiment.json"
    file.write_text(json.dumps(WHOLE))
    assert what_chaos_toolkit_says(WHOLE) is None
    assert read_experiment(file).title == "t"
