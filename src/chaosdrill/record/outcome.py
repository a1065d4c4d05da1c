"""Whether an action of the file did what it was asked, where Chaos Toolkit says 'succeeded' for any answer.

A process that exits with 1 and a server that answers 503 have not done it. Probes are left alone: their
tolerance says which answer is right. Pure, and shared by the engine and by whoever reads its journal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: From here on an HTTP status says that the request was not carried out (RFC 9110, 15.5 and 15.6).
_HTTP_FAILED = 400


def refused(run: Mapping[str, Any]) -> str:
    """Return in words how the provider of an action said no; '' for a probe, and when it did not."""
    activity, output = run.get("activity") or {}, run.get("output")
    if activity.get("type") != "action" or not isinstance(output, Mapping):
        return ""
    provider, status = (activity.get("provider") or {}).get("type"), output.get("status")
    if not isinstance(status, int):
        return ""
    if provider == "process" and status < 0:
        return f"the process was killed by signal {-status}"
    if provider == "process" and status > 0:
        return f"the process ended with exit status {status}"
    if provider == "http" and status >= _HTTP_FAILED:
        return f"the server answered {status}"
    return ""
