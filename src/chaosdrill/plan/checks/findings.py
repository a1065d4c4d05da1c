"""Where the checks write down what they find, with the place and the word that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable

from chaosdrill.errors import Problem
from chaosdrill.plan.reader import Node, shown

#: No word that anybody means is longer; comparing with a longer one only costs time.
_LONGEST_WORD = 80

#: Messages quote what was written, and that may be a megabyte.
_LONGEST_SENTENCE = 300


class Findings:
    """Errors and warnings so far."""

    def __init__(self) -> None:
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []

    def error(self, node: Node, message: str, hint: str = "", path: str = "") -> None:
        """Note something that makes the run impossible or meaningless."""
        self.errors.append(Problem(node.line, node.column, _short(message), _short(hint), path))

    def warn(self, node: Node, message: str, hint: str = "", path: str = "") -> None:
        """Note something that Chaos Toolkit accepts and that was surely not meant."""
        self.warnings.append(Problem(node.line, node.column, _short(message), _short(hint), path))


def _short(sentence: str) -> str:
    return sentence if len(sentence) <= _LONGEST_SENTENCE else sentence[:_LONGEST_SENTENCE] + "…"


def close_to(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that `word` was probably meant to be, or None."""
    # Only mistakes pay for the import.
    from difflib import get_close_matches

    found = get_close_matches(word[:_LONGEST_WORD].strip().lower().replace("_", "-"), _folded(known), n=1)
    return _folded(known)[found[0]] if found else None


def _folded(known: Iterable[str]) -> dict[str, str]:
    return {word.lower().replace("_", "-"): word for word in known}


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint: the word that was probably meant, otherwise the words there are."""
    known = list(known)
    meant = close_to(word, known)
    if meant is not None:
        return f"did you mean {shown(meant)}?"
    if not known:
        return "there is none"
    listed = ", ".join(known[:12])
    return f"known: {listed}" + (", …" if len(known) > 12 else "")
