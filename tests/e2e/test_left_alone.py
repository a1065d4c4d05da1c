"""A system is left alone from the command line too: in a freeze, while an alert fires, after a bad run."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from alertmanager import fire, open_alertmanager, until
from chaosdrill.clock import SystemClock
from chaosdrill.signals import alerts
from commandline import CommandLine

POLICY: dict[str, Any] = {
    "version": "1",
    "environments": {"shop": {"target": "sandbox", "checklist": {"team-notified": {"waived": "a test"}}}},
}
EXPERIMENT: dict[str, Any] = {
    "title": "Payments are a little late",
    "description": "A test.",
    "configuration": {
        "shop_url": {"type": "env", "key": "CHAOSDRILL_SHOP_URL", "default": "http://127.0.0.1:9"}
    },
    "method": [
        {
            "type": "action",
            "name": "late",
            "provider": {
                "type": "python",
                "module": "chaosdrill.actions",
                "func": "network_latency",
                "arguments": {"delay": "20 ms", "duration": "3 s"},
            },
        }
    ],
    "rollbacks": [],
    "extensions": [
        {
            "name": "chaosdrill",
            "version": "1",
            "hypothesis": "Nobody notices.",
            "expected-outcome": "Nothing happens.",
            "blast-radius": {"max-targets": "1"},
            "signals": {"pay": {"http": {"url": "${shop_url}/checkout", "rate": "50"}}},
            "criteria": [{"signal": "pay.p95_latency", "below": "900 ms", "over": "phase"}],
            "abort-when": [{"signal": "pay.availability", "below": "20 %", "for": "2 s"}],
            "checklist": {"customer-communication": {"not-needed": "nobody outside uses it"}},
        }
    ],
}


ALWAYS = ["Mon-Sun 00:00-24:00"]
WINDOWS: dict[str, Any] = {"timezone": "UTC", "allow": ALWAYS, "off-peak": ALWAYS}


def _experiment(place: Path, **rules: Any) -> str:
    shop = {**POLICY["environments"]["shop"], "windows": WINDOWS, **rules}
    (place / "chaosdrill.yaml").write_text(json.dumps({**POLICY, "environments": {"shop": shop}}))
    file = place / "late.json"
    file.write_text(json.dumps(EXPERIMENT))
    return str(file)


def test_a_freeze_refuses_with_its_reason_and_the_next_time(on_sandbox: CommandLine) -> None:
    today = datetime.now(UTC).date()
    # From yesterday, so that midnight may pass while the test runs.
    freeze = {"from": str(today - timedelta(1)), "to": str(today + timedelta(3)), "why": "the big sale"}
    file = _experiment(on_sandbox.place, windows={**WINDOWS, "freezes": [freeze]})
    refused = on_sandbox("run", "-e", "shop", "--plain", file)
    assert refused.code == 3
    assert f"there is a freeze from {freeze['from']} to {freeze['to']} (the big sale)" in refused.err
    assert f"next allowed: {today + timedelta(4):%a %d %b %Y} 00:00 UTC" in refused.err
    assert not on_sandbox("sandbox", "status", "--json").json["faults"]
    (row,) = on_sandbox("runs", "--json").json
    assert row["exit_code"] == 3


def test_an_alert_that_fires_refuses_by_its_name_until_it_is_over(on_sandbox: CommandLine) -> None:
    with open_alertmanager(on_sandbox.place / "alertmanager") as url:
        file = _experiment(on_sandbox.place, quiet={"alerts": url})
        fire(url, alertname="CheckoutDown", service="checkout")
        until(lambda: not alerts.firing(url, SystemClock()).ok)
        refused = on_sandbox("preflight", "-e", "shop", file)
        assert refused.code == 3
        assert "1 alert fires right now: CheckoutDown (checkout, since" in " ".join(refused.out.split())
        fire(url, resolved=True, alertname="CheckoutDown", service="checkout")
        until(lambda: alerts.firing(url, SystemClock()).ok)
        cleared = on_sandbox("preflight", "-e", "shop", file)
        assert cleared.code == 0, cleared.out
    gone = on_sandbox("preflight", "-e", "shop", file)
    assert gone.code == 3
    assert "can't be asked" in " ".join(gone.out.split())


def test_after_a_run_that_was_stopped_the_service_is_left_alone(on_sandbox: CommandLine) -> None:
    file = _experiment(on_sandbox.place, quiet={"after-deviation": "1 h"})
    with on_sandbox.start("run", "-e", "shop", "--plain", file) as run:
        assert run.stdout is not None
        assert any("FAULT ON" in line for line in run.stdout)
        assert on_sandbox("abort").code == 0
        run.communicate(timeout=60)
    assert run.returncode == 4
    refused = on_sandbox("run", "-e", "shop", "--plain", file)
    assert refused.code == 3
    assert "came out ABORTED" in refused.err
    assert "is left alone for 1 h after that; wait" in refused.err
