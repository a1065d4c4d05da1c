"""JSON to a tree with places: Python's own decoder decides what is JSON, this only where things stand."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from chaosdrill.errors import InvalidFile, Problem
from chaosdrill.plan.reader.document import LONGEST_NUMBER, MOST_NESTING, MOST_PROBLEMS, Node, shown

# Possessive, so that an unclosed string is read once and not once per quote in it.
_STRUCTURE = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)
_TOKEN = re.compile(r'[ \t\n\r,:]*+([\[\]{}"]|[^\s\[\]{},:"]+)')
_WORDS = {
    "true": True,
    "false": False,
    "null": None,
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


def parse_json(text: str, source: str) -> tuple[Node, list[Problem]]:
    """Return the tree of `text`, and the problems that do not make it another language.

    An empty file gives a null scalar. Raises InvalidFile, with a single problem, for bad syntax and for
    nesting that is too deep.
    """
    if not text.strip():
        return Node("scalar", 1, 1), []
    places = _Places(text)
    depth = 0
    for found in _STRUCTURE.finditer(text):
        mark = found.group()
        depth += (mark in "[{") - (mark in "]}") if len(mark) == 1 else 0
        if depth > MOST_NESTING:
            problem = places.problem(
                found.start(), f"nested more than {MOST_NESTING} deep", "no experiment needs that"
            )
            raise InvalidFile(source, [problem])
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        message = f"not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}"
        raise InvalidFile(source, [Problem(error.lineno, error.colno, message)]) from error
    except ValueError:
        # A whole number that Python refuses to read; the tree comes upon the same one, with its place.
        pass
    return _Tree(text, source, places).grow()


class _Places:
    """Lines and columns of offsets."""

    def __init__(self, text: str) -> None:
        self.starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def of(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def problem(self, offset: int, message: str, hint: str) -> Problem:
        return Problem(*self.of(offset), message, hint)


class _Tree:
    """Grows the tree from tokens of a text that is known to be JSON."""

    def __init__(self, text: str, source: str, places: _Places) -> None:
        self.text = text
        self.source = source
        self.places = places
        self.problems: list[Problem] = []
        self.opened: list[Node] = []
        self.keys: list[Node | None] = []
        self.root = Node("scalar", 1, 1)

    def grow(self) -> tuple[Node, list[Problem]]:
        offset = 0
        while found := _TOKEN.match(self.text, offset):
            start, offset = found.span(1)
            token = found.group(1)
            if token in ("[", "{"):
                self.opened.append(self._node("list" if token == "[" else "map", start))
                self.keys.append(None)
            elif token in ("]", "}"):
                self.keys.pop()
                self._add(self.opened.pop())
            elif token == '"':
                node = self._node("scalar", start)
                node.value, offset = scanstring(self.text, start + 1, True)
                node.text = node.value
                if not node.text.isascii() and _HALF_CHARACTER.search(node.text):
                    self._problem(node, "half a character (a lone surrogate) can't be printed", "remove it")
                self._add(node)
            else:
                node = self._node("scalar", start)
                node.text, node.value = token, self._word(token, start)
                self._add(node)
        return self.root, self.problems

    def _node(self, kind: Any, offset: int) -> Node:
        return Node(kind, *self.places.of(offset))

    def _word(self, token: str, offset: int) -> Any:
        if token in _WORDS:
            return _WORDS[token]
        if len(token) > LONGEST_NUMBER:
            message = f"a number of {len(token):,} digits; Chaos Toolkit reads at most {LONGEST_NUMBER:,}"
            raise InvalidFile(self.source, [self.places.problem(offset, message, "put it in quotes")])
        return float(token) if set(token) & set(".eE") else int(token)

    def _add(self, node: Node) -> None:
        if not self.opened:
            self.root = node
            return
        parent = self.opened[-1]
        if parent.kind == "list":
            parent.items.append(node)
        elif (key := self.keys[-1]) is None:
            self.keys[-1] = node
        else:
            self.keys[-1] = None
            if key.value in parent.fields:
                first = parent.fields[key.value][0].line
                self._problem(key, f"the key {shown(key.text)} stands here twice", f"first on line {first}")
            parent.fields[key.value] = (key, node)

    def _problem(self, node: Node, message: str, hint: str) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(node.line, node.column, message, hint))
