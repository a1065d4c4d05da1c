"""The experiments that we ship are what we say they are."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from chaoslib.configuration import load_configuration
from chaoslib.experiment import ensure_experiment_is_valid

from chaosdrill.plan.experiment import read_experiment
from chaosdrill.plan.resolve import resolve_block, resolve_faults
from chaosdrill.plan.schema import schema

FOLDER = Path(__file__).parents[2] / "experiments"
FILES = sorted(file for file in FOLDER.rglob("*.yaml") if file.name != "chaosdrill.yaml")


@pytest.fixture(params=FILES, ids=[file.stem for file in FILES])
def file(request: pytest.FixtureRequest) -> Path:
    chosen: Path = request.param
    return chosen


def test_there_are_experiments() -> None:
    assert {"pod-failure", "database-latency", "database-latency-3s", "cpu-stress", "connection-pool"} <= {
        file.stem for file in FILES
    }


def test_chaos_toolkit_accepts_it_as_a_plain_experiment(file: Path) -> None:
    logging.disable(logging.CRITICAL)
    try:
        ensure_experiment_is_valid(yaml.safe_load(file.read_text()))
    finally:
        logging.disable(logging.NOTSET)


def test_nothing_in_it_is_wrong_or_doubtful(file: Path) -> None:
    assert read_experiment(file).warnings == ()


def test_it_says_everything_that_a_reviewer_asks_for(file: Path) -> None:
    experiment = read_experiment(file)
    block = resolve_block(experiment, _configuration(file))
    assert block is not None
    assert block.hypothesis and block.expected_outcome and block.service
    assert block.environment == "sandbox"
    assert block.criteria and block.signals and block.checklist
    assert block.blast_radius.max_targets == 1
    assert experiment.faults


def test_its_faults_make_sense_and_end_within_the_time_limit(file: Path) -> None:
    experiment = read_experiment(file)
    configuration = _configuration(file)
    block = resolve_block(experiment, configuration)
    assert block is not None
    resolved = [{"kind": f.kind, "arguments": _filled(f.arguments, configuration)} for f in experiment.faults]
    faults = resolve_faults(experiment, resolved, configuration, block)
    watched = block.phases.baseline + block.phases.recovery
    assert sum(fault.duration for fault in faults) + watched < block.time_limit


def test_its_duration_can_be_set_from_outside(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULT_SECONDS", "7")
    experiment = read_experiment(file)
    configuration = _configuration(file)
    resolved = [{"kind": f.kind, "arguments": _filled(f.arguments, configuration)} for f in experiment.faults]
    assert {f.duration for f in resolve_faults(experiment, resolved, configuration, None)} == {7.0}


def test_an_editor_knows_every_key_in_it(file: Path) -> None:
    definitions = schema("experiment")["$defs"]
    block = read_experiment(file).block
    assert block is not None
    assert set(block) <= set(definitions["ChaosdrillBlock"]["properties"])
    for criterion in block["criteria"]:
        assert set(criterion) <= set(definitions["Criterion"]["properties"])


def _configuration(file: Path) -> dict[str, Any]:
    known: dict[str, Any] = load_configuration(yaml.safe_load(file.read_text())["configuration"])
    return known


def _filled(arguments: dict[str, Any], configuration: dict[str, Any]) -> dict[str, Any]:
    return {
        name: re.sub(r"\$\{(\w+)\}", lambda m: str(configuration[m[1]]), value)
        if isinstance(value, str)
        else value
        for name, value in arguments.items()
    }
