"""Where the checks write down what they find, with the place and the word that was probably meant."""

from __future__ import annotations

from collections.abc import Collection

from chaosdrill.errors import Problem
from chaosdrill.plan.reader import Node, shown

#: No word that anybody means is longer; comparing with a longer one only costs time.
_LONGEST_WORD = 80

#: Messages quote what was written, and that may be a megabyte.
_LONGEST_SENTENCE = 300


#: More are no help to anybody, and a hostile file could have a hundred thousand.
MOST_PROBLEMS = 100

#: Comparing one word with a thousand takes about 20 ms.
_MOST_WORDS = 1000


class Enough(Exception):
    """There are as many problems as anybody wants to read at once."""


class Findings:
    """Errors and warnings so far, MOST_PROBLEMS of each."""

    def __init__(self) -> None:
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []

    def error(self, node: Node, message: str, hint: str = "", path: str = "") -> None:
        """Note something that makes the run impossible or meaningless. Raises Enough."""
        self.add([Problem(node.line, node.column, _short(message), _short(hint), path)])

    def warn(self, node: Node, message: str, hint: str = "", path: str = "") -> None:
        """Note something that is accepted and was surely not meant; what is too much is dropped."""
        if len(self.warnings) < MOST_PROBLEMS:
            self.warnings.append(Problem(node.line, node.column, _short(message), _short(hint), path))

    def doubt(self, node: Node, message: str, hint: str = "") -> None:
        """Note a warning where going on would cost more than it tells. Raises Enough."""
        self.warn(node, message, hint)
        if len(self.warnings) >= MOST_PROBLEMS:
            raise Enough

    def add(self, problems: list[Problem]) -> None:
        """Note the errors that reading the file has found. Raises Enough."""
        for problem in problems:
            if len(self.errors) >= MOST_PROBLEMS:
                raise Enough
            self.errors.append(problem)


def _short(sentence: str) -> str:
    return sentence if len(sentence) <= _LONGEST_SENTENCE else sentence[:_LONGEST_SENTENCE] + "…"


def close_to(word: str, known: Collection[str]) -> str | None:
    """Return the known word that `word` was probably meant to be, or None."""
    if len(known) > _MOST_WORDS:
        return None
    # Only mistakes pay for the import.
    from difflib import get_close_matches

    words = {_folded(one): one for one in known}
    found = get_close_matches(_folded(word[:_LONGEST_WORD]), words, n=1)
    return words[found[0]] if found else None


def _folded(word: str) -> str:
    return word.strip().lower().replace("_", "-")


def nearest(word: str, known: Collection[str]) -> str:
    """Return a hint: the word that was probably meant, otherwise the words there are."""
    if len(known) > _MOST_WORDS:
        return ""
    known = sorted(known) if isinstance(known, (set, frozenset)) else list(known)
    meant = close_to(word, known)
    if meant is not None:
        return f"did you mean {shown(meant)}?"
    if not known:
        return "there is none"
    listed = ", ".join(known[:12])
    return f"known: {listed}" + (", …" if len(known) > 12 else "")
