"""The questions that a guard asks: an HTTP request that must succeed, and a Prometheus query.

Each answer is read by one `evaluate`, whether it came over the network or was made up to prove that the guard
would see it. Knows nothing of how often it is asked, of `for`, or of aborting.
"""

from __future__ import annotations

import json
import math
from typing import Any
from urllib.parse import urlencode

from chaosdrill import redact
from chaosdrill.model.experiment import HttpSource, StopCondition
from chaosdrill.ports import CheckAnswer, Clock, Rehearsal, StopCheck
from chaosdrill.signals.answers import read_answer
from chaosdrill.signals.http import HttpLine, Request, outcome, request_of


def open_check(condition: StopCondition, clock: Clock) -> StopCheck:
    """Return the check of a stop condition that has one; nothing is contacted yet.

    Raises UsageError for an address, a method or a header that can't be sent.
    """
    return HttpCheck(condition, clock) if condition.http is not None else PrometheusCheck(condition, clock)


class _Asked:
    """One connection, asked again and again."""

    def __init__(self, condition: StopCondition, request: Request, clock: Clock) -> None:
        self.condition = condition
        self.request = request
        self._clock = clock
        self._line = HttpLine(request, clock)

    def close(self) -> None:
        """Close the connection."""
        self._line.close()

    def exchange(self, seconds: float, body: bytearray | None = None) -> tuple[str, str]:
        """Return the status code or what went wrong, and the cause; the body goes into `body`."""
        self._line.cause = ""
        detail = self._line.attempt(self._clock.mono() + seconds, body).detail
        return detail, self._line.cause


class HttpCheck(_Asked):
    """Good when the answer has an expected status, bad in every other case: no answer is no good sign."""

    def __init__(self, condition: StopCondition, clock: Clock) -> None:
        assert condition.http is not None
        http = condition.http
        source = HttpSource(url=http.url, method=http.method, headers=http.headers, expect=http.expect)
        super().__init__(condition, request_of("abort-when", source), clock)

    def ask(self, seconds: float) -> CheckAnswer:
        """Send the request once and judge the answer."""
        return self.evaluate(*self.exchange(seconds))

    def evaluate(self, detail: str, cause: str = "") -> CheckAnswer:
        """Return what an answer means: `detail` is its status code, or why there was none."""
        if detail.isdigit() and int(detail) in self.request.expected:
            return CheckAnswer(False, f"answered {detail}")
        return CheckAnswer(True, outcome(detail, self.condition.patience, cause))

    def rehearse(self) -> Rehearsal:
        """Have it read an expected answer, and one that is not: a wrong status, or none at all."""
        expected = self.request.expected
        wrong = next((status for status in (503, *range(100, 600)) if status not in expected), None)
        bad = "timeout" if wrong is None else self._read(wrong)
        return Rehearsal(self.evaluate(self._read(min(expected))), self.evaluate(bad))

    def _read(self, status: int) -> str:
        # 1xx are never an answer's last word, so these are not written out.
        if status < 200:
            return str(status)
        parts = iter([f"HTTP/1.1 {status} Made up\r\nContent-Length: 0\r\n\r\n".encode()])
        return str(read_answer(lambda: next(parts, b""), self.request.method).status)


class PrometheusCheck(_Asked):
    """One number from an instant query; whatever is not exactly one number can't tell anything."""

    def __init__(self, condition: StopCondition, clock: Clock) -> None:
        assert condition.prometheus is not None
        given = condition.prometheus
        headers = dict(given.headers)
        if given.bearer:
            headers["Authorization"] = f"Bearer {given.bearer}"
        url = f"{given.url.rstrip('/')}/api/v1/query?{urlencode({'query': given.query})}"
        source = HttpSource(url=url, headers=headers, expect="200")
        super().__init__(condition, request_of("abort-when", source), clock)

    def ask(self, seconds: float) -> CheckAnswer:
        """Send the query once and hold its number against the limit."""
        body = bytearray()
        return self.evaluate(*self.exchange(seconds, body), bytes(body))

    def evaluate(self, detail: str, cause: str, body: bytes) -> CheckAnswer:
        """Return what an answer means: its status code, or why there was none, and its body."""
        if detail != "200":
            return CheckAnswer(None, f"Prometheus {outcome(detail, self.condition.patience, cause)}")
        try:
            value = _number(json.loads(body))
        except ValueError as error:
            return CheckAnswer(None, redact.known.text(str(error)))
        return CheckAnswer(self.condition.allows(value), self.condition.format(value))

    def rehearse(self) -> Rehearsal:
        """Have it read a number on each side of the limit, and answers that hold none."""
        limit = self.condition.threshold
        numbers = (limit, limit + max(1.0, abs(limit)), limit - max(1.0, abs(limit)))
        told = {n: self.evaluate("200", "", _body({"value": [0, repr(n)]})) for n in numbers}
        untold = (_body(), _body({"value": [0, "NaN"]}), _body(*[{"value": [0, "1"]}] * 2), b"", b"{}")
        blind = (*(self.evaluate("200", "", body) for body in untold), self.evaluate("timeout", "", b""))
        none = CheckAnswer(None, "nothing made up is on that side")
        return Rehearsal(
            next((answer for answer in told.values() if answer.bad is False), none),
            next((answer for answer in told.values() if answer.bad), none),
            blind,
        )


def _number(said: Any) -> float:
    """Return the one number of an answer. Raises ValueError, in words, when it is not exactly one."""
    if not isinstance(said, dict) or said.get("status") != "success":
        error = said.get("error") if isinstance(said, dict) else None
        raise ValueError(f"the query failed: {error or 'no reason was given'}")
    data = said.get("data")
    kind, result = (data.get("resultType"), data.get("result")) if isinstance(data, dict) else (None, None)
    if kind == "scalar":
        value = result
    elif kind == "vector" and isinstance(result, list):
        if len(result) != 1:
            raise ValueError(f"the query gives {len(result)} series instead of one")
        value = result[0].get("value") if isinstance(result[0], dict) else None
    else:
        raise ValueError(f"the query gives a {kind}, which is no number")
    try:
        number = float(value[1])  # type: ignore[index]
    except (TypeError, IndexError, KeyError, ValueError):
        number = math.nan
    if math.isnan(number):
        raise ValueError("the query gives no number (NaN)")
    return number


def _body(*series: dict[str, Any]) -> bytes:
    result = [{"metric": {}, **one} for one in series]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()
