"""What Chaos Toolkit refuses in an experiment, or crashes on: everything but the activities themselves.

Follows chaoslib's own validation (experiment.py, extension.py, configuration.py, secret.py, caching.py,
control/*.py of versions 1.44 and 1.45; the tests compare the two). Where Chaos Toolkit would end in a
traceback, this says what belongs there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from chaosdrill.plan.checks.activities import check_activity, check_refs, check_tolerance
from chaosdrill.plan.checks.findings import Findings, close_to, nearest
from chaosdrill.plan.reader import Node, shown

OUR_NAME = "chaosdrill"
TOP_KEYS = (
    "version",
    "title",
    "description",
    "tags",
    "contributions",
    "configuration",
    "secrets",
    "controls",
    "steady-state-hypothesis",
    "method",
    "rollbacks",
    "runtime",
    "extensions",
    "dry",
)
_VARIABLE_TYPES = ("str", "string", "int", "integer", "float", "number", "bytes", "bool", "json")
_REMOVE = "remove the line, or give it a value"


class Outline(NamedTuple):
    """The parts of an experiment that can be looked at, whatever else is wrong with it."""

    probes: list[Node]
    method: list[Node]
    rollbacks: list[Node]
    configuration: Node | None
    secrets: Node | None
    block: Node | None

    @property
    def named(self) -> dict[str, Node]:
        """The activities that a `ref` can mean; as in Chaos Toolkit the last of a name wins."""
        names = {}
        for activity in (*self.method, *self.probes):
            name = activity.get("name")
            if name is not None and name.is_text and name.value:
                names[name.text] = activity
        return names

    def activities(self) -> Iterator[tuple[str, Node]]:
        """Yield every activity with the name of its section, in the order of play."""
        for section, activities in (
            ("steady-state-hypothesis", self.probes),
            ("method", self.method),
            ("rollbacks", self.rollbacks),
        ):
            for activity in activities:
                yield section, activity


def check_experiment(root: Node, found: Findings) -> Outline:
    """Note what Chaos Toolkit would refuse or crash on, and return what there is to look at further."""
    if root.kind != "map" or root.empty:
        said = "the file is empty" if root.empty else "an experiment is a mapping"
        found.error(root, said, "it needs a title, a description and a method")
        return Outline([], [], [], None, None, None)
    for key in ("title", "description"):
        node = root.get(key)
        if node is None or node.empty:
            _missing(root, key, found)
    _check_tags(root, found)
    block = _check_extensions(root, found)
    configuration = _mapping(root, "configuration", found)
    _check_configuration(configuration, found)
    secrets = _mapping(root, "secrets", found)
    _check_secrets(secrets, found)
    hypothesis = _mapping(root, "steady-state-hypothesis", found)
    probes: list[Node] = []
    if hypothesis is not None:
        title = hypothesis.get("title")
        if title is None or title.empty:
            found.error(hypothesis.key("title"), "a hypothesis needs a `title`")
        probes = _list(hypothesis, "probes", found)
    if root.get("method") is None:
        _missing(root, "method", found)
    method = _list(root, "method", found)
    outline = Outline(probes, method, _rollbacks(root, found), configuration, secrets, block)
    _check_activities(outline, found)
    _check_controls(root, hypothesis, outline, found)
    return outline


def _check_activities(outline: Outline, found: Findings) -> None:
    for _, activity in outline.activities():
        check_activity(activity, found)
    for probe in outline.probes:
        check_tolerance(probe, found)
    for activity in (*outline.probes, *outline.method):
        name = activity.get("name")
        if name is not None and name.kind != "scalar" and not name.empty:
            # Chaos Toolkit keeps these by name, so that a `ref` finds them.
            found.error(name, "the name of an activity is a text")
    known = outline.named
    for activities in (outline.probes, outline.method, outline.rollbacks):
        check_refs(activities, known, found)


def _missing(root: Node, key: str, found: Findings) -> None:
    hint = "[] when it only checks its hypothesis" if key == "method" else ""
    unknown = {written.text: written for written, _ in root.fields.values() if written.text not in TOP_KEYS}
    meant = close_to(key, unknown)
    if meant is not None:
        hint = f"line {unknown[meant].line} says {shown(meant)}"
    found.error(root.key(key), f"an experiment needs a `{key}`", hint)


def _mapping(parent: Node, key: str, found: Findings) -> Node | None:
    node = parent.get(key)
    if node is not None and node.kind != "map":
        found.error(node, f"`{key}` is a mapping", _REMOVE if node.is_null else "")
        return None
    return node


def _list(parent: Node, key: str, found: Findings) -> list[Node]:
    node = parent.get(key)
    if node is not None and node.kind != "list":
        found.error(node, f"`{key}` is a list", "write [] for an empty one" if node.empty else "")
    return node.items if node is not None else []


def _rollbacks(root: Node, found: Findings) -> list[Node]:
    node = root.get("rollbacks")
    if node is not None and node.empty and (node.kind != "scalar" or node.is_text):
        # Chaos Toolkit takes {} and '' for none.
        return []
    return _list(root, "rollbacks", found)


def _check_tags(root: Node, found: Findings) -> None:
    tags = root.get("tags")
    if tags is None or tags.empty or tags.is_text:
        return
    if tags.kind == "scalar":
        found.error(tags, "`tags` is a list of texts")
    for tag in tags.items or [key for key, _ in tags.fields.values()]:
        if not tag.is_text or tag.empty:
            found.error(tag, f"{shown(tag.text)} is no tag", "a tag is a text: put it in quotes")


def _check_extensions(root: Node, found: Findings) -> Node | None:
    extensions = root.get("extensions")
    if extensions is None or extensions.empty:
        return None
    if extensions.kind != "list":
        hint = "write `- name: ...`; on anything else Chaos Toolkit crashes"
        found.error(extensions, "`extensions` is a list of mappings", hint)
        return None
    ours: list[Node] = []
    for extension in extensions.items:
        name = extension.get("name")
        if extension.kind != "map":
            hint = f"write `- name: {extension.text or '...'}`; on a text Chaos Toolkit crashes"
            found.error(extension, "an extension is a mapping with a `name`", hint)
        elif name is None or not name.is_text or not name.value.strip():
            found.error(extension if name is None else name, "an extension needs a `name`")
        elif name.value == OUR_NAME:
            ours.append(extension)
    for second in ours[1:]:
        found.error(second, "a second block called 'chaosdrill'", f"the first is on line {ours[0].line}")
    return ours[0] if ours else None


def _check_configuration(configuration: Node | None, found: Findings) -> None:
    for _, entry in configuration.fields.values() if configuration else ():
        kind = entry.get("type")
        if kind is None or kind.value != "env":
            continue
        _check_env_key(entry, found)
        typed = entry.get("env_var_type")
        if typed is not None and not typed.is_null and typed.value not in _VARIABLE_TYPES:
            hint = nearest(typed.text, _VARIABLE_TYPES)
            found.error(typed, f"{shown(typed.text)} is no type of variable", hint)


def _check_env_key(entry: Node, found: Findings) -> None:
    key = entry.get("key")
    if key is None or not key.is_text:
        hint = "write it like {type: env, key: FAULT_SECONDS, default: 30}"
        found.error(entry if key is None else key, "`type: env` needs the name of a variable: `key`", hint)


def _check_secrets(secrets: Node | None, found: Findings) -> None:
    for _, group in secrets.fields.values() if secrets else ():
        if group.kind != "map":
            hint = "write it like {service: {token: {type: env, key: TOKEN}}}"
            found.error(group, "secrets come in named groups", hint)
        else:
            _check_secret_group(group, found)


def _check_secret_group(group: Node, found: Findings) -> None:
    kind = group.get("type")
    if kind is not None and kind.value == "env":
        _check_env_key(group, found)
        return
    if kind is not None and kind.value == "vault":
        return
    for _, entry in group.fields.values():
        if entry.kind == "map":
            _check_secret_group(entry, found)


def _check_controls(root: Node, hypothesis: Node | None, outline: Outline, found: Findings) -> None:
    owners = [root, *([hypothesis] if hypothesis else []), *(a for _, a in outline.activities())]
    controls: list[Node] = []
    for owner in owners:
        declared = owner.get("controls")
        if declared is not None and declared.empty and (declared.kind != "scalar" or declared.is_text):
            continue
        controls += _list(owner, "controls", found)
    named = {
        c.get("name").value  # type: ignore[union-attr]
        for c in controls
        if c.get("ref") is None and c.get("name") is not None and c.get("name").kind == "scalar"  # type: ignore[union-attr]
    }
    for control in controls:
        _check_control(control, named, found)


def _check_control(control: Node, named: set[object], found: Findings) -> None:
    if control.kind != "map":
        found.error(control, "a control is a mapping", "write it like {name: ..., provider: {...}}")
        return
    ref = control.get("ref")
    if ref is not None and ref.value not in named:
        known = [str(name) for name in named]
        found.error(ref, f"no control is called {shown(ref.text)}", nearest(ref.text, known))
    if control.get("name") is None:
        found.error(control, "a control needs a `name`")
    provider = control.get("provider")
    if provider is None or provider.kind != "map":
        found.error(control if provider is None else provider, "a control needs a `provider`")
        return
    scope = control.get("scope")
    if scope is not None and not scope.empty and scope.value not in ("before", "after"):
        found.error(
            scope, "the scope of a control is before or after", nearest(scope.text, ("before", "after"))
        )
    kind, module = provider.get("type"), provider.get("module")
    if kind is not None and kind.value == "python" and (module is None or not module.is_text or module.empty):
        found.error(provider if module is None else module, "a control's provider names a Python `module`")
