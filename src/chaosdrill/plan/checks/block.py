"""Our block, from text to the typed model, with the place of everything that does not fit.

The same steps serve a file as written, where values that hang on variables are left out, and a block whose
variables are known. Importing this module costs pydantic: import it only for a file that has a block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from chaosdrill.model.experiment import ChaosdrillBlock
from chaosdrill.plan.checks.bounds import check_bounds
from chaosdrill.plan.checks.findings import Findings, nearest
from chaosdrill.plan.checks.variables import Variables, check_references
from chaosdrill.plan.reader import Node, shown

_SOURCE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_OWN_WORDS = {
    "model_type": "a mapping belongs here",
    "model_attributes_type": "a mapping belongs here",
    "dict_type": "a mapping belongs here",
    "tuple_type": "a list belongs here",
    "list_type": "a list belongs here",
    "string_type": "a text belongs here",
    "int_parsing": "a whole number belongs here",
    "int_type": "a whole number belongs here",
    "int_from_float": "a whole number belongs here",
}


def check_block(block: Node, variables: Variables, found: Findings) -> None:
    """Note everything wrong with a block as written; what hangs on a variable is judged later."""
    for node, path in _texts(block):
        if path == "environment" and "${" in node.text:
            hint = "name one, or leave it to --environment"
            found.error(node, "the environment is needed before any variable is known", hint, path)
        else:
            check_references(node, variables, found, secrets=False, path=path)
    type_block(block, {}, found)


def type_block(block: Node, written: dict[int, str], found: Findings) -> ChaosdrillBlock | None:
    """Return the typed block, None when something is wrong with it, and note what.

    `written` holds the text of nodes whose variables have been replaced, by id.
    """
    before = len(found.errors)
    _check_empty(block, found)
    _check_source_names(block, found)
    _check_hyphens(block, found)
    already = check_bounds(block, found, written)
    try:
        typed = ChaosdrillBlock.model_validate(_tree(block, written))
    except ValidationError as wrong:
        for error in wrong.errors(include_url=False):
            _note(block, error, already, found)
        return None
    return typed if len(found.errors) == before else None


def _tree(node: Node, written: dict[int, str]) -> Any:
    """Return the block as text; what stands empty is left out, because that is noted already."""
    if node.kind == "map":
        return {k.text: _tree(v, written) for k, v in node.fields.values() if not v.is_null}
    if node.kind == "list":
        return [_tree(item, written) for item in node.items]
    return written.get(id(node), node.text)


def _texts(node: Node, path: str = "") -> Iterator[tuple[Node, str]]:
    if node.kind == "scalar":
        yield node, path
    for index, item in enumerate(node.items):
        yield from _texts(item, f"{path}[{index}]")
    for key, value in node.fields.values():
        yield from _texts(value, f"{path}.{key.text}" if path else key.text)


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


def _check_source_names(block: Node, found: Findings) -> None:
    signals = block.get("signals")
    for key, _ in signals.fields.values() if signals is not None else ():
        if not _SOURCE_NAME.fullmatch(key.text):
            hint = "letters, digits, - and _, such as 'pay'"
            found.error(key, f"{shown(key.text)} can't be the name of a signal", hint, f"signals.{key.text}")


def _check_hyphens(block: Node, found: Findings) -> None:
    """Note `time_limit` for `time-limit`: the model knows both, a file knows one."""
    owners: list[tuple[Node | None, tuple[str | int, ...]]] = [
        (block, ()),
        (block.get("blast-radius"), ("blast-radius",)),
    ]
    for section in ("criteria", "abort-when"):
        bounds = block.get(section)
        owners += [
            (bound, (section, i)) for i, bound in enumerate(bounds.items if bounds is not None else ())
        ]
    for owner, location in owners:
        for key, _ in owner.fields.values() if owner is not None else ():
            if "_" in key.text and key.text.replace("_", "-") in _keys_at(location):
                _note_unknown(block, (*location, key.text), found)


def _note(block: Node, error: Any, already: set[tuple[str, int]], found: Findings) -> None:
    """Note one of pydantic's errors in our words, unless it is known or hangs on a variable."""
    kind, location, given = error["type"], tuple(error["loc"]), error["input"]
    if kind == "value_error" and location in already:
        return
    if kind == "missing":
        _note_missing(block, location, found)
        return
    if kind == "extra_forbidden":
        _note_unknown(block, location, found)
        return
    if _hangs_on_variable(given) and kind not in _OWN_WORDS.keys() - {"int_parsing"}:
        return
    path = _dotted(location)
    found.error(block.at(location), f"`{path}`: {_sentence(error)}", _hint(error), path)


def _note_missing(block: Node, location: Sequence[str | int], found: Findings) -> None:
    owner = block.at(location[:-1])
    if owner.get(str(location[-1])) is None:
        path = _dotted(location[:-1]) or "the block"
        found.error(owner, f"{path} needs a `{location[-1]}`", path=_dotted(location))


def _note_unknown(block: Node, location: Sequence[str | int], found: Findings) -> None:
    owner, word = block.at(location[:-1]), str(location[-1])
    found_key = owner.fields.get(word)
    place = (
        found_key[0] if found_key else next((k for k, _ in owner.fields.values() if k.text == word), owner)
    )
    where = _dotted(location[:-1]) or "the chaosdrill block"
    found.error(
        place, f"{where} has no {shown(word)}", nearest(word, _keys_at(location[:-1])), _dotted(location)
    )


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


def _keys_at(location: Sequence[str | int]) -> list[str]:
    """Return the keys that the model at `location` has."""
    model: type[BaseModel] = ChaosdrillBlock
    for step in location:
        for field in model.model_fields.values():
            if field.alias == step:
                model = _model_in(field.annotation) or model
                break
    return [str(field.alias) for field in model.model_fields.values()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
