"""YAML to a tree with places, from the parser's events.

Events instead of PyYAML's own loaders: the depth is known before anything recurses, aliases are counted
before they are followed, duplicate keys are seen, and every value keeps its place. What PyYAML's safe loader
(which Chaos Toolkit uses) would refuse is a problem here too.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import ScalarNode
from yaml.reader import Reader

from chaosdrill.errors import InvalidFile, Problem
from chaosdrill.plan.reader.document import (
    LONGEST_NUMBER,
    MOST_ALIASED,
    MOST_NESTING,
    MOST_PROBLEMS,
    Node,
    shown,
)

_TAG = "tag:yaml.org,2002:"
_STR, _MERGE, _VALUE = _TAG + "str", _TAG + "merge", _TAG + "value"
_MAP_TAGS = (None, "!", _TAG + "map", _TAG + "set")
_LIST_TAGS = (None, "!", _TAG + "seq", _TAG + "omap", _TAG + "pairs")
_RESOLVERS: dict[str, list[tuple[str, re.Pattern[str]]]] = yaml.SafeLoader.yaml_implicit_resolvers
_CONSTRUCT = {
    _TAG + name: getattr(SafeConstructor, f"construct_yaml_{name}")
    for name in ("null", "bool", "int", "float", "binary", "timestamp")
}
_FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

#: PyYAML's own parser is Chaos Toolkit's. libyaml is ten times faster and reads the same, except around tabs
#: and question marks: there the slow one decides, unless it would take seconds.
_DISPUTED = re.compile(r"[\t?]")
_LONGEST_FOR_SLOW = 128 * 1024


def parse_yaml(text: str, source: str) -> tuple[Node, list[Problem]]:
    """Return the tree of the one document in `text`, and the problems that did not stop the parser.

    An empty file gives a null scalar. Raises InvalidFile, with a single problem, for bad syntax, several
    documents, nesting that is too deep, and aliases that are unknown, recursive or too many.
    """
    strange = Reader.NON_PRINTABLE.search(text)
    if strange:
        line, column = _place(text, strange.start())
        message = f"the character U+{ord(strange.group()):04X} can't stand in YAML"
        raise InvalidFile(source, [Problem(line, column, message, "remove it")])
    slow = len(text) <= _LONGEST_FOR_SLOW and _DISPUTED.search(text)
    try:
        return _Tree(source).grow(yaml.SafeLoader(text) if slow else _FAST(text))
    except yaml.YAMLError as error:
        raise InvalidFile(source, [_syntax_problem(error, text)]) from error


class _Tree:
    """Grows the tree from events; `opened` are the collections that have not ended yet."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self.anchors: dict[str, Node] = {}
        # By id; holding the nodes keeps the ids theirs.
        self.merge_keys: dict[int, Node] = {}
        self.opened: list[Node] = []
        self.pending: list[list[tuple[Node, Node]]] = []
        self.keys: list[Node | None] = []
        self.root: Node | None = None
        self.aliased = 0
        self.constructor = SafeConstructor()

    def grow(self, loader: Any) -> tuple[Node, list[Problem]]:
        steps = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._start,
            yaml.SequenceStartEvent: self._start,
            yaml.MappingEndEvent: self._end_map,
            yaml.SequenceEndEvent: self._end_list,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._document,
        }
        try:
            while True:
                event = loader.get_event()
                if event is None or type(event) is yaml.StreamEndEvent:
                    break
                step = steps.get(type(event))
                if step:
                    step(event)
        finally:
            loader.dispose()
        return self.root or Node("scalar", 1, 1), self.problems

    def _document(self, event: Any) -> None:
        if self.root is not None:
            self._stop(event, "a second document begins here", "one experiment per file: remove the '---'")

    def _node(self, event: Any, kind: Any) -> Node:
        node = Node(kind, event.start_mark.line + 1, event.start_mark.column + 1)
        if event.anchor is not None:
            if event.anchor in self.anchors:
                self._stop(event, f"the anchor {shown(event.anchor)} is defined twice", "rename one of them")
            self.anchors[event.anchor] = node
        return node

    def _scalar(self, event: Any) -> None:
        node = self._node(event, "scalar")
        node.text = text = event.value
        tag = event.tag
        if tag is None or tag == "!":
            tag = _implicit_tag(text) if event.implicit[0] else _STR
        is_key = self._expects_key()
        if tag == _VALUE and is_key:
            tag = _STR
        if tag == _STR:
            node.value = text
            if not text.isascii():
                self._check_printable(node)
        elif tag == _MERGE and is_key:
            self.merge_keys[id(node)] = node
        else:
            node.value = self._typed(node, tag)
        self._add(node, 1)

    def _typed(self, node: Node, tag: str) -> Any:
        construct = _CONSTRUCT.get(tag)
        if construct is None:
            self._problem(node, f"Chaos Toolkit can't read {_tag_shown(tag)} here", "put the text in quotes")
            return node.text
        try:
            if len(node.text) > LONGEST_NUMBER:
                raise ValueError("too long")
            return construct(self.constructor, ScalarNode(tag, node.text))
        except (ValueError, KeyError, AttributeError, OverflowError, yaml.YAMLError):
            kind = {"timestamp": "a date", "int": "a whole number", "float": "a number"}.get(
                tag.removeprefix(_TAG), _tag_shown(tag)
            )
            self._problem(node, f"{shown(node.text)} reads as {kind}, and is none", "put it in quotes")
            return node.text

    def _check_printable(self, node: Node) -> None:
        if _HALF_CHARACTER.search(node.text):
            self._problem(
                node, "half a character (a lone surrogate) can't be printed or recorded", "remove it"
            )

    def _start(self, event: Any) -> None:
        is_map = type(event) is yaml.MappingStartEvent
        node = self._node(event, "map" if is_map else "list")
        if event.tag not in (_MAP_TAGS if is_map else _LIST_TAGS):
            self._problem(node, f"Chaos Toolkit can't read {_tag_shown(event.tag)} here", "remove the tag")
        if len(self.opened) >= MOST_NESTING:
            self._stop(event, f"nested more than {MOST_NESTING} deep", "no experiment needs that")
        self.opened.append(node)
        self.pending.append([])
        self.keys.append(None)

    def _end_list(self, _event: Any) -> None:
        node = self.opened.pop()
        self.pending.pop()
        self.keys.pop()
        self._add(node, node.weight)

    def _end_map(self, _event: Any) -> None:
        node = self.opened.pop()
        self.keys.pop()
        self._fill(node, self.pending.pop())
        self._add(node, node.weight)

    def _alias(self, event: Any) -> None:
        node = self.anchors.get(event.anchor)
        if node is None:
            self._stop(
                event, f"no anchor {shown(event.anchor)} before this alias", "define it before it is used"
            )
            return
        if any(node is one for one in self.opened):
            self._stop(event, f"the alias {shown(event.anchor)} contains itself", "spell the value out")
        self.aliased += node.weight
        if self.aliased > MOST_ALIASED:
            limit = f"aliases add more than {MOST_ALIASED:,} values"
            self._stop(event, limit, "spell out what the file needs")
        self._add(node, node.weight)

    def _expects_key(self) -> bool:
        return bool(self.opened) and self.opened[-1].kind == "map" and self.keys[-1] is None

    def _add(self, node: Node, weight: int) -> None:
        if not self.opened:
            self.root = node
            return
        parent = self.opened[-1]
        parent.weight += weight
        if parent.kind == "list":
            parent.items.append(node)
        elif (key := self.keys[-1]) is None:
            self.keys[-1] = node
        else:
            self.pending[-1].append((key, node))
            self.keys[-1] = None

    def _fill(self, node: Node, pairs: list[tuple[Node, Node]]) -> None:
        """Give `node` its fields: merged ones first, which its own override; a key of its own only once."""
        merged: dict[Any, tuple[Node, Node]] = {}
        for key, value in pairs:
            if id(key) in self.merge_keys:
                # As PyYAML does it: the first of a list wins, and of several '<<' the last.
                for source in reversed(self._merge_sources(key, value)):
                    merged = merged | source.fields
        own: dict[Any, tuple[Node, Node]] = {}
        for key, value in pairs:
            if id(key) in self.merge_keys:
                continue
            if key.kind != "scalar":
                self._problem(key, f"a {_KINDS[key.kind]} can't be a key", "put the key in quotes")
            elif key.value in own:
                first = own[key.value][0].line
                self._problem(key, f"the key {shown(key.text)} stands here twice", f"first on line {first}")
            else:
                own[key.value] = (key, value)
        node.fields = merged | own

    def _merge_sources(self, key: Node, value: Node) -> list[Node]:
        sources = value.items if value.kind == "list" else [value]
        if not sources or any(source.kind != "map" for source in sources):
            if value.kind != "list" or sources:
                self._problem(
                    key, "'<<' takes a mapping or a list of mappings", "give it an alias like *base"
                )
            return []
        return sources

    def _problem(self, node: Node, message: str, hint: str) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(node.line, node.column, message, hint))

    def _stop(self, event: Any, message: str, hint: str) -> None:
        mark = event.start_mark
        raise InvalidFile(self.source, [Problem(mark.line + 1, mark.column + 1, message, hint)])


