"""Every error that chaosdrill raises on purpose, and the exit code that each one ends in.

This module exists so that a caller can catch by meaning, and so that exactly one place decides what a
shell sees. It knows nothing of any other module.

    ChaosdrillError            anything we say on purpose: a message, and what to do next
    ├── UsageError             what was asked for makes no sense (exit 2)
    │   └── InvalidFile        a file that we read has problems, each with its place (exit 2)
    ├── Refused                nothing was injected, and this is why (exit 3)
    │   ├── TargetUnreachable  the system to act on, or a signal of it, does not answer (exit 3)
    │   └── NotCleared         items of the checklist failed; all of them are here (exit 3)
    ├── FaultFailed            a fault could not be started or stopped (exit 6 when something stays on)
    ├── EngineFailed           the engine died before it could play anything (exit 3)
    ├── RunUnrecorded          a run was aborted because its record can't be kept (exit 4, or 6)
    ├── RunFenced              this process lost its run to the watchdog, and may write nothing more (exit 4)
    └── RecordUnusable         a run folder can't be written, or is not one (exit 2)

Exit codes: 0 held · 1 crash · 2 usage · 3 refused · 4 aborted · 5 inconclusive · 6 residue left · 7 deviated.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Exit(IntEnum):
    """What a shell sees. Any Python program exits with 1 when it crashes, so 1 is never an answer."""

    HELD = 0
    CRASH = 1
    USAGE = 2
    REFUSED = 3
    ABORTED = 4
    INCONCLUSIVE = 5
    RESIDUE = 6
    DEVIATED = 7


#: Which answer wins when several are true: what is left on, what stopped the run, what it showed.
PRECEDENCE = (
    Exit.RESIDUE,
    Exit.CRASH,
    Exit.REFUSED,
    Exit.ABORTED,
    Exit.DEVIATED,
    Exit.INCONCLUSIVE,
    Exit.HELD,
)


class ChaosdrillError(Exception):
    """Anything said on purpose: `message` in one line, `next_step` as something to type or do."""

    exit_code: Exit = Exit.CRASH

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message}; {self.next_step}" if self.next_step else self.message


class UsageError(ChaosdrillError):
    """What was asked for makes no sense."""

    exit_code = Exit.USAGE


class Problem(NamedTuple):
    """One thing wrong in a file: `line` and `column` count from 1 (0 means: the file as a whole)."""

    line: int
    column: int
    message: str
    hint: str = ""
    path: str = ""

    def __str__(self) -> str:
        place = f"{self.line}:{self.column}: " if self.line else ""
        return f"{place}{self.message}" + (f" ({self.hint})" if self.hint else "")


class InvalidFile(UsageError):
    """A file that we read has problems; all of them are here, in the order of their places."""

    def __init__(self, source: str, problems: list[Problem]) -> None:
        self.source = source
        self.problems = sorted(problems, key=lambda p: (p.line, p.column, p.message))
        count = len(self.problems)
        first = self.problems[0] if self.problems else Problem(0, 0, "not valid")
        more = f" (and {count - 1} more)" if count > 1 else ""
        place = f"{source}:{first.line}:{first.column}" if first.line else source
        hint = f" ({first.hint})" if first.hint else ""
        super().__init__(f"{place}: {first.message}{hint}{more}")


class Refused(ChaosdrillError):
    """Nothing was injected; the message says why, with the numbers.

    `record` is the path of the run folder that keeps the refusal, '' where there is none.
    """

    exit_code = Exit.REFUSED
    record: str = ""


class TargetUnreachable(Refused):
    """The system to act on, or a signal of it, does not answer."""


class NotCleared(Refused):
    """Items of the checklist failed; `reasons` has one line for each, with what to do."""

    def __init__(self, reasons: tuple[str, ...]) -> None:
        self.reasons = reasons
        first = reasons[0] if reasons else "the checklist was not cleared"
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        super().__init__(f"not injecting: {first}{more}")


class FaultFailed(ChaosdrillError):
    """A fault could not be started or stopped."""

    exit_code = Exit.RESIDUE


class EngineFailed(ChaosdrillError):
    """The engine died, hung or answered out of turn before it could play anything."""

    exit_code = Exit.REFUSED


class RunUnrecorded(ChaosdrillError):
    """A run was aborted because its record can't be kept; `residue` is what is still on, in words."""

    def __init__(self, why: str, residue: tuple[str, ...]) -> None:
        left = f"STILL ON: {'; '.join(residue)}" if residue else "everything was undone"
        super().__init__(f"aborted, {left}: {why}")
        self.exit_code = Exit.RESIDUE if residue else Exit.ABORTED


class RunFenced(ChaosdrillError):
    """This process was taken for dead: the watchdog has fenced its run, and undoes and records the rest."""

    exit_code = Exit.ABORTED


class RecordUnusable(ChaosdrillError):
    """A run folder cannot be written, or is not one."""

    exit_code = Exit.USAGE
