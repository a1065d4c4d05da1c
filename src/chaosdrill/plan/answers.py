"""What people say about items of the checklist: in the file's block, or in NAME.chaosdrill.yaml beside it.

Reads what `read_experiment` has checked already, so that a file without answers pays for nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from chaosdrill.model.checklist import Answer
from chaosdrill.plan.experiment import ExperimentFile
from chaosdrill.plan.reader import Node


def read_answers(file: ExperimentFile) -> tuple[Mapping[str, Answer], str]:
    """Return the answers by item, and the SHA-256 of the file beside the experiment, empty without one."""
    found = {answer.item: answer for answer in _answers(file.block_node, file.block_path.name)}
    if file.beside is None:
        return found, ""
    found |= {answer.item: answer for answer in _answers(file.beside.root, file.beside.source.name)}
    return found, hashlib.sha256(file.beside.content).hexdigest()


def _answers(block: Node | None, where: str) -> Iterator[Answer]:
    checklist = block.get("checklist") if block is not None else None
    for key, answer in checklist.fields.values() if checklist is not None else ():
        said = {name.text: " ".join(value.text.split()) for name, value in answer.fields.values()}
        place = f"{where}:{key.line}"
        if "not-needed" in said:
            yield Answer(key.text, "not needed", said["not-needed"], where=place)
        else:
            yield Answer(
                key.text,
                "attested",
                said.get("words", ""),
                by=said.get("attested-by", ""),
                at=said.get("at", ""),
                where=place,
            )
