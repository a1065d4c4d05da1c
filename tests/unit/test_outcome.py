"""An action that was refused has failed, and a probe is its tolerance's business."""

from __future__ import annotations

from typing import Any

import pytest

from chaosdrill.record.outcome import refused


def run(kind: str, provider: str, output: Any) -> dict[str, Any]:
    return {"activity": {"type": kind, "name": "a", "provider": {"type": provider}}, "output": output}


@pytest.mark.parametrize(
    ("provider", "status", "words"),
    [
        ("process", 1, "the process ended with exit status 1"),
        ("process", -9, "the process was killed by signal 9"),
        ("http", 503, "the server answered 503"),
        ("http", 404, "the server answered 404"),
    ],
)
def test_an_action_that_was_refused_says_how(provider: str, status: int, words: str) -> None:
    assert refused(run("action", provider, {"status": status})) == words
    assert refused(run("probe", provider, {"status": status})) == ""


@pytest.mark.parametrize(("provider", "status"), [("process", 0), ("http", 200), ("http", 302)])
def test_an_action_that_was_carried_out_was_not_refused(provider: str, status: int) -> None:
    assert refused(run("action", provider, {"status": status})) == ""


@pytest.mark.parametrize("output", [None, "text", 1, {"status": "bad"}, {}, []])
def test_what_says_nothing_refuses_nothing(output: Any) -> None:
    for provider in ("process", "http", "python"):
        assert refused(run("action", provider, output)) == ""
    assert refused({}) == ""


def test_a_function_may_return_a_status_of_its_own() -> None:
    assert refused(run("action", "python", {"status": 503})) == ""