_KINDS = {"map": "mapping", "list": "list"}
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


def _implicit_tag(text: str) -> str:
    for tag, pattern in _RESOLVERS.get(text[0] if text else "", ()):
        if pattern.match(text):
            return tag
    return _STR


def _tag_shown(tag: str) -> str:
    return f"the tag {'!!' + tag.removeprefix(_TAG) if tag.startswith(_TAG) else shown(tag)}"


def _place(text: str, index: int) -> tuple[int, int]:
    before = text[:index]
    return before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1


#: What people meant, by a word of PyYAML's complaint.
_HINTS = {
    "mapping values are not allowed": "a text that contains ': ' needs quotes",
    "cannot start any token": "a text that begins like this needs quotes",
    "expected ',' or '}'": "inside { } a text with ${...}, commas, braces or ? needs quotes",
    "expected ',' or ']'": "inside [ ] a text with ${...}, commas, brackets or ? needs quotes",
    "did not find expected key": "check the indentation",
    "could not find expected ':'": "a key needs ': ' behind it",
    "expected <block end>": "check the indentation",
    "unexpected end of stream": "a quote is not closed",
}


def _syntax_problem(error: yaml.YAMLError, text: str) -> Problem:
    """Return PyYAML's complaint as a problem in one line, with what people usually meant."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = getattr(error, "problem", None) or str(error).partition("\n")[0]
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = text.split("\n")
    here = lines[line - 1][column - 1 : column] if line <= len(lines) else ""
    if here == "\t":
        return Problem(line, column, "a tab can't indent YAML", "use spaces")
    hint = next((meant for word, meant in _HINTS.items() if word in said), "")
    context, opened = getattr(error, "context", None), getattr(error, "context_mark", None)
    if context and opened and (opened.line, opened.column) != (line - 1, column - 1):
        said = f"{said}, {context} that begins at {opened.line + 1}:{opened.column + 1}"
    return Problem(line, column, f"not valid YAML: {said}", hint)
