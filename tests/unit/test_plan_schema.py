"""The JSON Schema describes what the reader reads, so that an editor can complete it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from chaosdrill.errors import UsageError
from chaosdrill.model.experiment import ChaosdrillBlock
from chaosdrill.model.fault import FAULTS
from chaosdrill.plan.schema import SCHEMAS, schema

WHOLE = schema("experiment")


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(child)


def test_it_is_plain_json_of_the_2020_12_dialect() -> None:
    assert json.loads(json.dumps(WHOLE)) == WHOLE
    assert WHOLE["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_reference_leads_somewhere() -> None:
    references = {node["$ref"] for node in nodes(WHOLE) if isinstance(node.get("$ref"), str)}
    assert references
    assert references <= {f"#/$defs/{name}" for name in WHOLE["$defs"]}


def test_every_key_of_the_block_is_there_with_hyphens_and_a_description() -> None:
    block = WHOLE["$defs"]["ChaosdrillBlock"]
    assert set(block["properties"]) == {str(f.alias) for f in ChaosdrillBlock.model_fields.values()}
    for name in (
        "ChaosdrillBlock",
        "HttpSource",
        "TcpSource",
        "Criterion",
        "StopCondition",
        "Phases",
        "BlastRadius",
    ):
        definition = WHOLE["$defs"][name]
        assert definition["additionalProperties"] is False
        assert definition["description"]
        for key, value in definition["properties"].items():
            assert "_" not in key
            assert value["description"], f"{name}.{key}"


def test_quantities_are_texts_with_units_or_variables() -> None:
    limit = WHOLE["$defs"]["ChaosdrillBlock"]["properties"]["time-limit"]
    assert limit["type"] == "string"
    assert limit["default"] == "1 h"
    for right in (*limit["examples"], "1.5 h", "${seconds} s", "${limit}"):
        assert re.search(limit["pattern"], right), right
    for wrong in ("30", "30 x", "30 %", "s", ""):
        assert not re.search(limit["pattern"], wrong), wrong


def test_nothing_of_it_is_null() -> None:
    assert "null" not in json.dumps(WHOLE)


@pytest.mark.parametrize("kind", FAULTS)
def test_every_fault_is_there_with_its_arguments(kind: str) -> None:
    provider = WHOLE["$defs"]["Activity"]["then"]["properties"]["provider"]
    assert kind in provider["properties"]["func"]["enum"]
    (then,) = [
        case["then"]["properties"]["arguments"]
        for case in provider["allOf"]
        if case["if"]["properties"]["func"]["const"] == kind
    ]
    assert set(then["properties"]) == set(FAULTS[kind].arguments)
    assert set(then["required"]) == {a.name for a in FAULTS[kind].arguments.values() if a.required}


def test_an_unknown_schema_is_told_the_known_ones() -> None:
    assert SCHEMAS == ("experiment", "policy")
    with pytest.raises(UsageError) as refused:
        schema("experimant")
    assert refused.value.next_step == "did you mean 'experiment'?"
