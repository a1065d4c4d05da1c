"""A secret is masked wherever it turns up."""

from __future__ import annotations

import base64
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from chaosdrill.redact import MASK, Redactor, secret_values


def test_a_secret_is_masked_in_every_form_and_depth() -> None:
    secret = "s3cr/et+value"
    encoded = base64.b64encode(secret.encode()).decode()
    tree = {secret: [f"https://u:{quote(secret, safe='')}@host", {"h": f"Basic {encoded}"}], "n": 5}
    assert secret not in str(Redactor([secret]).tree(tree))
    assert quote(secret, safe="") not in str(Redactor([secret]).tree(tree))
    assert encoded not in str(Redactor([secret]).tree(tree))


def test_a_secret_that_contains_another_leaves_no_rest() -> None:
    assert Redactor(["abcd", "abcdefgh"]).text("x abcdefgh y") == f"x {MASK} y"


def test_short_values_are_left_alone() -> None:
    assert Redactor(["a"]).text("a banana") == "a banana"


def test_all_strings_of_nested_secrets_are_found() -> None:
    assert secret_values({"a": {"b": "one", "c": ["two", {"d": "three"}]}, "n": 4}) == ["one", "two", "three"]


@given(st.text(min_size=4, max_size=20), st.text(max_size=30), st.text(max_size=30))
def test_no_text_keeps_a_secret(secret: str, before: str, after: str) -> None:
    if secret not in MASK and MASK not in secret:
        assert secret not in Redactor([secret]).text(f"{before}{secret}{after}").replace(MASK, "\0")
