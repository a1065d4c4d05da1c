"""Whatever is done to a file, reading it succeeds or names the problem; it never crashes or hangs."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import yaml

from chaosdrill.errors import InvalidFile, UsageError
from chaosdrill.plan.checks.findings import MOST_PROBLEMS
from chaosdrill.plan.experiment import read_experiment
from chaosdrill.plan.reader import read
from chaosdrill.plan.resolve import resolve_block

SEED = 20261121
FILES = 5000
EXPERIMENTS = Path(__file__).parents[2] / "experiments"

TOKENS = (
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
    return content[:place] + random_.choice(TOKENS).encode() + content[place:]


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


def _as_json(content: bytes, _random: random.Random) -> bytes:
    try:
        return json.dumps(yaml.safe_load(content), indent=1, default=str).encode()
    except (yaml.YAMLError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return content


KINDS = (
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
        content = random_.choice(KINDS)(content, random_)
    return content


def _originals() -> list[tuple[str, bytes]]:
    shipped = [(".yaml", file.read_bytes()) for file in sorted(EXPERIMENTS.rglob("*.yaml"))]
    as_json = [(".json", _as_json(content, random.Random(0))) for _, content in shipped]
    return shipped + as_json


def test_5000_damaged_files_are_read_or_refused_with_a_place(tmp_path: Path) -> None:
    random_ = random.Random(SEED)
    originals = _originals()
    assert originals
    fine = 0
    for number in range(FILES):
        suffix, original = random_.choice(originals)
        file = tmp_path / f"x{suffix}"
        file.write_bytes(damaged(original, random_))
        try:
            experiment = read_experiment(file)
        except UsageError as refusal:
            _is_presentable(refusal, number)
            continue
        fine += 1
        try:
            resolve_block(experiment, {"fault_seconds": 1, "delay_ms": "5", "shop_url": "http://127.0.0.1"})
        except InvalidFile as refusal:
            _is_presentable(refusal, number)
    assert FILES * 0.05 < fine < FILES * 0.5, "the mutations must leave some files whole, and break most"


BLOCK = "title: t\ndescription: d\nmethod: []\nextensions:\n- name: chaosdrill\n"
SIGNALS = BLOCK + "  signals: {pay: {http: {url: 'http://h'}}}\n  criteria:\n"


@pytest.mark.parametrize(
    ("head", "line"),
    [
        (BLOCK, "  servce%d: x\n"),
        (SIGNALS, "  - {signal: pax%d.availability, above: 9 %%}\n"),
        (SIGNALS, "  - {signal: pay.error_rate, above: %d %%}\n"),
        ("title: t\ndescription: d\n", "methad%d: x\n"),
        ("title: t\ndescription: d\nmethod:\n", "- {ref: activity%d}\n"),
        ("", "a: %d\n"),
    ],
)
def test_a_megabyte_of_mistakes_is_answered_with_a_hundred(tmp_path: Path, head: str, line: str) -> None:
    file = tmp_path / "x.yaml"
    body = "".join(line % number for number in range(1_000_000 // (len(line) + 5)))
    file.write_text(head + body)
    with pytest.raises(InvalidFile) as refused:
        read_experiment(file)
    assert 1 <= len(refused.value.problems) <= MOST_PROBLEMS


def _is_presentable(refusal: UsageError, number: int) -> None:
    assert "\n" not in str(refusal), f"file {number}"
    str(refusal).encode()
    for problem in getattr(refusal, "problems", ()):
        assert problem.message, f"file {number}"
        assert len(str(problem)) < 1000, f"file {number}: {str(problem)[:100]}"


def test_values_are_the_ones_that_chaos_toolkit_reads(tmp_path: Path) -> None:
    random_ = random.Random(SEED)
    file = tmp_path / "x.yaml"
    originals = [content for suffix, content in _originals() if suffix == ".yaml"]
    compared = 0
    while compared < 100:
        content = damaged(random_.choice(originals), random_)
        file.write_bytes(content)
        try:
            document = read(file)
        except UsageError:
            continue
        if document.problems:
            continue
        theirs = yaml.safe_load(content.decode())
        assert repr(document.root.plain()) == repr(theirs) or document.root.plain() == theirs
        compared += 1
