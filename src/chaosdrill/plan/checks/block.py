"""Our block, from text to the typed model, with the place of everything that does not fit.

The same steps serve a file as written, where values that hang on variables are left out, and a block whose
variables are known. Importing this module costs pydantic: import it only for a file that has a block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from chaosdrill.model.checklist import ITEMS
from chaosdrill.model.experiment import AnswersFile, ChaosdrillBlock
from chaosdrill.plan.checks.bounds import check_bounds
from chaosdrill.plan.checks.findings import Findings
from chaosdrill.plan.checks.shapes import Shape, typed
from chaosdrill.plan.checks.variables import Variables, check_references
from chaosdrill.plan.reader import Node, shown

_SOURCE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_ITEMS: dict[tuple[str, ...], tuple[str, ...]] = {("checklist",): tuple(ITEMS)}
_BLOCK = Shape(ChaosdrillBlock, "the chaosdrill block", _ITEMS, variables=True)
_ANSWERS = Shape(AnswersFile, "a file of answers", _ITEMS)
_BLOCK_KEYS = {field.alias for field in ChaosdrillBlock.model_fields.values()}
_ANSWERS_KEYS = {field.alias for field in AnswersFile.model_fields.values()}


def check_block(block: Node, variables: Variables, found: Findings) -> None:
    """Note everything wrong with a block as written; what hangs on a variable is judged later."""
    for node, path in _texts(block):
        if path == "environment" and "${" in node.text:
            hint = "name one, or leave it to --environment"
            found.error(node, "the environment is needed before any variable is known", hint, path)
        else:
            check_references(node, variables, found, secrets=False, path=path)
    type_block(block, {}, found)


def check_answers(answers: Node, block: Node, found: Findings) -> None:
    """Note everything wrong with answers that stand beside an experiment with a `block` of its own."""
    own = block.get("checklist")
    for key, _ in answers.fields.values():
        if key.text in _BLOCK_KEYS - _ANSWERS_KEYS:
            found.error(key, f"{shown(key.text)} belongs into the experiment's own block", "", key.text)
    typed(_ANSWERS, answers, found)
    given = answers.get("checklist")
    for key, _ in given.fields.values() if given is not None else ():
        answered = own.fields.get(key.text) if own is not None else None
        if answered is not None:
            hint = f"the experiment says it on line {answered[0].line}"
            found.error(key, f"{shown(key.text)} is answered twice", hint, f"checklist.{key.text}")


def type_block(block: Node, written: dict[int, str], found: Findings) -> ChaosdrillBlock | None:
    """Return the typed block, None when something is wrong with it, and note what.

    `written` holds the text of nodes whose variables have been replaced, by id.
    """
    before = len(found.errors)
    _check_source_names(block, found)
    already = frozenset(check_bounds(block, found, written))
    result = typed(_BLOCK, block, found, written, already)
    assert result is None or isinstance(result, ChaosdrillBlock)
    return result if len(found.errors) == before else None


def _texts(node: Node, path: str = "") -> Iterator[tuple[Node, str]]:
    if node.kind == "scalar":
        yield node, path
    for index, item in enumerate(node.items):
        yield from _texts(item, f"{path}[{index}]")
    for key, value in node.fields.values():
        yield from _texts(value, f"{path}.{key.text}" if path else key.text)


def _check_source_names(block: Node, found: Findings) -> None:
    signals = block.get("signals")
    for key, _ in signals.fields.values() if signals is not None else ():
        if not _SOURCE_NAME.fullmatch(key.text):
            hint = "letters, digits, - and _, such as 'pay'"
            found.error(key, f"{shown(key.text)} can't be the name of a signal", hint, f"signals.{key.text}")
