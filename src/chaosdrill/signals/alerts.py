"""Whether a real alert fires right now, asked of Alertmanager.

It decides nothing: it returns a piece of evidence. What is unreachable or answers strangely is not quiet, for
nobody can say then that nothing is wrong.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from chaosdrill import redact
from chaosdrill.model.checklist import Check
from chaosdrill.ports import Clock

#: How long the whole question may take in seconds, and how much of an answer is read in bytes.
TIMEOUT = 3.0
LARGEST = 8 * 1024 * 1024
#: How many alerts are named in the evidence.
_NAMED = 5
_QUERY = "/api/v2/alerts?active=true&silenced=false&inhibited=false"


def firing(url: str, clock: Clock, timeout: float = TIMEOUT) -> Check:
    """Return whether no alert fires at the Alertmanager at `url`, its address without /api/v2.

    Silenced and inhibited alerts don't count, nor do those labelled drill="true": they are ours. `timeout` in
    seconds, for the whole question.
    """
    began, asked = clock.now(), clock.mono()
    redact.known.learn(redact.url_secrets(url))
    alerts, trouble = _within_time(url, timeout)
    took = round(clock.mono() - asked, 6)
    if trouble:
        return Check(
            "alerts",
            False,
            redact.known.text(f"Alertmanager at {_shown(url)} can't be asked: {trouble}"),
            at=began,
            took=took,
            next_step="see that it answers, or correct quiet.alerts in the policy",
        )
    real = [alert for alert in alerts if alert["labels"].get("drill") != "true"]
    ours = len(alerts) - len(real)
    facts = {"firing": [_facts(alert) for alert in real[:_NAMED]], "count": len(real), "drills": ours}
    if real:
        names = ", ".join(_name(alert) for alert in real[:_NAMED])
        more = f" and {len(real) - _NAMED} more" if len(real) > _NAMED else ""
        return Check(
            "alerts",
            False,
            redact.known.text(f"{_counted(len(real))} right now: {names}{more}"),
            at=began,
            took=took,
            next_step="wait until they are resolved, or silence what is known and harmless",
            facts=redact.known.tree(facts),
        )
    said = f"no alert fires at {_shown(url)}" + (f" ({ours} of drills)" if ours else "")
    return Check("alerts", True, said, at=began, took=took, facts=facts)


def _within_time(url: str, timeout: float) -> tuple[list[dict[str, Any]], str]:
    """Return what `_ask` does, in time: no limit on single reads bounds a server that sends bytes singly."""
    answers: list[tuple[list[dict[str, Any]], str]] = []
    asking = threading.Thread(target=lambda: answers.append(_ask(url, timeout)), name="alerts", daemon=True)
    asking.start()
    asking.join(timeout)
    return answers[0] if answers else ([], f"it did not answer within {timeout:g} s")


def _ask(url: str, timeout: float) -> tuple[list[dict[str, Any]], str]:
    """Return the alerts that fire, or why they can't be told."""
    import urllib3

    pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(total=timeout))
    body = b""
    try:
        user, address = _credentials(url)
        headers = {"Accept": "application/json", **user}
        answer = pool.request(
            "GET",
            address.rstrip("/") + _QUERY,
            headers=headers,
            redirect=False,
            preload_content=False,
        )
        try:
            while piece := answer.read1(64 * 1024):
                body += piece
                if len(body) > LARGEST:
                    return [], f"its answer is larger than {LARGEST // 1024**2} MiB"
        finally:
            answer.close()
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        return [], _cause(error, timeout)
    finally:
        pool.clear()
    if answer.status != 200:
        return [], f"it answered with status {answer.status}"
    return _alerts(body)


def _alerts(body: bytes) -> tuple[list[dict[str, Any]], str]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return [], "its answer is no JSON"
    if not isinstance(said, list) or not all(_is_alert(each) for each in said):
        return [], "its answer is no list of alerts"
    return [alert for alert in said if alert["status"]["state"] == "active"], ""


def _is_alert(said: object) -> bool:
    if not isinstance(said, Mapping):
        return False
    labels, status = said.get("labels"), said.get("status")
    return (
        isinstance(labels, Mapping)
        and isinstance(status, Mapping)
        and status.get("state") in ("active", "suppressed", "unprocessed")
    )


def _facts(alert: Mapping[str, Any]) -> dict[str, Any]:
    return {"labels": dict(alert["labels"]), "since": str(alert.get("startsAt", ""))}


def _name(alert: Mapping[str, Any]) -> str:
    labels = alert["labels"]
    where = labels.get("service") or labels.get("job") or labels.get("instance")
    since = str(alert.get("startsAt", ""))[:16].replace("T", " ")
    details = [*([str(where)] if where else []), *([f"since {since} UTC"] if since.strip() else [])]
    return str(labels.get("alertname", "(unnamed)")) + (f" ({', '.join(details)})" if details else "")


def _counted(count: int) -> str:
    return "1 alert fires" if count == 1 else f"{count} alerts fire"


def _credentials(url: str) -> tuple[dict[str, str], str]:
    """Return the header that a user and a password in the address mean, and the address without them."""
    from urllib.parse import unquote

    from urllib3.util import make_headers, parse_url

    parts = parse_url(url)
    if parts.scheme not in ("http", "https") or not parts.host:
        raise ValueError("its address is no http:// or https:// address")
    address = parts._replace(auth=None, query=None, fragment=None).url
    if not parts.auth:
        return {}, address
    return make_headers(basic_auth=unquote(parts.auth)), address


def _shown(url: str) -> str:
    """Return an address without what may be secret in it."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that can't be read"
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def _cause(error: BaseException, timeout: float) -> str:
    name = type(error).__name__
    if "Timeout" in name:
        return f"it did not answer within {timeout:g} s"
    if name == "NewConnectionError":
        return "it can't be reached (connection refused or no such host)"
    text = " ".join(str(error).split())
    return text[:200] or name
