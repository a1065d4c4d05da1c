"""What Chaos Toolkit accepts in its own part of the file, and what was surely not meant."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable
from importlib.machinery import PathFinder
from importlib.util import find_spec
from typing import Any

from chaosdrill.plan.checks.activities import strings_of
from chaosdrill.plan.checks.findings import Findings, close_to, nearest
from chaosdrill.plan.checks.toolkit import OUR_NAME, TOP_KEYS, Outline
from chaosdrill.plan.checks.variables import Variables, names_in
from chaosdrill.plan.reader import Node, shown

_ACTIVITY_KEYS = (
    "type",
    "name",
    "provider",
    "tolerance",
    "background",
    "pauses",
    "controls",
    "secrets",
    "configuration",
    "timeout",
    "ref",
    "dry",
    "description",
    "tags",
)
_HYPOTHESIS_KEYS = ("title", "probes", "controls", "description", "tags")
_PROVIDER_KEYS = {
    "python": ("type", "module", "func", "arguments", "secrets", "configuration"),
    "process": ("type", "path", "arguments", "timeout", "secrets", "configuration"),
    "http": (
        "type",
        "url",
        "method",
        "headers",
        "arguments",
        "timeout",
        "verify_tls",
        "max_retries",
        "secrets",
        "configuration",
    ),
}
_CONVERSIONS: dict[str, Callable[[Any], object]] = {
    "int": int,
    "integer": int,
    "float": float,
    "number": float,
}
_STRATEGIES = {
    "rollbacks": ("default", "always", "never", "deviated"),
    "hypothesis": (
        "default",
        "before-method-only",
        "after-method-only",
        "during-method-only",
        "continuously",
        "skip",
    ),
}


def doubt(root: Node, outline: Outline, variables: Variables, found: Findings) -> None:
    """Note what Chaos Toolkit ignores, passes on as it is, or stumbles over only while it runs."""
    _unknown_keys(root, TOP_KEYS, "an experiment", found)
    hypothesis = root.get("steady-state-hypothesis")
    if hypothesis is not None:
        _unknown_keys(hypothesis, _HYPOTHESIS_KEYS, "a hypothesis", found)
    _doubt_extensions(root, found)
    _doubt_defaults(outline.configuration, found)
    _doubt_strategies(root, found)
    _doubt_controls([root, hypothesis, *(a for _, a in outline.activities())], found)
    for probe in outline.probes:
        kind = probe.get("type")
        if kind is not None and kind.value == "action":
            found.doubt(
                kind, "an action among the probes of a hypothesis is carried out each time it is checked"
            )
    first: dict[str, Node] = {}
    for _, activity in outline.activities():
        if activity.kind == "map":
            _doubt_name(activity, first, found)
            _doubt_activity(activity, variables, found)


def _unknown_keys(node: Node, known: Collection[str], what: str, found: Findings) -> None:
    for key, _ in node.fields.values():
        # `x-...` and `.name` are how people keep anchors and notes of their own.
        if key.text not in known and not key.text.startswith(("x-", ".")):
            meant = close_to(key.text, known)
            hint = f"did you mean {shown(meant)}?" if meant else ""
            found.doubt(key, f"Chaos Toolkit ignores {shown(key.text)} in {what}", hint)


def _doubt_name(activity: Node, first: dict[str, Node], found: Findings) -> None:
    name = activity.get("name")
    if name is None or name.kind != "scalar" or activity.get("ref") is not None:
        return
    if name.text in first:
        message = f"a second activity called {shown(name.text)}"
        found.doubt(name, message, f"the first is on line {first[name.text].line}")
    first.setdefault(name.text, name)


def _doubt_activity(activity: Node, variables: Variables, found: Findings) -> None:
    _unknown_keys(activity, _ACTIVITY_KEYS, "an activity", found)
    for key, hint in (("timeout", "set it in the provider"), ("dry", "use --dry-run")):
        node = activity.get(key)
        if node is not None and not node.is_null:
            found.doubt(
                activity.key(key), f"Chaos Toolkit reads `{key}` of an activity and never uses it", hint
            )
    pauses = activity.get("pauses")
    for key in ("before", "after"):
        pause = pauses.get(key) if pauses is not None else None
        if pause is not None and isinstance(pause.value, (int, float)) and pause.value < 0:
            found.doubt(
                pause, f"a pause of {shown(pause.text)} s: Chaos Toolkit ends the run when it gets here"
            )
    provider = activity.get("provider")
    kind = provider.get("type") if provider is not None else None
    if provider is not None and kind is not None and kind.value in _PROVIDER_KEYS:
        known = _PROVIDER_KEYS[kind.value]
        for word, _ in provider.fields.values():
            # An extension may read keys of its own; only what looks like a slip is worth a word.
            if word.text not in known and (meant := close_to(word.text, known)):
                message = f"Chaos Toolkit ignores {shown(word.text)} in a provider"
                found.doubt(word, message, f"did you mean {shown(meant)}?")
    _doubt_variables(activity, variables, found)


def _doubt_variables(activity: Node, variables: Variables, found: Findings) -> None:
    known = variables.configuration | variables.secrets
    for text in strings_of(activity):
        for name in names_in(text.text):
            if name not in known:
                message = f"no configuration or secret is called {shown(name)}: it is passed on as it is"
                meant = close_to(name, known)
                found.doubt(text, message, f"did you mean {shown(meant)}?" if meant else "")


def _doubt_defaults(configuration: Node | None, found: Findings) -> None:
    for _, entry in configuration.fields.values() if configuration is not None else ():
        default, typed = entry.get("default"), entry.get("env_var_type")
        read = _CONVERSIONS.get(typed.text) if typed is not None else None
        if default is None or typed is None or read is None:
            continue
        try:
            read(default.value if default.kind == "scalar" else default.text)
        except (TypeError, ValueError, OverflowError):
            message = f"the default {shown(default.text)} is no {typed.text}"
            found.doubt(default, message, "Chaos Toolkit crashes on it unless the variable is set")


def _doubt_extensions(root: Node, found: Findings) -> None:
    extensions = root.get("extensions")
    for extension in extensions.items if extensions is not None else ():
        name = extension.get("name")
        if name is not None and name.is_text and name.text != OUR_NAME and close_to(name.text, [OUR_NAME]):
            found.doubt(name, f"nobody reads the extension {shown(name.text)}", f"did you mean '{OUR_NAME}'?")


def _doubt_strategies(root: Node, found: Findings) -> None:
    runtime = root.get("runtime")
    for key, known in _STRATEGIES.items():
        part = runtime.get(key) if runtime is not None else None
        strategy = part.get("strategy") if part is not None else None
        if strategy is None or strategy.value in known:
            continue
        effect = "rollbacks would never be played" if key == "rollbacks" else "Chaos Toolkit would crash"
        found.doubt(
            strategy, f"{shown(strategy.text)} is no strategy: {effect}", nearest(strategy.text, known)
        )


def _doubt_controls(owners: Iterable[Node | None], found: Findings) -> None:
    for owner in owners:
        controls = owner.get("controls") if owner is not None else None
        for control in controls.items if controls is not None else ():
            provider = control.get("provider")
            module = provider.get("module") if provider is not None else None
            if module is not None and module.is_text and module.text and not _is_installed(module.text):
                message = (
                    f"the module {shown(module.text)} is not installed here: Chaos Toolkit runs on without it"
                )
                found.doubt(module, message, "install it, or remove the control")


def _is_installed(module: str) -> bool:
    """Return whether `module` can be found, without importing it: that is Chaos Toolkit's to do."""
    top, *rest = module.split(".")
    try:
        # Chaos Toolkit looks in the working directory too.
        spec = find_spec(top) or PathFinder.find_spec(top, [""])
        name = top
        for part in rest:
            # `os.path` is a module of no package.
            if spec is None or (spec.submodule_search_locations is None and module in sys.modules):
                break
            name = f"{name}.{part}"
            spec = PathFinder.find_spec(name, list(spec.submodule_search_locations or ()))
    except (ValueError, ImportError):
        return False
    return spec is not None
