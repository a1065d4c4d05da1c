"""Whatever is done to a file, reading it succeeds or names the problem; it never crashes or hangs."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from plan_damage import damaged, mutated

from chaosdrill.errors import InvalidFile, UsageError
from chaosdrill.plan.checks.findings import MOST_PROBLEMS
from chaosdrill.plan.experiment import read_experiment
from chaosdrill.plan.reader import read
from chaosdrill.plan.resolve import resolve_block, resolve_faults

SEED = 20261121
FILES = 5000
EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def _as_json(content: bytes, _random: random.Random) -> bytes:
    try:
        return json.dumps(yaml.safe_load(content), indent=1, default=str).encode()
    except (yaml.YAMLError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return content


def _originals() -> list[tuple[str, bytes]]:
    shipped = [(".yaml", file.read_bytes()) for file in sorted(EXPERIMENTS.glob("*/*.yaml"))]
    as_json = [(".json", _as_json(content, random.Random(0))) for _, content in shipped]
    return shipped + as_json


def test_5000_damaged_files_are_read_or_refused_with_a_place(tmp_path: Path) -> None:
    random_ = random.Random(SEED)
    originals = _originals()
    assert originals
    fine = 0
    for number in range(FILES):
        suffix, original = random_.choice(originals)
        file = tmp_path / f"x{suffix}"
        file.write_bytes(damaged(original, random_))
        try:
            experiment = read_experiment(file)
        except UsageError as refusal:
            _is_presentable(refusal, number)
            continue
        fine += 1
        try:
            resolve_block(experiment, {"fault_seconds": 1, "delay_ms": "5", "shop_url": "http://127.0.0.1"})
        except InvalidFile as refusal:
            _is_presentable(refusal, number)
    assert FILES * 0.05 < fine < FILES * 0.5, "the mutations must leave some files whole, and break most"


def test_values_of_every_other_kind_are_read_or_refused_with_a_place(tmp_path: Path) -> None:
    random_ = random.Random(SEED)
    trees = [yaml.safe_load(content) for suffix, content in _originals() if suffix == ".yaml"]
    file = tmp_path / "x.json"
    for number in range(1500):
        file.write_text(json.dumps(mutated(random_.choice(trees), random_)))
        value: Any = random_.choice((1, "x", "", None, {}, [1], 1.5, True, "${other}"))
        configuration = {"fault_seconds": value, "delay_ms": value, "shop_url": "http://127.0.0.1"}
        try:
            experiment = read_experiment(file)
            block = resolve_block(experiment, configuration)
            faults = [
                {"kind": f.kind, "arguments": f.arguments | {"duration": value}} for f in experiment.faults
            ]
            resolve_faults(experiment, faults, configuration, block)
        except UsageError as refusal:
            _is_presentable(refusal, number)


BLOCK = "title: t\ndescription: d\nmethod: []\nextensions:\n- name: chaosdrill\n"
SIGNALS = BLOCK + "  signals: {pay: {http: {url: 'http://h'}}}\n  criteria:\n"


@pytest.mark.parametrize(
    ("head", "line"),
    [
        (BLOCK, "  servce%d: x\n"),
        (SIGNALS, "  - {signal: pax%d.availability, above: 9 %%}\n"),
        (SIGNALS, "  - {signal: pay.error_rate, above: %d %%}\n"),
        ("title: t\ndescription: d\n", "methad%d: x\n"),
        ("title: t\ndescription: d\nmethod:\n", "- {ref: activity%d}\n"),
        ("", "a: %d\n"),
    ],
)
def test_a_megabyte_of_mistakes_is_answered_with_a_hundred(tmp_path: Path, head: str, line: str) -> None:
    file = tmp_path / "x.yaml"
    body = "".join(line % number for number in range(1_000_000 // (len(line) + 5)))
    file.write_text(head + body)
    with pytest.raises(InvalidFile) as refused:
        read_experiment(file)
    assert 1 <= len(refused.value.problems) <= MOST_PROBLEMS


def _is_presentable(refusal: UsageError, number: int) -> None:
    assert "\n" not in str(refusal), f"file {number}"
    str(refusal).encode()
    for problem in getattr(refusal, "problems", ()):
        assert problem.message, f"file {number}"
        assert len(str(problem)) < 1000, f"file {number}: {str(problem)[:100]}"


def test_values_are_the_ones_that_chaos_toolkit_reads(tmp_path: Path) -> None:
    random_ = random.Random(SEED)
    file = tmp_path / "x.yaml"
    originals = [content for suffix, content in _originals() if suffix == ".yaml"]
    compared = 0
    while compared < 100:
        content = damaged(random_.choice(originals), random_)
        file.write_bytes(content)
        try:
            document = read(file)
        except UsageError:
            continue
        if document.problems:
            continue
        theirs = yaml.safe_load(content.decode())
        assert repr(document.root.plain()) == repr(theirs) or document.root.plain() == theirs
        compared += 1
