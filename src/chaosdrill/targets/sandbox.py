"""How to reach the sandbox: whether it is up, and what a fault could hit in it. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from chaosdrill.errors import ChaosdrillError, FaultFailed, Refused, TargetUnreachable
from chaosdrill.ports import Candidate, FaultSpec
from chaosdrill.sandbox import client, state
from chaosdrill.sandbox.supervisor.topology import BREAKABLE, LINKS


class SandboxTarget:
    """The sandbox in `directory`, by default the one of this user."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory or state.default_directory()

    def check(self) -> None:
        """Raise TargetUnreachable, with the next step, unless the sandbox answers now."""
        self.sandbox().faults()

    def sandbox(self) -> client.Sandbox:
        """Return the sandbox. Raises TargetUnreachable when it is not up."""
        found = client.find(self._directory)
        if found is None:
            raise TargetUnreachable("the sandbox is not up", next_step="start it: chaosdrill sandbox up")
        return found

    def candidates(self, spec: FaultSpec) -> Sequence[Candidate]:
        """Return what this fault could hit now: a line for network faults, else the instances that are ready.

        Raises Refused for a service that does not exist, or that has nothing to hit in this way;
        TargetUnreachable.
        """
        if spec.kind.startswith("network_"):
            _require(spec.target, LINKS, f"{spec.kind} acts on the network of")
            line = LINKS[spec.target]
            return [Candidate(line, f"the line {line.replace('->', ' to ')}")]
        _require(spec.target, BREAKABLE, f"{spec.kind} acts on instances of")
        return [
            Candidate(i["id"], f"process {i['pid']} on port {i['port']}")
            for i in self.sandbox().status()["instances"]
            if i["service"] == spec.target and i["state"] == "ready"
        ]

    def environment(self) -> Mapping[str, str]:
        """Return where the shop is and which sandbox is meant, for experiment files and the engine."""
        sandbox = self.sandbox()
        return {
            "CHAOSDRILL_SHOP_URL": sandbox.shop_url,
            state.DIRECTORY_VARIABLE: str(sandbox.directory),
        }

    def series(self, service: str) -> Mapping[str, float | None]:
        """Return the gauges of one service. Raises TargetUnreachable when the sandbox does not answer."""
        return self.sandbox().series(service)

    def deploying(self) -> Sequence[str]:
        """Return the rolling restarts in progress, in words. Raises TargetUnreachable."""
        return [f"the fix {name} is being rolled out" for name in self.sandbox().status().get("rolling", ())]

    def strays(self) -> Sequence[Mapping[str, Any]]:
        """Return every fault that is on in the sandbox; none when it is proved to be down.

        Raises TargetUnreachable when it can't tell: it does not answer, or its supervisor was killed and some
        of its processes run on.
        """
        found = client.find(self._directory)
        if found is not None:
            return found.faults()
        if left := client.remains(self._directory):
            raise TargetUnreachable(
                f"the sandbox is broken: {left[0]} still runs", next_step="clear up: chaosdrill sandbox down"
            )
        return []

    def end(self, fault_id: str) -> None:
        """End one of them. Raises FaultFailed."""
        found = client.find(self._directory)
        if found is None:
            return
        try:
            found.fault_stop(fault_id)
        except ChaosdrillError as problem:
            raise FaultFailed(f"{fault_id} was not stopped: {problem.message}") from None


def _require(service: str, known: Iterable[str], what: str) -> None:
    names = list(known)
    if service in names:
        return
    from difflib import get_close_matches

    near = get_close_matches(service, names, n=1)
    hint = f"did you mean {near[0]}?" if near else ""
    raise Refused(f"{what} {', '.join(names)} in the sandbox, not {service!r}", next_step=hint)
