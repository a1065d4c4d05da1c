"""A file as a tree: each value knows its place, what was written, and what Chaos Toolkit makes of it.

The two readings differ on purpose: `NO` is the text 'NO' in our block and False to Chaos Toolkit. Nothing
here knows YAML, JSON or what an experiment is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from chaosdrill.errors import Problem

#: Deeper nesting is refused: the C loaders that read the same file later recurse, and crash on enough of it.
MOST_NESTING = 50

#: How many values aliases may add to a file; ten aliases of ten, ten times over, would be ten billion.
MOST_ALIASED = 100_000

#: Each of more problems is like one of these.
MOST_PROBLEMS = 1000

#: Python itself reads no longer whole number from text (sys.int_info.default_max_str_digits).
LONGEST_NUMBER = 4300


class Node:
    """A value with its place: lines and columns count from 1.

    `value` of a scalar is what Chaos Toolkit sees (text, number, bool, date, None), `text` what was written.
    `fields` of a mapping are keyed as Chaos Toolkit sees the keys, each with the key's own node.
    """

    __slots__ = ("column", "fields", "items", "kind", "line", "text", "value", "weight")

    def __init__(self, kind: Literal["scalar", "map", "list"], line: int, column: int) -> None:
        self.kind = kind
        self.line = line
        self.column = column
        self.text = ""
        self.value: Any = None
        # Most nodes are scalars; a list and a dict of their own would double what a large file costs.
        self.items: list[Node] = [] if kind == "list" else _NO_ITEMS
        self.fields: dict[Any, tuple[Node, Node]] = {} if kind == "map" else _NO_FIELDS
        self.weight = 1

    def get(self, key: str) -> Node | None:
        """Return the value under `key` as Chaos Toolkit would find it; None also when this is no mapping."""
        found = self.fields.get(key)
        return found[1] if found else None

    def key(self, key: str) -> Node:
        """Return the node of the key itself, or this mapping when it has none such."""
        found = self.fields.get(key)
        return found[0] if found else self

    @property
    def empty(self) -> bool:
        """Whether Python takes the value for false: null, '', 0, no, [] or {}."""
        if self.kind == "scalar":
            return not self.value
        return not (self.items or self.fields)

    @property
    def is_null(self) -> bool:
        """Whether nothing stands here: `null`, `~`, or no value at all."""
        return self.kind == "scalar" and self.value is None

    @property
    def is_text(self) -> bool:
        """Whether Chaos Toolkit sees a string here."""
        return self.kind == "scalar" and isinstance(self.value, str)

    def plain(self) -> Any:
        """Return the tree as Chaos Toolkit sees it, in plain Python."""
        if self.kind == "map":
            return {key: value.plain() for key, (_, value) in self.fields.items()}
        if self.kind == "list":
            return [item.plain() for item in self.items]
        return self.value

    def strings(self) -> Any:
        """Return the tree with every scalar as it was written."""
        if self.kind == "map":
            return {key.text: value.strings() for key, value in self.fields.values()}
        if self.kind == "list":
            return [item.strings() for item in self.items]
        return self.text

    def scalars(self) -> Iterator[Node]:
        """Yield every scalar value below, keys not included."""
        if self.kind == "scalar":
            yield self
        for item in self.items:
            yield from item.scalars()
        for _, value in self.fields.values():
            yield from value.scalars()

    def at(self, path: Sequence[str | int]) -> Node:
        """Return the deepest node that exists along `path`."""
        node = self
        for step in path:
            below = node._below(step)
            if below is None:
                break
            node = below
        return node

    def _below(self, step: str | int) -> Node | None:
        if self.kind == "list":
            return self.items[step] if isinstance(step, int) and 0 <= step < len(self.items) else None
        found = self.fields.get(step)
        if found is None:
            found = next((pair for pair in self.fields.values() if pair[0].text == step), None)
        return found[1] if found else None


_NO_ITEMS: list[Node] = []
_NO_FIELDS: dict[Any, tuple[Node, Node]] = {}


class Document(NamedTuple):
    """A file that could be parsed, and what is wrong with it all the same, such as duplicate keys."""

    source: Path
    content: bytes
    root: Node
    problems: list[Problem]

    def place(self, *path: str | int) -> tuple[int, int]:
        """Return line and column of the value at `path`, or of the nearest thing above it that exists."""
        node = self.root.at(path)
        return node.line, node.column


def shown(text: object, longest: int = 60) -> str:
    """Return `text` quoted on one line, cut where it would make a message unreadable."""
    words = str(text)
    return repr(words if len(words) <= longest else words[:longest] + "…")
