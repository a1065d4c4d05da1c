"""An experiment file: bytes for Chaos Toolkit, a block and faults for us, and everything wrong with it.

Nothing is resolved here: variables, targets and the clock come later. A file without our block never pays
for pydantic.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from chaosdrill import redact
from chaosdrill.errors import InvalidFile, Problem, UsageError
from chaosdrill.model.policy import BESIDE
from chaosdrill.plan.checks.doubts import doubt
from chaosdrill.plan.checks.faults import (
    FaultAction,
    check_faults,
    check_time_limit,
    fault_actions,
    literal_seconds,
)
from chaosdrill.plan.checks.findings import Enough, Findings, nearest
from chaosdrill.plan.checks.toolkit import check_experiment
from chaosdrill.plan.checks.variables import Variables, names_in, variables_of
from chaosdrill.plan.reader import Document, Node, read, shown
from chaosdrill.units import UnitError, parse_duration

__all__ = ["ExperimentFile", "FaultAction", "read_experiment"]

#: What ChaosdrillBlock.time_limit says when a file does not.
_TIME_LIMIT = 3600.0


@dataclass(frozen=True)
class ExperimentFile:
    """An experiment that nothing known would stop; `warnings` say what was surely not meant."""

    document: Document
    title: str
    faults: tuple[FaultAction, ...]
    warnings: tuple[Problem, ...]
    block_node: Node | None
    known: Variables
    beside: Document | None = None

    @property
    def block_path(self) -> Path:
        """The file that our block stands in: this one, or NAME.chaosdrill.yaml beside it."""
        inside = self.beside is None or self.block_node is not self.beside.root
        return self.document.source if inside or self.beside is None else self.beside.source

    @property
    def path(self) -> Path:
        """The file as it was asked for."""
        return self.document.source

    @property
    def content(self) -> bytes:
        """The bytes that were read; what is cleared and played must be these."""
        return self.document.content

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the content, in hexadecimal."""
        return hashlib.sha256(self.document.content).hexdigest()

    @property
    def block(self) -> dict[str, Any] | None:
        """Our block as written, every scalar a text; None when the file has none."""
        return self.block_node.strings() if self.block_node is not None else None

    @property
    def environment(self) -> str | None:
        """The environment that the block asks for, None when it does not."""
        node = self.block_node.get("environment") if self.block_node is not None else None
        return node.text if node is not None else None

    @cached_property
    def variables(self) -> frozenset[str]:
        """The configuration that our block and the faults hang on."""
        nodes = [fault.arguments_node for fault in self.faults]
        if self.block_node is not None:
            nodes.append(self.block_node)
        names = {name for node in nodes for scalar in node.scalars() for name in names_in(scalar.text)}
        return frozenset(names) & self.known.configuration


def read_experiment(path: str | Path) -> ExperimentFile:
    """Read and check the experiment at `path`, without importing anything that it names.

    Raises UsageError for a file that can't be had, and InvalidFile with every problem and its place.
    """
    document = read(path)
    redact.known.learn(redact.written_secrets(document.root.plain(), os.environ))
    found = Findings()
    try:
        found.add(document.problems)
        outline = check_experiment(document.root, found)
        known = variables_of(outline.configuration, outline.secrets)
        faults = fault_actions(outline)
        check_faults(outline, faults, known, found)
        if outline.block is not None:
            from chaosdrill.plan.checks.block import check_block

            check_block(outline.block, known, found)
            _check_durations(outline.block, faults, found)
    except Enough:
        pass
    if found.errors:
        raise InvalidFile(str(document.source), found.errors)
    with suppress(Enough):
        doubt(document.root, outline, known, found)
    beside, block = _beside(document.source), outline.block
    if beside is not None:
        block = _block_beside(beside, block, known, faults)
    return ExperimentFile(
        document, _title(document.root), tuple(faults), _sorted(found.warnings), block, known, beside
    )


def beside_of(source: Path) -> Path:
    """Return where NAME.chaosdrill.yaml would lie beside the file NAME.yaml."""
    return source.with_name(f"{source.stem}{BESIDE}")


def _beside(source: Path) -> Document | None:
    place = beside_of(source)
    return read(place) if place != source and place.exists() else None


def _block_beside(beside: Document, block: Node | None, known: Variables, faults: list[FaultAction]) -> Node:
    """Return the block that counts: the file's own, with further answers beside it, or the one beside it.

    Raises InvalidFile with every problem and its place in the file beside.
    """
    from chaosdrill.plan.checks.block import check_answers, check_block

    found = Findings()
    with suppress(Enough):
        found.add(beside.problems)
        if beside.root.kind != "map":
            found.error(beside.root, "a mapping belongs here", "the fields of a chaosdrill block")
        elif block is None:
            check_block(beside.root, known, found)
            _check_durations(beside.root, faults, found)
        else:
            check_answers(beside.root, block, found)
    if found.errors:
        raise InvalidFile(str(beside.source), found.errors)
    return beside.root if block is None else block


def check_variables(file: ExperimentFile, given: Sequence[str]) -> None:
    """Raise UsageError for a KEY=VALUE (or KEY:TYPE=VALUE) whose key the file's configuration does not have.

    Chaos Toolkit passes it over in silence, and the run would use a default that nobody meant.
    """
    for pair in given:
        key = pair.partition("=")[0].partition(":")[0]
        if key not in file.known.configuration:
            hint = nearest(key, file.known.configuration)
            raise UsageError(f"{file.path} has no configuration {shown(key)}", next_step=hint)


def _check_durations(block: Node, faults: list[FaultAction], found: Findings) -> None:
    limit = _TIME_LIMIT
    node = block.get("time-limit")
    if node is not None:
        try:
            limit = parse_duration(node.text)
        except UnitError:
            return
    seen: set[int] = set()
    for fault in faults:
        seconds = literal_seconds(fault)
        if seconds is not None and id(fault.node) not in seen:
            seen.add(id(fault.node))
            check_time_limit(fault, seconds, limit, found)


def _title(root: Node) -> str:
    title = root.get("title")
    if title is None:
        return ""
    return " ".join(str(title.text if title.kind == "scalar" else title.plain()).split())


def _sorted(problems: list[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda p: (p.line, p.column, p.message)))
