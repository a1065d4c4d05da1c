"""`${name}`: which variables a text asks for, and what stands there once they are known.

The rules are Chaos Toolkit's (`string.Template`), except that it passes a typo on as it is and an empty
variable as nothing, and that here both are errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from chaosdrill.plan.checks.findings import Findings, nearest
from chaosdrill.plan.reader import Node, shown

# `$${` stands for `${` itself.
_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_NAME = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")


class Variables(NamedTuple):
    """The names that a file defines: `configuration`, and `secrets` of all groups.

    Those of the configuration that are `probes` have no value before the run, so nothing can rest on them.
    """

    configuration: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    probes: frozenset[str] = frozenset()


def variables_of(configuration: Node | None, secrets: Node | None) -> Variables:
    """Return the names that the two mappings define."""
    entries = list(configuration.fields.values()) if configuration else []
    groups = [group for _, group in secrets.fields.values()] if secrets else []
    return Variables(
        frozenset(key.text for key, _ in entries),
        frozenset(key.text for group in groups for key, _ in group.fields.values()),
        frozenset(key.text for key, value in entries if is_probe(value)),
    )


def is_probe(entry: Node) -> bool:
    """Whether a value of the configuration is asked of the system when the run starts."""
    kind = entry.get("type")
    return kind is not None and kind.value == "probe"


def names_in(text: str) -> list[str]:
    """Return the variables that `text` asks for, as far as they can be names at all."""
    if "${" not in text:
        return []
    return [name for name in _REFERENCE.findall(text) if _NAME.fullmatch(name)]


def check_references(
    node: Node, variables: Variables, found: Findings, *, secrets: bool, path: str = ""
) -> None:
    """Note each variable in the text of `node` that will have no value when a run is planned."""
    if "${" not in node.text:
        return
    known = variables.configuration | (variables.secrets if secrets else frozenset())
    for match in _REFERENCE.finditer(node.text):
        name = match.group(1)
        if match.group() == "$${":
            continue
        if name is None:
            found.error(node, f"'${{' without its '}}' in {shown(node.text)}", "write ${name}", path)
        elif not _NAME.fullmatch(name):
            hint = "letters, digits and _"
            found.error(node, f"{shown(match.group())} is no name of a variable", hint, path)
        elif name in variables.probes and name in known:
            message = (
                f"{shown(match.group())} is known only once the run has started: its configuration is a probe"
            )
            found.error(node, message, "what is cleared must be known before: use `type: env`", path)
        elif name not in known:
            hint = nearest(name, known)
            if name in variables.secrets:
                hint = "a secret can't stand here; it would be printed and recorded"
            found.error(node, f"no configuration is called {shown(name)}", hint, path)


def substitute(text: str, configuration: Mapping[str, Any], complain: Callable[[str, str], None]) -> str:
    """Return `text` with its variables replaced; one without a usable value stays, and is complained about.

    `complain` gets a message and a hint.
    """

    def value(match: re.Match[str]) -> str:
        if match.group() == "$${":
            return "${"
        name = match.group(1) or ""
        if name not in configuration:
            complain(f"the variable {shown(match.group())} has no value", nearest(name, configuration))
            return match.group()
        known = configuration[name]
        if isinstance(known, (Mapping, list, tuple, bytes)):
            complain(f"the variable {shown(name)} is no text and no number", "only these can stand here")
            return match.group()
        written = "" if known is None else str(known).lower() if isinstance(known, bool) else str(known)
        if not written.strip():
            complain(f"the variable {shown(name)} is empty", "set it, or give it a default")
            return match.group()
        return written

    return _REFERENCE.sub(value, text) if "${" in text else text


def empty_among(names: Iterable[str], configuration: Mapping[str, Any]) -> list[str]:
    """Return those of `names` that have a value which prints as nothing."""
    return [n for n in names if n in configuration and not str(configuration[n] or "").strip()]
