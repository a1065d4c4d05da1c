"""Network faults in the sandbox, on the line between payment-api and the database.

They act on what leaves the database, as they would on its own network interface: answers, and the hello on
a new connection.
"""

from __future__ import annotations

from chaosdrill.faults import sandbox
from chaosdrill.ports import FaultSpec, Scope, UndoRecord
from chaosdrill.units import parse_duration, parse_share

LONGEST_DELAY = 60.0


class _OnTheLine:
    """What the three have in common: everything but their arguments."""

    def start(self, record: UndoRecord) -> None:
        """Put it on. Raises FaultFailed."""
        sandbox.start(record)

    def stop(self, record: UndoRecord) -> None:
        """Take it off. Raises FaultFailed."""
        sandbox.stop(record)

    def residue(self, record: UndoRecord) -> list[str]:
        """Return whether it is still on."""
        return sandbox.residue(record)


class NetworkLatency(_OnTheLine):
    """Every answer comes `delay` later, give or take `jitter` (evenly spread), in its order."""

    def prepare(self, spec: FaultSpec, scope: Scope) -> UndoRecord:
        """Return the record; reads only. Raises Refused."""
        delay = sandbox.argument(spec, "delay", parse_duration, 0.001, LONGEST_DELAY)
        jitter = sandbox.argument(spec, "jitter", parse_duration, 0.0, delay)
        return sandbox.prepare(spec, scope, {"delay": delay, "jitter": jitter})


class NetworkLoss(_OnTheLine):
    """A share of what is sent is lost and sent again by TCP, after 200 ms, 400 ms, 800 ms and so on.

    100 % is a black hole: nothing arrives and nothing is refused.
    """

    def prepare(self, spec: FaultSpec, scope: Scope) -> UndoRecord:
        """Return the record; reads only. Raises Refused."""
        loss = sandbox.argument(spec, "loss", parse_share, 0.001, 1.0)
        return sandbox.prepare(spec, scope, {"loss": loss})


class NetworkCut(_OnTheLine):
    """Connections are reset, new ones are refused."""

    def prepare(self, spec: FaultSpec, scope: Scope) -> UndoRecord:
        """Return the record; reads only. Raises Refused."""
        return sandbox.prepare(spec, scope, {})
