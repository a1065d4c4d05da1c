"""Secrets by value: whatever text is about to be kept or shown goes through here.

By value and not by name, because a secret turns up where nobody expects it: in a URL, a header, the message
of an exception. Values shorter than four characters are left alone, for they would blank out half of a log.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

MASK = "•••"
_SHORTEST = 4


class Redactor:
    """Replaces known secret values, also percent-encoded and in Base64, by a mask."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        forms: set[str] = set()
        for value in values:
            if len(value) >= _SHORTEST:
                encoded = base64.b64encode(value.encode()).decode()
                forms |= {value, quote(value, safe=""), encoded, encoded.rstrip("=")}
        # The longest first, or a secret that contains another would leave its rest standing.
        self._forms = sorted(forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return `text` with every secret value masked."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text

    def tree(self, value: Any) -> Any:
        """Return a copy of a JSON-like `value` with every secret masked, in keys and values."""
        if not self._forms:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.tree(k): self.tree(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.tree(item) for item in value]
        if isinstance(value, bytes):
            return self.text(value.decode("utf-8", errors="replace"))
        return value


def secret_values(secrets: Any) -> list[str]:
    """Return every string in the nested mapping of secrets that Chaos Toolkit resolved."""
    if isinstance(secrets, str):
        return [secrets]
    if isinstance(secrets, Mapping):
        return [found for value in secrets.values() for found in secret_values(value)]
    if isinstance(secrets, (list, tuple)):
        return [found for value in secrets for found in secret_values(value)]
    return []
