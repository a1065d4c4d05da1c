"""What Chaos Toolkit refuses in an activity, or crashes on, found before it is started and with a place.

Follows chaoslib's own validation (activity.py, hypothesis.py, provider/*.py of versions 1.44 and 1.45; the
tests compare the two). What depends on imports is left to Chaos Toolkit itself.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator

from chaosdrill.plan.checks.findings import Findings, nearest
from chaosdrill.plan.reader import Node, shown

PROVIDERS = ("python", "process", "http")
TYPES = ("probe", "action")


def check_activity(activity: Node, found: Findings) -> None:
    """Note what is wrong with an activity, whether it is played or judged with."""
    if activity.kind != "map" or activity.empty:
        found.error(
            activity, "an activity is a mapping", "write it like {type: action, name: ..., provider: ...}"
        )
        return
    ref = activity.get("ref")
    if ref is not None and not ref.is_null:
        if not ref.is_text or ref.empty:
            found.error(ref, "`ref` is the name of an activity")
        return
    kind = activity.get("type")
    if kind is None or kind.empty:
        found.error(activity, "an activity needs a `type`", "probe or action")
    elif kind.value not in TYPES:
        found.error(kind, f"{shown(kind.text)} is no type of activity", nearest(kind.text, TYPES))
    name = activity.get("name")
    if name is None or name.empty:
        found.error(activity if name is None else name, "an activity needs a `name`")
    _check_timing(activity, found)
    _check_provider(activity, found)


def check_refs(activities: list[Node], known: dict[str, Node], found: Findings) -> None:
    """Note each `ref` to an activity that is not in the hypothesis or the method."""
    for activity in activities:
        ref = activity.get("ref")
        if ref is not None and ref.is_text and ref.value and ref.value not in known:
            found.error(ref, f"no activity is called {shown(ref.text)}", nearest(ref.text, known))


def check_tolerance(probe: Node, found: Findings) -> None:
    """Note what is wrong with the tolerance of a probe in the hypothesis."""
    if probe.kind != "map" or probe.empty:
        return
    tolerance = probe.get("tolerance")
    if tolerance is None:
        hint = "what it must return, such as 200 or true"
        found.error(probe, "a probe of the hypothesis needs a `tolerance`", hint)
    elif tolerance.kind == "scalar" and not isinstance(tolerance.value, (bool, int, str)):
        hint = "for a number with decimals write {type: range, range: [0, 1.5]}"
        found.error(tolerance, f"{shown(tolerance.text)} is no tolerance to Chaos Toolkit", hint)
    elif tolerance.kind == "map":
        _check_judge(tolerance, found)


def strings_of(node: Node) -> Iterator[Node]:
    """Yield every text below `node`."""
    return (scalar for scalar in node.scalars() if scalar.is_text)


def _check_timing(activity: Node, found: Findings) -> None:
    timeout = activity.get("timeout")
    if timeout is not None and not timeout.is_null and not _is_number(timeout):
        found.error(timeout, "`timeout` is a number of seconds")
    background = activity.get("background")
    if background is not None and not (background.kind == "scalar" and isinstance(background.value, bool)):
        found.error(background, "`background` is true or false", "without quotes")
    pauses = activity.get("pauses")
    if pauses is None or pauses.is_null:
        return
    if pauses.kind != "map":
        found.error(pauses, "`pauses` is a mapping", "write it like {before: 5, after: 5}")
        return
    for key in ("before", "after"):
        pause = pauses.get(key)
        if pause is None or pause.is_null or _is_number(pause):
            continue
        text = pause.value if pause.is_text else ""
        if not (text.startswith("${") and text.endswith("}")):
            hint = "Chaos Toolkit takes no unit here"
            found.error(pause, f"the pause `{key}` is a number of seconds, or ${{name}}", hint)


def _check_provider(activity: Node, found: Findings) -> None:
    provider = activity.get("provider")
    if provider is None or provider.empty:
        hint = "write it like {type: python, module: ..., func: ...}"
        found.error(activity if provider is None else provider, "an activity needs a `provider`", hint)
        return
    if provider.kind != "map":
        found.error(provider, "`provider` is a mapping", "write it like {type: http, url: ...}")
        return
    kind = provider.get("type")
    if kind is None or kind.empty:
        found.error(provider, "a provider needs a `type`", ", ".join(PROVIDERS))
    elif kind.value == "python":
        _check_python(provider, found)
    elif kind.value == "process":
        _check_process(provider, found)
    elif kind.value == "http":
        _check_http(provider, found)
    else:
        found.error(kind, f"{shown(kind.text)} is no type of provider", nearest(kind.text, PROVIDERS))


def _check_python(provider: Node, found: Findings) -> None:
    for name, what in (("module", "a Python module"), ("func", "a function")):
        node = provider.get(name)
        if node is None or node.empty or not node.is_text:
            found.error(node or provider, f"a Python provider names {what}: `{name}`")
    arguments = provider.get("arguments")
    if arguments is None:
        return
    if arguments.kind != "map":
        found.error(
            arguments, "the arguments of a Python provider are a mapping", "by the names of parameters"
        )
        return
    for key, _ in arguments.fields.values():
        if not key.is_text:
            found.error(key, f"{shown(key.text)} is no name of an argument")


def _check_process(provider: Node, found: Findings) -> None:
    path = provider.get("path")
    if path is None or path.empty or not path.is_text:
        found.error(provider if path is None else path, "a process provider names its program: `path`")
    elif not _can_be_run(path.value):
        hint = "install it, or give its full path; variables are not replaced here"
        found.error(path, f"no program {shown(path.text)} can be run here", hint)


def _can_be_run(program: str) -> bool:
    # It brings the archive formats along, which most files have no use for.
    from shutil import which

    return "\0" not in program and which(program) is not None


def _check_http(provider: Node, found: Findings) -> None:
    url = provider.get("url")
    if url is None or url.empty:
        found.error(provider if url is None else url, "an HTTP provider needs a `url`")
    headers = provider.get("headers")
    if headers is not None and not headers.empty and headers.kind != "map":
        found.error(headers, "`headers` is a mapping", "write it like {Accept: application/json}")


def _check_judge(tolerance: Node, found: Findings) -> None:
    kind = tolerance.get("type")
    word = kind.value if kind is not None and kind.kind == "scalar" else None
    if word == "probe":
        check_activity(tolerance, found)
    elif word == "regex":
        _check_pattern(tolerance, found)
    elif word == "jsonpath":
        path = tolerance.get("path")
        if path is None or not path.is_text or not path.value.strip():
            found.error(tolerance if path is None else path, "a jsonpath tolerance needs a `path`")
    elif word == "range":
        _check_range(tolerance, found)
    else:
        place, text = (tolerance, "") if kind is None else (kind, kind.text)
        known = ("probe", "regex", "jsonpath", "range")
        found.error(place, f"{shown(text)} is no type of tolerance", nearest(text, known))


def _check_pattern(tolerance: Node, found: Findings) -> None:
    pattern = tolerance.get("pattern")
    if pattern is None or not pattern.is_text:
        found.error(tolerance if pattern is None else pattern, "a regex tolerance needs a `pattern`")
        return
    try:
        with warnings.catch_warnings():
            # Python warns about patterns whose meaning may change; that is for their author's tests.
            warnings.simplefilter("ignore")
            re.compile(pattern.value)
    except (re.error, ValueError, RecursionError, OverflowError) as error:
        found.error(pattern, f"{shown(pattern.text)} is no regular expression: {error}")


def _check_range(tolerance: Node, found: Findings) -> None:
    limits = tolerance.get("range")
    if limits is None:
        found.error(tolerance, "a range tolerance needs a `range`", "write it like [0, 1.5]")
    elif limits.kind != "list" or len(limits.items) != 2:
        found.error(limits, "`range` is a list of two numbers", "write it like [0, 1.5]")
    else:
        for limit in limits.items:
            if not _is_number(limit):
                found.error(limit, f"{shown(limit.text)} is no number", "write it without quotes and units")


def _is_number(node: Node) -> bool:
    # A bool is a number to Python, and so to Chaos Toolkit.
    return node.kind == "scalar" and isinstance(node.value, (int, float))
