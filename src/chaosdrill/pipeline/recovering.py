"""A run whose runner is gone, brought to its end from its folder alone: fenced, undone, proved clean, judged, sealed.

Whoever does it, the watchdog or a person days later, does the same, and may do it twice. Knows nothing of how
it was found out that the runner is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from chaosdrill.execute.unwind import OpenFault
from chaosdrill.pipeline.parts import PreparingEngine
from chaosdrill.ports import Clock, Locks, Strays
from chaosdrill.record.folder import RunFolder

if TYPE_CHECKING:
    from chaosdrill.model.run import Verdict


class RollbackEngine(PreparingEngine, Protocol):
    """An engine that plays nothing but declared rollbacks."""

    def play_rollbacks(self, folder: str, skip: list[int]) -> None: ...


@dataclass(frozen=True)
class Tools:
    """What a recovery is carried out with; `app.recovery_tools()` fills it.

    `open_engine` starts an engine of its own for the file's rollbacks.
    """

    clock: Clock
    open_fault: OpenFault
    open_strays: Callable[[str], Strays]
    open_locks: Callable[[str], Locks]
    open_engine: Callable[[], RollbackEngine]


@dataclass(frozen=True)
class Recovery:
    """What a recovery found and did: `undone` and `played` in words, `residue` what is still on.

    `needed` is False when the run had been recorded to its end already; `verdict` is None when there is no
    folder to judge. `notes` are things worth saying that are no residue.
    """

    run: str
    needed: bool
    why: str = ""
    undone: tuple[str, ...] = ()
    played: tuple[str, ...] = ()
    residue: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    verdict: Verdict | None = None


def recover(
    folder: RunFolder, tools: Tools, *, by: str, request: Mapping[str, Any] | None = None, why: str = ""
) -> Recovery:
    """Bring the run in `folder` to its end: everything undone, or named as residue; judged and sealed.

    In this order: fence the ledger; end the orphaned engine; undo what the ledger says is open; end what the
    target itself knows of this run; play the rollbacks that have not ended; judge, seal and report as aborted
    (runner lost); forget the run in the registry and clear its stale lock, when it is clean. Right when called
    twice, and at the same time from two processes: the second waits, and finds it done (`needed` False).

    `by` is who does it ('watchdog', or a person's name), `why` how the runner was lost where that is known,
    `request` what the engine was asked to prepare, where somebody still knows it (the folder's own has no
    secrets). A folder that is gone is not an error: then the target alone is asked.

    Raises Refused when the run's own process is alive and the watchdog has not fenced it (abort it instead),
    and RecordUnusable when the folder can't be read.
    """
    raise NotImplementedError
