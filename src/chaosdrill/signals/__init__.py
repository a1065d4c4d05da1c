"""Sources of samples, each behind chaosdrill.ports.Signal; `open` knows which module makes which."""

from __future__ import annotations

from chaosdrill.errors import UsageError
from chaosdrill.model.experiment import SourceSpec
from chaosdrill.ports import Clock, Signal
from chaosdrill.signals.target import SeriesReader, TargetSignal


def open(name: str, spec: SourceSpec, clock: Clock, reader: SeriesReader | None = None) -> Signal:
    """Return the signal `name` as `spec` describes it; nothing is contacted yet.

    `reader` reads the target system (the sandbox's client, for one); only `target` sources need it. Raises
    UsageError for a url that can't be one, and for a `target` source without a reader.
    """
    if spec.http is not None:
        # Imported where used: a run without requests need not pay for TLS.
        from chaosdrill.signals.http import HttpSignal

        return HttpSignal(name, spec.http, clock)
    if spec.tcp is not None:
        from chaosdrill.signals.tcp import TcpSignal

        return TcpSignal(name, spec.tcp, clock)
    if spec.target is None or reader is None:
        raise UsageError(
            f"signal {name} reads the target system, and this environment has none that can be read",
            next_step=f"use an http or tcp source for {name}, or run it where there is a target",
        )
    return TargetSignal(name, spec.target, spec.every, clock, reader)


__all__ = ["SeriesReader", "open"]
