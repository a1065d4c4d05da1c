"""What people say about a run after it: findings, what was learnt, where it was shared.

Answers are appended to `answers.jsonl` in the run folder, also when it is sealed long since; they are no part
of what was sealed, and nothing that was said is ever changed: a later answer to an item stands beside it.
"""

from __future__ import annotations


from chaosdrill.model.checklist import Answer, Finding
from chaosdrill.record.folder import RunFolder

ANSWERS = "answers.jsonl"


def read(folder: RunFolder) -> list[Answer]:
    """Return every answer that was given, in order; none when nobody has answered."""
    raise NotImplementedError


def findings(folder: RunFolder) -> list[Finding]:
    """Return how the four items during and the four after the run stand now. Raises RecordUnusable."""
    raise NotImplementedError


def open_items(folder: RunFolder) -> list[Finding]:
    """Return those that still want an answer (state `pending` or `failed`); none: the run is closed."""
    return [finding for finding in findings(folder) if finding.stops]
