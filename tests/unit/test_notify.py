"""People are told through real HTTP on loopback; who was not told is named, and no secret is."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from chaosdrill import notify, redact
from chaosdrill.notify.messages import Messages
from letterbox import Mailbox, open_mailbox

TOKEN = "c4n4ry0000tokenwith26chars0"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with open_mailbox() as server:
        yield server


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> redact.Redactor:
    """What the process knows to be secret, forgotten after the test."""
    fresh = redact.Redactor()
    monkeypatch.setattr(redact, "known", fresh)
    return fresh


def test_a_message_arrives_marked_as_a_drill(mailbox: Mailbox) -> None:
    (found,) = notify.open([f"json://{mailbox.place}/drills"]).send("Payments survive", "It starts now.")
    assert (found.delivered, found.error) == (True, "")
    assert found.address == f"json://{mailbox.place}"
    path, _, body = mailbox.received[0]
    assert path == "/drills"
    assert json.loads(body)["title"] == "[DRILL] Payments survive"
    assert json.loads(body)["message"] == "It starts now."


def test_a_chat_gets_it_in_the_form_it_wants(mailbox: Mailbox) -> None:
    (found,) = Messages([f"mmost://{mailbox.place}/{TOKEN}?channel=drills"]).send("T", "It starts now.")
    assert found.delivered, found.error
    path, _, body = mailbox.received[0]
    assert path == f"/hooks/{TOKEN}"
    assert "[DRILL] T" in json.loads(body)["text"]
    assert "It starts now." in json.loads(body)["text"]


def test_each_address_is_told_by_itself_and_the_one_that_fails_is_named(mailbox: Mailbox) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{closed.getsockname()[1]}"
        addresses = [f"json://{nobody}", f"json://{mailbox.place}", "nonsense://x", "no address at all"]
        found = Messages(addresses).send("T", "text")
    assert [each.delivered for each in found] == [False, True, False, False]
    assert found[0].address == f"json://{nobody}"
    assert found[0].error
    assert found[2].address == "nonsense://…"
    assert found[3].address == "an address without a scheme"
    assert "apprise knows no such address" in found[3].error


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_message_that_was_not_taken_was_not_delivered(mailbox: Mailbox, status: int) -> None:
    mailbox.status = status
    (found,) = Messages([f"json://{mailbox.place}"]).send("T", "text")
    assert not found.delivered
    assert str(status) in found.error


def test_one_that_never_answers_keeps_nobody_waiting(mailbox: Mailbox) -> None:
    mailbox.stalls = threading.Event()
    (found,) = Messages([f"json://{mailbox.place}"], patience=0.2).send("T", "text")
    assert not found.delivered
    assert "did not answer within 0.2 s" in found.error


def test_all_are_told_at_the_same_time(mailbox: Mailbox) -> None:
    # Each answer waits until both messages are there.
    mailbox.meets = threading.Barrier(2)
    found = Messages([f"json://{mailbox.place}/a", f"json://{mailbox.place}/b"]).send("T", "text")
    assert all(each.delivered for each in found)
    assert not mailbox.meets.broken


def test_what_is_secret_is_sent_to_nobody_and_said_to_nobody(
    mailbox: Mailbox, secrets: redact.Redactor, capfd: pytest.CaptureFixture[str]
) -> None:
    secrets.learn(["c4n4ry-database"])
    addresses = [
        f"json://drill:c4n4ry-pass@{mailbox.place}/?token=c4n4ry-query",
        f"mmost://{mailbox.place}/{TOKEN}",
        "json://drill:c4n4ry-pass@127.0.0.1:1",
        "slack://c4n4ry-pass/incomplete",
    ]
    for status in (200, 403):
        mailbox.status = status
        found = Messages(addresses).send("on c4n4ry-database", "with c4n4ry-database")
        assert "c4n4ry" not in repr(found)
    assert not any("c4n4ry" in body for _, _, body in mailbox.received)
    assert secrets.text(TOKEN) == redact.MASK
    out, err = capfd.readouterr()
    assert out + err == ""


def test_a_chat_may_be_called_by_its_name(mailbox: Mailbox) -> None:
    (found,) = Messages([f"mattermost://{mailbox.place}/{TOKEN}"]).send("T", "text")
    assert found.address == f"mmosts://{mailbox.place}"
    assert not found.delivered, "over TLS only, and this one speaks none"


def test_without_addresses_nobody_is_told() -> None:
    assert notify.open([]).send("T", "text") == []
