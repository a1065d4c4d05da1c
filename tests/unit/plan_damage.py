"""Seeded damage to experiment files: what editors, merges and hands do, and what an attacker would."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

_TOKENS = (
    *("${fault_seconds}", "${", "}", "{", "[", "]", ": ", ":", "- ", "-", "#", "'", '"', "|", ">", "?", "? "),
    *("&a ", "*a", "<<: ", "*a: ", "!!int ", "!!python/object:os.system ", "!x ", "%", "@", "`", "~", "null"),
    *("NO", "yes", "0x_", "=", "\t", "2026-13-45", "10:00", "1e999", "-1", "30", "30 s", "99.9 %", "9" * 25),
    *("---\n", "...\n", "\\", "\u00a0", "\u2028", "\u202e", "\ufeff", "\u0000", "\u0085", "é", "\U0001f600"),
    *(
        "\ud7ff",
        "٣",
        "\r",
        "\r\n",
        "\x1b[31m",
        "chaosdrill",
        "chaosdrill.actions",
        "extensions:",
        "criteria:",
    ),
    *(
        "name: chaosdrill",
        "signal: pay.ready",
        "above: 1",
        "type: probe",
        "ref: x",
        "method: []",
        "signals: {}",
    ),
)


def _flip(content: bytes, random_: random.Random) -> bytes:
    place = random_.randrange(len(content) + 1)
    byte = content[place : place + 1] or b"\0"
    return content[:place] + bytes([byte[0] ^ (1 << random_.randrange(8))]) + content[place + 1 :]


def _span(content: bytes, random_: random.Random) -> tuple[int, int]:
    start = random_.randrange(len(content) + 1)
    return start, min(len(content), start + random_.choice((1, 3, 10, 100)))


def _delete(content: bytes, random_: random.Random) -> bytes:
    start, end = _span(content, random_)
    return content[:start] + content[end:]


def _repeat(content: bytes, random_: random.Random) -> bytes:
    start, end = _span(content, random_)
    return content[:end] + content[start:end] * random_.choice((1, 2, 30)) + content[end:]


def _insert(content: bytes, random_: random.Random) -> bytes:
    place = random_.randrange(len(content) + 1)
    return content[:place] + random_.choice(_TOKENS).encode() + content[place:]


def _truncate(content: bytes, random_: random.Random) -> bytes:
    return content[: random_.randrange(len(content) + 1)]


def _nest(content: bytes, random_: random.Random) -> bytes:
    place = random_.randrange(len(content) + 1)
    opening = random_.choice((b"[", b"{", b"- ", b"? ", b"{a: ", b"[[", b"\n- - "))
    return content[:place] + opening * random_.choice((2, 49, 60, 2000)) + content[place:]


def _lines(content: bytes, random_: random.Random) -> bytes:
    lines = content.splitlines(keepends=True) or [b""]
    first, second = random_.randrange(len(lines)), random_.randrange(len(lines))
    kind = random_.randrange(4)
    if kind == 0:
        lines[first], lines[second] = lines[second], lines[first]
    elif kind == 1:
        lines.insert(first, lines[second])
    elif kind == 2:
        lines[first] = b" " * random_.choice((1, 2, 3)) + lines[first]
    else:
        lines[first] = lines[first].removeprefix(b"  ")
    return b"".join(lines)


def _swap_words(content: bytes, random_: random.Random) -> bytes:
    words = content.split(b" ")
    first, second = random_.randrange(len(words)), random_.randrange(len(words))
    words[first], words[second] = words[second], words[first]
    return b" ".join(words)


def _huge(content: bytes, random_: random.Random) -> bytes:
    place = random_.randrange(len(content) + 1)
    piece = random_.choice((b"9", b"1:", b"x", b" ", b"\n", b"- 1\n", b"a: ", b"'", b"#", b"0"))
    return content[:place] + piece * random_.choice((100, 5000)) + content[place:]


_KINDS = (
    _flip,
    _delete,
    _repeat,
    _insert,
    _insert,
    _truncate,
    _nest,
    _lines,
    _lines,
    _swap_words,
    _swap_words,
    _huge,
)


def damaged(content: bytes, random_: random.Random) -> bytes:
    """Return `content` with one to four mutations."""
    for _ in range(random_.choice((1, 1, 2, 4))):
        content = random_.choice(_KINDS)(content, random_)
    return content


_VALUES: tuple[Any, ...] = (
    *(None, "", " ", "x", "${a}", "p1", "probe", "python", "regex", 0, 1, -1, 1.5, True, False, 200),
    *([], [1], ["x"], [None], [{}], [["x"]], [1, 2], {}, {"a": 1}, {"name": "n"}, {"type": "env"}),
    *(
        {"type": "env", "key": 5},
        {"ref": "nothing"},
        {"ref": "a1"},
        {"ref": ""},
        {"type": "range", "range": [1]},
    ),
)


def _places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    for key, value in (
        tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    ):
        yield from _places(value, (*path, key))


def mutated(whole: dict[str, Any], random_: random.Random) -> dict[str, Any]:
    """Return a copy of `whole` with one to three values replaced, renamed or removed."""
    tree = copy.deepcopy(whole)
    for _ in range(random_.choice((1, 1, 1, 2, 3))):
        everywhere = list(_places(tree))
        if not everywhere:
            break
        *way, last = random_.choice(everywhere)
        owner: Any = tree
        for step in way:
            owner = owner[step]
        kind = random_.random()
        if kind < 0.2:
            del owner[last]
        elif kind < 0.3 and isinstance(owner, dict):
            owner[str(last) + "x"] = owner.pop(last)
        else:
            owner[last] = copy.deepcopy(random_.choice(_VALUES))
    return tree
