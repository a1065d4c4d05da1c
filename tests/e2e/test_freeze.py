"""A freeze stops a run from the command line, and says when it may start instead."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

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


def _experiment(place: Path, windows: dict[str, Any]) -> str:
    shop = {**POLICY["environments"]["shop"], "windows": windows}
    (place / "chaosdrill.yaml").write_text(json.dumps({**POLICY, "environments": {"shop": shop}}))
    file = place / "late.json"
    file.write_text(json.dumps(EXPERIMENT))
    return str(file)


def test_a_freeze_refuses_with_its_reason_and_the_next_time(on_sandbox: CommandLine) -> None:
    today = datetime.now(UTC).date()
    # From yesterday, so that midnight may pass while the test runs.
    freeze = {"from": str(today - timedelta(1)), "to": str(today + timedelta(3)), "why": "the big sale"}
    always = ["Mon-Sun 00:00-24:00"]
    file = _experiment(
        on_sandbox.place, {"timezone": "UTC", "allow": always, "off-peak": always, "freezes": [freeze]}
    )
    refused = on_sandbox("run", "-e", "shop", "--plain", file)
    assert refused.code == 3
    assert f"there is a freeze from {freeze['from']} to {freeze['to']} (the big sale)" in refused.err
    assert f"next allowed: {today + timedelta(4):%a %d %b %Y} 00:00 UTC" in refused.err
    assert not on_sandbox("sandbox", "status", "--json").json["faults"]
    (row,) = on_sandbox("runs", "--json").json
    assert row["exit_code"] == 3
