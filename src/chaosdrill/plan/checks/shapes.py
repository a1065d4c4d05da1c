"""A tree with places and a typed model: everything that does not fit, where it stands, in our words.

Serves each file that pydantic types (our block, answers, the policy) and knows nothing of what they say.
Importing this module costs pydantic: import it only where such a file is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from chaosdrill.plan.checks.findings import Findings, nearest
from chaosdrill.plan.reader import Node, shown

_OWN_WORDS = {
    "model_type": "a mapping belongs here",
    "model_attributes_type": "a mapping belongs here",
    "dict_type": "a mapping belongs here",
    "tuple_type": "a list belongs here",
    "list_type": "a list belongs here",
    "string_type": "a text belongs here",
    "string_too_short": "a text belongs here",
    "bool_parsing": "yes or no belongs here",
    "int_parsing": "a whole number belongs here",
    "int_type": "a whole number belongs here",
    "int_from_float": "a whole number belongs here",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a tree should look like: its model, what it is called in messages, and which keys of free mappings
    are known (by the path of the mapping, such as ('checklist',)).

    `already` are places whose problems were noted before; a value that hangs on a variable is left alone
    where `variables` says so.
    """

    model: type[BaseModel]
    name: str
    known: Mapping[tuple[str, ...], Sequence[str]] = field(default_factory=dict)
    variables: bool = False


def typed(
    shape: Shape,
    root: Node,
    found: Findings,
    written: Mapping[int, str] | None = None,
    already: frozenset[tuple[str | int, ...]] = frozenset(),
) -> BaseModel | None:
    """Return the typed model, None when something is wrong with it, and note what.

    `written` holds the text of nodes whose variables have been replaced, by id.
    """
    before = len(found.errors)
    _check_empty(root, found)
    _check_hyphens(shape, root, found)
    _check_known(shape, root, found)
    try:
        result = shape.model.model_validate(_tree(root, written or {}))
    except ValidationError as wrong:
        for error in wrong.errors(include_url=False):
            _note(shape, root, error, already, found)
        return None
    return result if len(found.errors) == before else None


def _tree(node: Node, written: Mapping[int, str]) -> Any:
    """Return the tree as text; what stands empty is left out, because that is noted already."""
    if node.kind == "map":
        return {k.text: _tree(v, written) for k, v in node.fields.values() if not v.is_null}
    if node.kind == "list":
        return [_tree(item, written) for item in node.items]
    return written.get(id(node), node.text)


def _check_empty(block: Node, found: Findings, path: str = "") -> None:
    """Note keys without a value: an empty `abort-when:` must not read as 'never abort'."""
    for key, value in block.fields.values():
        below = f"{path}.{key.text}" if path else key.text
        if value.is_null:
            found.error(key, f"{shown(key.text)} is empty", "give it a value, or remove the line", below)
        _check_empty(value, found, below)
    for index, item in enumerate(block.items):
        if item.is_null:
            found.error(item, "an empty item", "give it a value, or remove it", f"{path}[{index}]")
        _check_empty(item, found, f"{path}[{index}]")


def _check_hyphens(shape: Shape, root: Node, found: Findings) -> None:
    """Note `time_limit` for `time-limit`: the model knows both, a file knows one."""
    for location, owner in _mappings(root, ()):
        known = None
        for key, _ in owner.fields.values():
            if "_" in key.text:
                known = _keys_at(shape, location) if known is None else known
                if key.text not in known and key.text.replace("_", "-") in known:
                    _note_unknown(shape, root, (*location, key.text), found)


def _check_known(shape: Shape, root: Node, found: Findings) -> None:
    for location, words in shape.known.items():
        owner = root.at(location) if _is_there(root, location) else None
        for key, _ in owner.fields.values() if owner is not None else ():
            if key.text not in words:
                path = _dotted((*location, key.text))
                found.error(
                    key, f"{_dotted(location)} has no {shown(key.text)}", nearest(key.text, words), path
                )


def _is_there(root: Node, location: Sequence[str]) -> bool:
    node: Node | None = root
    for step in location:
        node = node.get(step) if node is not None else None
    return node is not None


def _mappings(node: Node, location: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Node]]:
    if node.kind == "map":
        yield location, node
    for index, item in enumerate(node.items):
        yield from _mappings(item, (*location, index))
    for key, value in node.fields.values():
        yield from _mappings(value, (*location, key.text))


def _note(
    shape: Shape, root: Node, error: Any, already: frozenset[tuple[str | int, ...]], found: Findings
) -> None:
    """Note one of pydantic's errors in our words, unless it is known or hangs on a variable."""
    kind, given = error["type"], error["input"]
    location = tuple(step for step in error["loc"] if step != "[key]")
    if kind == "value_error" and location in already:
        return
    if kind == "missing":
        _note_missing(shape, root, location, found)
        return
    if kind == "extra_forbidden":
        _note_unknown(shape, root, location, found)
        return
    if shape.variables and _hangs_on_variable(given) and kind not in _OWN_WORDS.keys() - {"int_parsing"}:
        return
    path = _dotted(location)
    found.error(root.at(location), f"`{path or shape.name}`: {_sentence(error)}", _hint(error), path)


def _note_missing(shape: Shape, root: Node, location: Sequence[str | int], found: Findings) -> None:
    owner = root.at(location[:-1])
    if owner.get(str(location[-1])) is None:
        path = _dotted(location[:-1]) or shape.name
        found.error(owner, f"{path} needs a `{location[-1]}`", path=_dotted(location))


def _note_unknown(shape: Shape, root: Node, location: Sequence[str | int], found: Findings) -> None:
    owner, word = root.at(location[:-1]), str(location[-1])
    found_key = owner.fields.get(word)
    place = (
        found_key[0] if found_key else next((k for k, _ in owner.fields.values() if k.text == word), owner)
    )
    where = _dotted(location[:-1]) or shape.name
    hint = nearest(word, _keys_at(shape, location[:-1]))
    found.error(place, f"{where} has no {shown(word)}", hint, _dotted(location))


def _sentence(error: Any) -> str:
    kind, given = error["type"], error["input"]
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind == "literal_error":
        return f"{shown(given)} is not {error['ctx']['expected']}"
    if kind == "greater_than_equal":
        return f"{shown(given)} is less than {error['ctx']['ge']}"
    said = _OWN_WORDS.get(kind, str(error["msg"]))
    return f"{said}, not {shown(given)}" if isinstance(given, str) else said


def _hint(error: Any) -> str:
    if error["type"] != "literal_error":
        return ""
    known = re.findall(r"'([^']*)'", str(error["ctx"]["expected"]))
    return nearest(str(error["input"]), known) if known else "it is the only one there is"


def _hangs_on_variable(given: Any) -> bool:
    if isinstance(given, str):
        return "${" in given
    if isinstance(given, dict):
        return any(_hangs_on_variable(value) for value in given.values())
    return isinstance(given, (list, tuple)) and any(_hangs_on_variable(value) for value in given)


def _dotted(location: Sequence[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).lstrip(".")


def _keys_at(shape: Shape, location: Sequence[str | int]) -> list[str]:
    """Return the keys that the model at `location` has."""
    model: type[BaseModel] = shape.model
    named = False
    for step in location:
        if named or isinstance(step, int):
            # A name that the file gives (of a signal, of an environment), or a place in a list.
            named = False
            continue
        for one in model.model_fields.values():
            if one.alias == step:
                model = _model_in(one.annotation) or model
                named = get_origin(one.annotation) is dict
                break
    return [str(one.alias) for one in model.model_fields.values()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
