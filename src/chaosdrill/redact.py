"""Secrets by value: whatever text is about to be kept or shown goes through here.

By value and not by name, because a secret turns up where nobody expects it: in a URL, a header, the message
of an exception. Values shorter than four characters are left alone, for they would blank out half of a log.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

MASK = "•••"
_SHORTEST = 4
#: Values that only their names give away are masked from this length on: `AUTH=true` is no secret.
_SHORTEST_GUESSED = 8
#: Without hyphens and underscores, because `API_KEY`, `api-key` and `apikey` are one.
_SECRET_WORDS = (
    *("passw", "passphrase", "secret", "token", "apikey", "privatekey", "accesskey", "credential"),
    *("authorization", "cookie", "signature", "webhook"),
)
_USER_INFO = r"://([^/@\s:]*):?([^/@\s]*)@"


class Redactor:
    """Replaces known secret values, also percent-encoded, in Base64, in JSON and in HTML, by a mask."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._forms: list[str] = []
        self.learn(values)

    def learn(self, values: Iterable[str]) -> None:
        """Mask these values too, from now on."""
        forms = set(self._forms)
        given = list(values)
        # A private key is printed line by line.
        lines = [line for value in given if "\n" in value for line in value.splitlines()]
        for value in (*given, *(line for line in lines if len(line) >= _SHORTEST_GUESSED)):
            if len(value) >= _SHORTEST:
                forms |= _forms_of(value)
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


def _forms_of(value: str) -> set[str]:
    # Imported where there is a secret: most runs have none, and html alone costs as much as a small module.
    import base64
    from html import escape
    from urllib.parse import quote

    encoded = base64.b64encode(value.encode()).decode()
    escaped = json.dumps(value, ensure_ascii=False)[1:-1]
    return {value, quote(value, safe=""), encoded, encoded.rstrip("="), escaped, escape(value)}


def secret_values(secrets: Any) -> list[str]:
    """Return every string in the nested mapping of secrets that Chaos Toolkit resolved."""
    if isinstance(secrets, str):
        return [secrets]
    if isinstance(secrets, Mapping):
        return [found for value in secrets.values() for found in secret_values(value)]
    if isinstance(secrets, (list, tuple)):
        return [found for value in secrets for found in secret_values(value)]
    return []


def looks_secret(name: str) -> bool:
    """Return whether a variable, a header or a parameter of this name usually holds a secret."""
    folded = name.lower().replace("_", "").replace("-", "")
    return any(word in folded for word in _SECRET_WORDS)


def named_secrets(values: Mapping[str, Any]) -> list[str]:
    """Return the texts of a mapping whose names give them away as secrets, such as DB_PASSWORD.

    Of 'Bearer abc...' the last word too, for a server may give it back alone.
    """
    found = [
        value
        for name, value in values.items()
        if isinstance(value, str) and len(value) >= _SHORTEST_GUESSED and looks_secret(str(name))
    ]
    last = [value.split()[-1] for value in found if " " in value.strip()]
    return [*found, *(word for word in last if len(word) >= _SHORTEST_GUESSED)]


def pair_secrets(pairs: Iterable[str]) -> list[str]:
    """Return the values of KEY=VALUE and KEY:TYPE=VALUE whose keys give them away, or that are addresses."""
    given = [pair.partition("=") for pair in pairs]
    named = named_secrets({key.partition(":")[0]: value for key, _, value in given})
    return [*named, *(secret for _, _, value in given if "://" in value for secret in url_secrets(value))]


def written_secrets(tree: Any, environ: Mapping[str, str]) -> list[str]:
    """Return what is secret in a file as it was written, before anything in it was resolved.

    Texts under names that give them away, addresses, and the variables of `environ` that it points to with
    `{type: env, key: NAME}` under or by such a name. What only points to a secret (`${token}`) is none.
    """
    found: list[str] = []
    _collect(tree, "", environ, found)
    return [text for text in found if "${" not in text]


def _collect(value: Any, name: str, environ: Mapping[str, str], found: list[str]) -> None:
    if isinstance(value, str):
        if "://" in value:
            found += url_secrets(value)
        found += named_secrets({name: value})
    elif isinstance(value, Mapping):
        points = value.get("type") == "env"
        key = str(value.get("key", "")) if points else ""
        if key and (looks_secret(name) or looks_secret(key)):
            # Also what is used when the variable is not there.
            found += named_secrets({"secret": environ.get(key, ""), "secret default": value.get("default")})
        for inner, below in value.items() if not points else ():
            _collect(below, str(inner), environ, found)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _collect(item, name, environ, found)


def url_secrets(url: str) -> list[str]:
    """Return what is secret in an address: its password, and parameters whose names give them away."""
    from urllib.parse import parse_qsl, unquote, urlsplit

    pairs = [match.groups() for match in re.finditer(_USER_INFO, url)]
    # The two together are what a client sends, in Base64.
    found = [part for user, password in pairs if password for part in (password, f"{user}:{password}")]
    try:
        query = parse_qsl(urlsplit(url).query)
    except ValueError:
        query = []
    return [*found, *(unquote(part) for part in found), *(v for k, v in query if looks_secret(k))]


#: What this process knows to be secret; whatever it writes down, sends or shows goes through here.
known = Redactor()
