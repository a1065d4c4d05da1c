"""A secret is masked wherever it turns up."""

from __future__ import annotations

import base64
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from chaosdrill.redact import MASK, Redactor, pair_secrets, secret_values, url_secrets, written_secrets


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


def test_what_a_file_gives_away_is_found_where_it_is_written() -> None:
    tree = {
        "configuration": {
            "api_token": "literal-token-1",
            "url": "https://ada:pass-word-2@host/x?token=token-3-in-url",
            "shop_password": {"type": "env", "key": "SHOP"},
            "other": {"type": "env", "key": "OTHER_SECRET", "default": "default-is-4"},
            "pointer": "${api_token}",
            "name": "nothing secret",
        },
        "method": [{"provider": {"headers": {"Authorization": "Bearer bearer-token-5"}}}],
    }
    found = written_secrets(tree, {"SHOP": "from-shop-6", "OTHER_SECRET": "from-other-7"})
    masked = Redactor(found).text(f"{tree} from-shop-6 from-other-7 bearer-token-5")
    for number in range(1, 8):
        assert not any(f"-{number}" in word for word in masked.split()), (number, masked)
    assert "nothing secret" in masked
    assert "OTHER_SECRET" in masked
    assert "${api_token}" in masked


def test_what_a_client_sends_for_a_user_in_an_address_is_masked() -> None:
    sent = base64.b64encode(b"ada:pass-word-2").decode()
    assert sent not in Redactor(url_secrets("https://ada:pass-word-2@host/")).text(f"Basic {sent}")


def test_a_variable_given_by_hand_is_masked_by_its_name() -> None:
    assert pair_secrets(["token=abcdefgh1", "count:int=12345678", "url=http://u:pw-of-mine@h"]) == [
        "abcdefgh1",
        "pw-of-mine",
        "u:pw-of-mine",
        "pw-of-mine",
        "u:pw-of-mine",
    ]
