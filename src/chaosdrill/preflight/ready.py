"""Waiting for the team to say that it is ready: `chaosdrill ready RUN --as NAME`.

Silence is no answer: what expires refuses. It knows the run's inbox and record, and nothing of who was told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chaosdrill.model.checklist import Check
from chaosdrill.model.policy import Notified
from chaosdrill.ports import Clock
from chaosdrill.record.folder import RunFolder
from chaosdrill.record.journal import Journal


@dataclass(frozen=True, slots=True)
class Waiting:
    """Whose answer is waited for (anybody's when `names` is empty), and for how many seconds."""

    names: tuple[str, ...]
    seconds: float


def asked(notified: Notified, *, announced: bool) -> Waiting:
    """Return who has to answer: the responders, or the guardians alone when the drill is unannounced."""
    raise NotImplementedError


def wait(
    waiting: Waiting, folder: RunFolder, journal: Journal, clock: Clock, stop: Callable[[], str]
) -> Check:
    """Wait until somebody who may say so is ready; `failed` when nobody is in time, or somebody is not.

    While it waits, `waiting` in run.json says for whom and until when, and the journal has `ready.asked` with
    the command to type, then `ready.answered` or `ready.expired`. `stop` is asked ten times a second and
    returns why the wait is over ('' to go on); `abort` in the inbox ends it too.
    """
    raise NotImplementedError
