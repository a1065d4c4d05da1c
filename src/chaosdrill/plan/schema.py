"""JSON Schemas (2020-12) of the files that people write, so that an editor completes and checks them.

Chaos Toolkit's part is described loosely, because it is Chaos Toolkit's; our block and our faults exactly.
What an editor can't know (variables, which signals exist, limits that exclude each other) is the reader's.
"""

from __future__ import annotations

from typing import Any

from chaosdrill.errors import UsageError
from chaosdrill.model.fault import ACTIONS_MODULE, FAULTS, Argument, FaultKind
from chaosdrill.plan.checks.findings import nearest
from chaosdrill.units import format_duration

SCHEMAS = ("experiment", "policy")
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ONE_BOUND = [{"required": [key]} for key in ("above", "below", "at-least", "at-most", "equals")]
_STOPS = [
    {"required": ["signal"], "oneOf": _ONE_BOUND},
    {"required": ["prometheus"], "oneOf": _ONE_BOUND},
    {"required": ["http"], "not": {"anyOf": _ONE_BOUND}},
]


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema called `name`, one of SCHEMAS. Raises UsageError for any other."""
    if name not in SCHEMAS:
        raise UsageError(f"there is no schema {name!r}", next_step=nearest(name, SCHEMAS))
    return _policy_file() if name == "policy" else _experiment_file()


def _policy_file() -> dict[str, Any]:
    # An editor asks once; nobody else should pay for pydantic.
    from chaosdrill.model.policyfile import PolicyFile

    policy: dict[str, Any] = _tidy(PolicyFile.model_json_schema(by_alias=True))
    policy["properties"]["version"] = {"enum": [1, "1"], "description": "of this format"}
    policy["$defs"]["EnvironmentSpec"]["properties"]["free-disk"]["default"] = "50 MB"
    return {"$schema": _DIALECT, "title": "Policy of chaosdrill", **policy}


def _experiment_file() -> dict[str, Any]:
    from chaosdrill.model.checklist import ITEMS
    from chaosdrill.model.experiment import ChaosdrillBlock

    block = _tidy(ChaosdrillBlock.model_json_schema(by_alias=True))
    definitions: dict[str, Any] = block.pop("$defs")
    block["required"] = ["name"]
    block["properties"]["checklist"]["propertyNames"] = {"enum": list(ITEMS)}
    block["properties"]["version"] = {"enum": [1, "1"], "description": "of this format"}
    definitions["Criterion"]["oneOf"] = _ONE_BOUND
    definitions["StopCondition"]["oneOf"] = _STOPS
    definitions["Criterion"]["not"] = {"required": ["over", "within"]}
    phase = definitions["Criterion"]["properties"]["phase"]
    definitions["Criterion"]["properties"]["phase"] = {
        "description": phase["description"],
        "anyOf": [phase["items"], {"type": "array", "items": phase["items"]}],
    }
    definitions["SourceSpec"]["oneOf"] = [{"required": [key]} for key in ("http", "tcp", "target")]
    definitions["ChaosdrillBlock"] = block
    definitions["Activity"] = _activity()
    return {"$schema": _DIALECT, **_experiment(), "$defs": definitions}


def _experiment() -> dict[str, Any]:
    activities = {"type": "array", "items": {"$ref": "#/$defs/Activity"}}
    ours = {"properties": {"name": {"const": "chaosdrill"}}, "required": ["name"]}
    extension = {
        "type": "object",
        "required": ["name"],
        "if": ours,
        "then": {"$ref": "#/$defs/ChaosdrillBlock"},
    }
    return {
        "title": "Chaos experiment",
        "description": "A Chaos Toolkit experiment, with what chaosdrill adds under `extensions`.",
        "type": "object",
        "required": ["title", "description", "method"],
        "properties": {
            "title": {"description": "what should be true, in one line"},
            "description": {"description": "why it is worth trying"},
            "tags": {"description": "words to find it by"},
            "configuration": {"type": "object", "description": "variables: ${name} elsewhere in the file"},
            "secrets": {"type": "object", "description": "variables that are never printed, in named groups"},
            "controls": {"type": "array", "description": "code that Chaos Toolkit calls around each step"},
            "steady-state-hypothesis": {
                "type": "object",
                "description": "probes that must hold before and after the method",
                "required": ["title"],
                "properties": {"title": {}, "probes": activities},
            },
            "method": {**activities, "description": "what is done, in order"},
            "rollbacks": {**activities, "description": "what is done afterwards, whatever happened"},
            "extensions": {"type": "array", "items": extension, "description": "what other tools add"},
        },
    }


def _activity() -> dict[str, Any]:
    ours = {
        "properties": {
            "provider": {
                "properties": {"type": {"const": "python"}, "module": {"const": ACTIONS_MODULE}},
                "required": ["type", "module"],
            }
        },
        "required": ["provider"],
    }
    return {
        "type": "object",
        "anyOf": [{"required": ["ref"]}, {"required": ["type", "name", "provider"]}],
        "properties": {
            "type": {"enum": ["action", "probe"]},
            "name": {"description": "what the report calls it"},
            "ref": {"type": "string", "description": "the name of an activity to play again"},
            "tolerance": {"description": "what a probe of the hypothesis must return"},
            "background": {"type": "boolean", "description": "go on without waiting for its end"},
            "pauses": {"type": "object", "properties": {"before": {}, "after": {}}},
            "provider": {
                "type": "object",
                "required": ["type"],
                "properties": {"type": {"enum": ["python", "process", "http"]}},
            },
        },
        "if": ours,
        "then": {"properties": {"type": {"const": "action"}, "provider": _fault_provider()}},
    }


def _fault_provider() -> dict[str, Any]:
    return {
        "required": ["func", "arguments"],
        "properties": {"func": {"enum": list(FAULTS)}},
        "allOf": [
            {
                "if": {"properties": {"func": {"const": kind.name}}, "required": ["func"]},
                "then": {"properties": {"arguments": _fault_arguments(kind)}},
            }
            for kind in FAULTS.values()
        ],
    }


def _fault_arguments(kind: FaultKind) -> dict[str, Any]:
    return {
        "type": "object",
        "description": kind.about,
        "additionalProperties": False,
        "required": [a.name for a in kind.arguments.values() if a.required],
        "properties": {a.name: _fault_argument(a) for a in kind.arguments.values()},
    }


def _fault_argument(argument: Argument) -> dict[str, Any]:
    # The reader knows the exact limits; an editor should only mark what can't be right.
    from chaosdrill.model.experiment import DURATION_PATTERN, SHARE_PATTERN

    shapes: dict[str, dict[str, Any]] = {
        "name": {"type": "string"},
        "seconds": {"type": "string", "pattern": DURATION_PATTERN},
        "share": {"type": "string", "pattern": SHARE_PATTERN},
        "count": {"type": ["integer", "string"]},
    }
    default = {} if argument.default is None else {"default": argument.default}
    return {
        **shapes[argument.measure],
        "description": argument.about,
        "examples": [argument.example],
        **default,
    }


def _tidy(node: Any) -> Any:
    """Return pydantic's schema as a person would write it: no nulls, no titles, defaults with units."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    tidy = {k: _tidy(v) for k, v in node.items() if k != "title" or isinstance(v, dict)}
    choices = [c for c in tidy.get("anyOf", ()) if c != {"type": "null"}]
    if len(choices) == 1:
        del tidy["anyOf"]
        tidy = {**choices[0], **tidy}
    if isinstance(tidy.get("default", ...), (dict, list, type(None))):
        del tidy["default"]
    if isinstance(tidy.get("default"), float):
        seconds = tidy["default"]
        tidy["default"] = format_duration(seconds) if tidy["type"] == "string" else seconds
    if tidy.get("type") == "integer":
        tidy["type"] = ["integer", "string"]
    if isinstance(tidy.get("description"), str):
        tidy["description"] = " ".join(tidy["description"].split())
    return tidy
