"""Connections to a port at a fixed rate: how long the handshake takes. No byte is sent."""

from __future__ import annotations

import socket

from chaosdrill.errors import TargetUnreachable
from chaosdrill.model.experiment import TcpSource
from chaosdrill.ports import Clock
from chaosdrill.signals.arrivals import Line, OpenLoop, Pace, Result
from chaosdrill.units import format_duration


class TcpLine:
    """Opens a connection and closes it again."""

    def __init__(self, address: tuple[str, int], clock: Clock) -> None:
        self._address = address
        self._clock = clock

    def attempt(self, deadline: float) -> Result:
        """Connect by `deadline` (monotonic seconds)."""
        left = max(0.001, deadline - self._clock.mono())
        try:
            with socket.create_connection(self._address, timeout=left):
                return Result(True, "")
        except TimeoutError:
            return Result(False, "timeout")
        except ConnectionRefusedError:
            return Result(False, "refused")
        except ConnectionResetError:
            return Result(False, "reset")
        except (OSError, UnicodeError):
            # UnicodeError: a host name that IDNA can't encode.
            return Result(False, "error")

    def cancel(self) -> None:
        """Do nothing: a handshake ends by its own time-out."""

    def close(self) -> None:
        """Do nothing: no connection outlives its attempt."""


class TcpSignal(OpenLoop):
    """The signal of a `tcp` source."""

    def __init__(self, name: str, source: TcpSource, clock: Clock) -> None:
        host, _, port = source.address.rpartition(":")
        self._address = (host.strip("[]"), int(port))
        self._shown = source.address
        super().__init__(name, Pace(source.rate, source.timeout), clock, self._line)

    def check(self) -> None:
        """Connect once; raise TargetUnreachable unless that works."""
        line = self._line()
        detail = line.attempt(self._clock.mono() + self.pace.timeout).detail
        if detail:
            waited = format_duration(self.pace.timeout)
            raise TargetUnreachable(
                f"signal {self.signal}: no connection to {self._shown} within {waited} ({detail})",
                next_step="see that it listens there, or correct the address",
            )

    def _line(self) -> Line:
        return TcpLine(self._address, self._clock)
