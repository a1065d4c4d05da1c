"""The pages of the documentation as the tests see them: their code blocks, links and headings.

A block says behind its language what it is for:

    yaml              a whole experiment; `# NAME.yaml` in its first line has it saved under that name
    yaml method       a list of activities
    yaml block        fields of our block
    yaml policy       a whole chaosdrill.yaml
    yaml other        YAML that is no experiment of ours
    console           run by the tests, with whatever output is shown compared; `...` stands for any lines
    console long      too long for a test: only its commands are looked at
    console recorded  the same, and its output was written by tools/transcripts
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^```(\S*) ?(.*)$")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HIDDEN = re.compile(r"^<!-- first: (.*) -->$")


@dataclass(frozen=True)
class Block:
    """One fenced block; `first` is a command that is not shown, `line` counts from 1."""

    page: Path
    line: int
    language: str
    kind: str
    lines: tuple[str, ...]
    first: str = ""

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def steps(self) -> Iterator[tuple[str, list[str]]]:
        """Yield each command of a console block with the output shown for it."""
        command, shown = "", list[str]()
        for line in self.lines:
            if line.startswith("$ "):
                if command:
                    yield command, shown
                command, shown = line[2:], []
            else:
                assert command, f"{self.place}: a console block begins with a command"
                shown.append(line)
        yield command, shown


def pages() -> list[Path]:
    """Return every page."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def blocks(page: Path, language: str) -> list[Block]:
    """Return the blocks of `page` in `language`, in order."""
    return [block for block in _blocks(page) if block.language == language]


def prose(page: Path) -> str:
    """Return `page` without its blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def links(page: Path) -> list[str]:
    """Return where the links of `page` lead, pictures included."""
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of `page`, as a forge makes them."""
    titles = re.findall(r"^#+ (.*)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _blocks(page: Path) -> Iterator[Block]:
    lines = page.read_text("utf-8").splitlines()
    number = 0
    while number < len(lines):
        fence = _FENCE.match(lines[number])
        number += 1
        if not fence:
            continue
        start = number
        while lines[number] != "```":
            number += 1
        hidden = _HIDDEN.match(lines[start - 2]) if start > 1 else None
        yield Block(page, start, fence[1], fence[2], tuple(lines[start:number]), hidden[1] if hidden else "")
        number += 1
