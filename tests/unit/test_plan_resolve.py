"""Once the variables are known: text becomes values, and what does not fit is traced back to its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaosdrill.errors import EngineFailed, InvalidFile, UsageError
from chaosdrill.model.experiment import ChaosdrillBlock
from chaosdrill.model.fault import FAULTS, examine_arguments
from chaosdrill.plan.experiment import ExperimentFile, read_experiment
from chaosdrill.plan.resolve import fault_spec, resolve_block, resolve_faults

TEXT = """\
title: t
description: d
configuration:
  seconds: {type: env, key: SECONDS_OF_FAULT}
  url: {type: env, key: SHOP_URL}
  most: 1
method:
- type: action
  name: slow
  provider:
    type: python
    module: chaosdrill.actions
    func: network_latency
    arguments: {delay: "${seconds} ms", duration: "${seconds} s"}
extensions:
- name: chaosdrill
  signals:
    pay: {http: {url: "${url}/checkout", rate: "${seconds}"}}
  criteria:
  - {signal: pay.p95_latency, below: "${seconds}00 ms", over: "${seconds} s"}
  blast-radius: {max-targets: "${most}"}
  time-limit: 10 min
  service: "a $${literal} and ${seconds}"
"""
GOOD: dict[str, Any] = {"seconds": 30, "url": "http://127.0.0.1:8080", "most": 1}


@pytest.fixture
def experiment(tmp_path: Path) -> ExperimentFile:
    file = tmp_path / "x.yaml"
    file.write_text(TEXT)
    return read_experiment(file)


def block_problems(experiment: ExperimentFile, **changed: Any) -> list[str]:
    with pytest.raises(InvalidFile) as refused:
        resolve_block(experiment, {**GOOD, **changed})
    return [str(problem) for problem in refused.value.problems]


def test_variables_become_values_wherever_they_came_from(experiment: ExperimentFile) -> None:
    for seconds in (30, "30"):
        block = resolve_block(experiment, {**GOOD, "seconds": seconds, "most": "1"})
        assert isinstance(block, ChaosdrillBlock)
        assert block.signals["pay"].http is not None
        assert block.signals["pay"].http.url == "http://127.0.0.1:8080/checkout"
        assert block.signals["pay"].http.rate == 30.0
        assert block.criteria[0].threshold == 3.0
        assert block.criteria[0].over == 30.0
        assert block.blast_radius.max_targets == 1
        assert block.service == "a ${literal} and 30"


def test_a_file_without_a_block_resolves_to_none(tmp_path: Path) -> None:
    file = tmp_path / "plain.json"
    file.write_text('{"title": "t", "description": "d", "method": []}')
    assert resolve_block(read_experiment(file), {}) is None


def test_a_variable_that_is_unknown_or_empty_is_named_with_its_place(experiment: ExperimentFile) -> None:
    unknown = {key: value for key, value in GOOD.items() if key != "url"}
    with pytest.raises(InvalidFile) as refused:
        resolve_block(experiment, unknown)
    assert [str(p) for p in refused.value.problems] == [
        "18:23: the variable '${url}' has no value (known: seconds, most)"
    ]
    for empty in ("", " ", None):
        assert block_problems(experiment, url=empty) == [
            "18:23: the variable 'url' is empty (set it, or give it a default)"
        ]


def test_a_value_that_does_not_fit_is_named_where_the_variable_stands(experiment: ExperimentFile) -> None:
    assert block_problems(experiment, seconds="x") == [
        "18:48: `signals.pay.http.rate`: 'x' is not a rate; write it like '50/s'",
        "20:38: `below` of pay.p95_latency: 'x00 ms' is not a duration; write it like '30 s'",
        "20:63: `criteria[0].over`: 'x s' is not a duration; write it like '30 s'",
    ]
    assert block_problems(experiment, most=0) == ["21:31: `blast-radius.max-targets`: '0' is less than 1"]
    assert block_problems(experiment, most={"a": 1}) == [
        "21:31: the variable 'most' is no text and no number (only these can stand here)"
    ]


def test_a_bare_number_lacks_its_unit_whether_text_or_number(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(TEXT.replace("time-limit: 10 min", 'time-limit: "${seconds}"'))
    for seconds in (30, "30"):
        assert block_problems(read_experiment(file), seconds=seconds) == [
            "22:15: `time-limit`: '30' has no unit; write 30 s, 30 min or 30 ms"
        ]


# ---- faults


def faults(experiment: ExperimentFile, arguments: dict[str, Any], configuration: dict[str, Any]) -> list[str]:
    block = resolve_block(experiment, GOOD)
    with pytest.raises(InvalidFile) as refused:
        resolve_faults(
            experiment, [{"kind": "network_latency", "arguments": arguments}], configuration, block
        )
    return [str(problem) for problem in refused.value.problems]


def test_arguments_as_chaos_toolkit_substituted_them_become_a_fault(experiment: ExperimentFile) -> None:
    resolved = [{"kind": "network_latency", "arguments": {"delay": "100 ms", "duration": "30 s"}}]
    (spec,) = resolve_faults(experiment, resolved, GOOD, resolve_block(experiment, GOOD))
    assert (spec.kind, spec.target, spec.duration) == ("network_latency", "database", 30.0)
    assert spec.arguments == {"delay": 0.1, "jitter": 0.0}


def test_an_empty_variable_in_a_fault_is_named(experiment: ExperimentFile) -> None:
    assert faults(experiment, {"delay": "1 ms", "duration": " s"}, {**GOOD, "seconds": ""}) == [
        "14:51: `duration`: 's' is not a duration; write it like '30 s': the variable 'seconds' is empty "
        "(set it, or give it a default)"
    ]


def test_a_variable_that_chaos_toolkit_left_as_it_is_is_named(experiment: ExperimentFile) -> None:
    (problem,) = faults(experiment, {"delay": "1 ms", "duration": "${seconds} s"}, {"second": 30})
    assert problem.endswith("the variable 'seconds' has no value (did you mean 'second'?)")


def test_a_fault_that_outlasts_the_run_is_refused(experiment: ExperimentFile) -> None:
    (problem,) = faults(experiment, {"delay": "1 ms", "duration": "900 s"}, {**GOOD, "seconds": 900})
    assert problem == (
        "14:51: the fault lasts 15 min, the run at most 10 min (raise time-limit, or shorten the fault)"
    )


def test_faults_that_chaos_toolkit_sees_otherwise_are_never_paired_up(experiment: ExperimentFile) -> None:
    for others in ([], [{"kind": "network_cut", "arguments": {"duration": "1 s"}}]):
        with pytest.raises(EngineFailed):
            resolve_faults(experiment, others, GOOD, None)


def test_a_fault_spec_is_typed_and_has_its_defaults() -> None:
    spec = fault_spec("cpu_stress", {"target": "payment-api", "duration": "3 min", "workers": 2})
    assert spec.duration == 180.0
    assert spec.arguments == {"workers": 2, "load": 0.8, "count": 1, "share": None}
    share = fault_spec("instance_failure", {"target": "x", "duration": "1 s", "share": "34 %", "count": None})
    assert share.arguments == {"count": None, "share": 0.34}


def test_a_fault_spec_says_everything_that_is_wrong_in_one_line() -> None:
    with pytest.raises(UsageError) as refused:
        fault_spec("instance_failure", {"target": "x", "duration": "30", "cuont": 1})
    assert refused.value.message == (
        "instance_failure: `cuont`: unknown argument; "
        "`duration`: '30' has no unit; write 30 s, 30 min or 30 ms"
    )
    assert refused.value.next_step == "it takes target, count, share, duration"
    with pytest.raises(UsageError) as refused:
        fault_spec("instance_failur", {})
    assert refused.value.next_step == "did you mean 'instance_failure'?"


@pytest.mark.parametrize("kind", FAULTS)
def test_the_example_of_every_argument_is_right(kind: str) -> None:
    known = FAULTS[kind].arguments
    examples = {a.name: a.example for a in known.values() if a.name != "share"}
    typed, problems = examine_arguments(kind, examples)
    assert set(typed) == set(known)
    assert problems == []
    (problem,) = examine_arguments(kind, {**examples, "duration": "0 s"})[1]
    assert problem.argument == "duration"


@pytest.mark.parametrize("kind", FAULTS)
def test_the_catalogue_and_the_functions_that_files_call_agree(kind: str) -> None:
    import inspect

    from chaosdrill import actions

    parameters = inspect.signature(getattr(actions, kind)).parameters
    assert set(parameters) == set(FAULTS[kind].arguments)
    for name, argument in FAULTS[kind].arguments.items():
        assert (parameters[name].default is inspect.Parameter.empty) == argument.required, name
    assert set(actions.__all__) == set(FAULTS)
