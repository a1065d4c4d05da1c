"""A system is left alone while alerts fire, while it is changed, and for a while after it was hurt."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alertmanager import fire, open_alertmanager, post, until
from chaosdrill.clock import SystemClock, iso
from chaosdrill.errors import TargetUnreachable
from chaosdrill.model.checklist import Check
from chaosdrill.model.policy import Quiet, Rules
from chaosdrill.preflight.quiet import quiet
from chaosdrill.record import folder as folders
from chaosdrill.signals import alerts

NOW = 1_800_000_000.0
HOUR = 3600.0


# ---- a real Alertmanager


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with open_alertmanager(tmp_path_factory.mktemp("alertmanager")) as url:
        yield url


def firing(url: str) -> Check:
    return alerts.firing(url, SystemClock())


def test_a_real_alertmanager_is_quiet_until_an_alert_fires_and_again_when_it_is_over(
    alertmanager: str,
) -> None:
    until(lambda: firing(alertmanager).ok, lambda: firing(alertmanager).said)
    fire(alertmanager, alertname="CheckoutDown", service="checkout")
    until(lambda: not firing(alertmanager).ok)
    found = firing(alertmanager)
    assert found.said.startswith("1 alert fires right now: CheckoutDown (checkout, since ")
    assert found.next_step
    fire(alertmanager, resolved=True, alertname="CheckoutDown", service="checkout")
    until(lambda: firing(alertmanager).ok)


def test_alerts_of_drills_and_silenced_and_inhibited_ones_do_not_count(alertmanager: str) -> None:
    now = datetime.now(UTC)
    post(
        f"{alertmanager}/api/v2/silences",
        {
            "matchers": [{"name": "alertname", "value": "Known", "isRegex": False, "isEqual": True}],
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(hours=1)).isoformat(),
            "createdBy": "alice",
            "comment": "known",
        },
    )
    fire(alertmanager, alertname="Known", service="checkout")
    fire(alertmanager, alertname="Root", drill="true")
    fire(alertmanager, alertname="Symptom", service="checkout")
    until(lambda: "of drills" in firing(alertmanager).said, lambda: firing(alertmanager).said)
    found = firing(alertmanager)
    assert found.ok
    assert found.facts["drills"] == 1
    fire(alertmanager, resolved=True, alertname="Symptom", service="checkout")
    fire(alertmanager, resolved=True, alertname="Root", drill="true")


# ---- one that lies


class Liar(http.server.BaseHTTPRequestHandler):
    """Answers every request with what the server was given."""

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, LyingServer)
        server.asked.append((self.path, self.headers.get("Authorization")))
        if server.stalls is not None:
            server.stalls.wait(30)
        self.send_response(server.status)
        if server.status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(server.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class LyingServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    status = 200
    body = b"[]"
    stalls: threading.Event | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Liar)
        self.asked: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def liar() -> Iterator[LyingServer]:
    server = LyingServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    if server.stalls is not None:
        server.stalls.set()
    server.shutdown()
    server.server_close()
    thread.join()


def alert(**changes: object) -> dict[str, object]:
    return {"labels": {"alertname": "A"}, "status": {"state": "active"}, **changes}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>log in</html>",
        b"{}",
        b"null",
        b'{"status": "error"}',
        b'["firing"]',
        b"[{}]",
        b"[[]]",
        json.dumps([alert(labels=None)]).encode(),
        json.dumps([alert(status="active")]).encode(),
        json.dumps([alert(status={"state": "what"})]).encode(),
        json.dumps([alert(), {"labels": {}}]).encode(),
        b"\xff\xfe[]",
        b"[" * 100_000,
        b" " * (alerts.LARGEST + 2),
    ],
    ids=lambda body: repr(body[:24]),
)
def test_an_answer_that_makes_no_sense_is_not_quiet(liar: LyingServer, body: bytes) -> None:
    liar.body = body
    found = firing(liar.url)
    assert not found.ok
    assert "can't be asked" in found.said
    assert found.next_step


@pytest.mark.parametrize("status", [204, 302, 401, 404, 500, 503])
def test_an_answer_with_another_status_is_not_quiet(liar: LyingServer, status: int) -> None:
    liar.status = status
    found = firing(liar.url)
    assert not found.ok
    assert f"it answered with status {status}" in found.said
    assert len(liar.asked) == 1, "neither redirects nor retries"


def test_one_that_never_answers_is_not_quiet(liar: LyingServer) -> None:
    liar.stalls = threading.Event()
    found = alerts.firing(liar.url, SystemClock(), timeout=0.2)
    assert not found.ok
    assert "did not answer within 0.2 s" in found.said


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "alertmanager:9093", "ftp://x", "http://[", "", "http://"]
)
def test_one_that_is_not_there_is_not_quiet(url: str) -> None:
    found = firing(url)
    assert not found.ok
    assert "can't be asked" in found.said


def test_a_password_in_the_address_is_sent_and_never_shown(liar: LyingServer) -> None:
    url = liar.url.replace("//", "//drill:c4n4ry-pass@") + "/alerts/?token=c4n4ry-token"
    found = firing(url)
    assert found.ok
    assert liar.asked[0][0] == "/alerts/api/v2/alerts?active=true&silenced=false&inhibited=false"
    assert liar.asked[0][1] == "Basic ZHJpbGw6YzRuNHJ5LXBhc3M="
    liar.status = 500
    assert "c4n4ry" not in repr(found) + repr(firing(url))


def test_of_many_alerts_the_first_are_named_and_all_are_counted(liar: LyingServer) -> None:
    liar.body = json.dumps([alert(labels={"alertname": f"A{n}"}) for n in range(12)]).encode()
    found = firing(liar.url)
    assert found.said == "12 alerts fire right now: A0, A1, A2, A3, A4 and 7 more"


# ---- what the rules ask for


def rules(**wanted: object) -> Rules:
    return Rules(environment="production", quiet=Quiet(**wanted))  # type: ignore[arg-type]


def never(url: str) -> Check:
    raise AssertionError(f"{url} was not to be asked")


def nobody() -> list[str]:
    return []


def test_nothing_is_asked_where_the_policy_asks_for_nothing(tmp_path: Path) -> None:
    assert quiet(rules(), "checkout", tmp_path, NOW, never, nobody) == []


def test_a_deployment_in_progress_is_named(tmp_path: Path) -> None:
    wanted = rules(deployments=True)
    (found,) = quiet(wanted, "checkout", tmp_path, NOW, never, lambda: ["payment-api is restarted"])
    assert (found.ok, found.said) == (False, "a deployment is in progress: payment-api is restarted")
    (found,) = quiet(wanted, "checkout", tmp_path, NOW, never, nobody)
    assert found.ok


def test_a_target_that_can_not_say_whether_it_is_deployed_is_not_quiet(tmp_path: Path) -> None:
    def gone() -> list[str]:
        raise TargetUnreachable("the sandbox does not answer", next_step="chaosdrill sandbox up")

    (found,) = quiet(rules(deployments=True), None, tmp_path, NOW, never, gone)
    assert not found.ok
    assert found.next_step == "chaosdrill sandbox up"


# ---- a while after a run that went wrong


def ran(home: Path, ago: float, word: str, *, lasted: float = 60.0, **changes: object) -> str:
    started = NOW - ago - lasted
    name = folders.run_id("payments survive", started, f"{len(list(home.glob('runs/*'))):04x}")
    facts = {
        "id": name,
        "state": "sealed",
        "environment": "production",
        "service": "checkout",
        "started": iso(started),
        "ended": iso(NOW - ago),
        "verdict": {"word": word},
        **changes,
    }
    folders.create(home, name, facts)
    return name


def calm(home: Path, service: str | None = "checkout", after: float = HOUR) -> Check:
    (found,) = quiet(rules(after_deviation=after), service, home, NOW, never, nobody)
    return found


def test_without_any_run_a_system_has_been_left_alone(tmp_path: Path) -> None:
    assert calm(tmp_path).ok


@pytest.mark.parametrize("word", ["DEVIATED", "ABORTED", "ERRORED", "RESIDUE LEFT"])
def test_a_run_that_went_wrong_is_followed_by_quiet(tmp_path: Path, word: str) -> None:
    name = ran(tmp_path, 20 * 60, word)
    found = calm(tmp_path)
    assert not found.ok
    assert found.said == (f"run {name} came out {word} 20 min ago; checkout is left alone for 1 h after that")
    assert found.next_step.startswith("wait 40 min")


@pytest.mark.parametrize("word", ["HELD", "INCONCLUSIVE", "REFUSED", "NOT EVALUATED"])
def test_a_run_that_hurt_nothing_is_followed_by_the_next(tmp_path: Path, word: str) -> None:
    ran(tmp_path, 60, word)
    assert calm(tmp_path).ok


def test_quiet_counts_from_the_end_of_a_run_and_ends(tmp_path: Path) -> None:
    ran(tmp_path, HOUR - 1, "DEVIATED", lasted=5 * HOUR)
    assert not calm(tmp_path).ok
    assert calm(tmp_path, after=HOUR - 1).ok


def test_another_service_and_another_environment_are_not_meant(tmp_path: Path) -> None:
    ran(tmp_path, 60, "DEVIATED", service="payment-api")
    ran(tmp_path, 60, "DEVIATED", environment="sandbox")
    assert calm(tmp_path).ok


def test_a_file_that_names_no_service_is_taken_to_touch_all(tmp_path: Path) -> None:
    ran(tmp_path, 60, "DEVIATED", service="payment-api")
    assert not calm(tmp_path, service=None).ok
    ran(tmp_path, 30, "DEVIATED", service=None)
    assert not calm(tmp_path, service="checkout").ok


def test_a_newer_run_that_held_does_not_hide_one_that_deviated(tmp_path: Path) -> None:
    ran(tmp_path, 600, "DEVIATED")
    ran(tmp_path, 60, "HELD")
    assert not calm(tmp_path).ok


def test_a_record_that_can_not_be_read_is_not_quiet(tmp_path: Path) -> None:
    name = ran(tmp_path, 60, "HELD")
    (tmp_path / "runs" / name / "run.json").write_text("{")
    found = calm(tmp_path)
    assert not found.ok
    assert name in found.said


def test_the_run_that_asks_does_not_stand_in_its_own_way(tmp_path: Path) -> None:
    ran(tmp_path, 0, "HELD", lasted=0.0, state="open", ended=None, verdict=None)
    assert calm(tmp_path).ok


def test_records_of_last_year_are_not_read(tmp_path: Path) -> None:
    name = ran(tmp_path, 300 * 86_400, "DEVIATED")
    (tmp_path / "runs" / name / "run.json").write_text("broken long since")
    assert calm(tmp_path).ok
