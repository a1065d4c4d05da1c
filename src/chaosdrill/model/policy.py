"""What an environment demands of a run: the rules that the gate reads, whatever file they came from.

Standard library only: the rules of the sandbox are built in, and a run without a policy file pays for no
reader. `chaosdrill.plan.policy` makes these from chaosdrill.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, time
from typing import NamedTuple

from chaosdrill.units import UnitError

#: Where a policy is looked for, beside the experiments and in the folders above them.
POLICY_FILE = "chaosdrill.yaml"
#: How the file is called that says more about an experiment that can't be edited: NAME.chaosdrill.yaml.
BESIDE = f".{POLICY_FILE}"


class Span(NamedTuple):
    """Hours on some days of the week, 0 is Monday; `end` 00:00 means midnight at the end of the day.

    A span whose end is before its start goes on past midnight. `text` is as written.
    """

    days: frozenset[int]
    start: time
    end: time
    text: str


DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])|(24):(00)")
_SPAN_EXAMPLE = "'Tue-Thu 10:00-15:00', 'Mon,Wed 09:00-12:00' or '22:00-02:00'"


def parse_span(text: str) -> Span:
    """Return the hours that `text` means: 'Tue-Thu 10:00-15:00', 'Mon,Wed 09:00-12:00', '22:00-02:00'.

    Without days it is every day; Fri-Mon is four days; 24:00 is the end of a day. Raises UnitError.
    """
    words = text.replace("\N{EN DASH}", "-").split()
    if len(words) not in (1, 2):
        raise UnitError(f"{text!r} is no span of hours; write it like {_SPAN_EXAMPLE}")
    start, dash, end = words[-1].partition("-")
    if not dash:
        raise UnitError(f"{text!r} has no end; write it like {_SPAN_EXAMPLE}")
    first, last = _time(start, text), _time(end, text)
    if first == last and (start.startswith("24") or not end.startswith("24")):
        raise UnitError(f"{text!r} lasts no time at all; a whole day is 00:00-24:00")
    days = _days(words[0], text) if len(words) == 2 else frozenset(range(7))
    return Span(days, first, last, " ".join(words))


def _time(word: str, text: str) -> time:
    found = _CLOCK.fullmatch(word)
    if found is None:
        raise UnitError(f"{word!r} in {text!r} is no time of day; write it like 09:30, up to 24:00")
    return time(int(found[1]), int(found[2])) if found[1] is not None else time(0, 0)


def _days(words: str, text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in words.split(","):
        first, dash, last = part.partition("-")
        begin, end = _day(first, text), _day(last if dash else first, text)
        days.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return frozenset(days)


def _day(word: str, text: str) -> int:
    short = word.strip().capitalize()[:3]
    if short not in DAYS or len(word.strip()) < 3:
        raise UnitError(f"{word!r} in {text!r} is no day of the week; use {', '.join(DAYS)}")
    return DAYS.index(short)


class Freeze(NamedTuple):
    """A time without experiments: from the beginning of one day to the end of another, in local time."""

    first: date
    last: date
    why: str


class Windows(NamedTuple):
    """When an experiment may run. Empty `allow` means at any time that nothing else forbids.

    Inside `off_peak` the item is proved; inside `allow` but not there, somebody has to attest it. `holidays`
    is a country or a subdivision ('DE', 'DE-BY'), empty for none.
    """

    timezone: str = "UTC"
    allow: tuple[Span, ...] = ()
    off_peak: tuple[Span, ...] = ()
    holidays: str = ""
    freezes: tuple[Freeze, ...] = ()


class Approvals(NamedTuple):
    """How many people have to sign, who may (an allowed-signers file of ssh-keygen), and for how long.

    `signers` is an absolute path, empty where nobody signs; `valid_for` in seconds.
    """

    need: int = 0
    signers: str = ""
    valid_for: float = 86_400.0


class Quiet(NamedTuple):
    """When a system is left alone: after a deviated run (seconds), while alerts fire, in a rollout."""

    after_deviation: float = 0.0
    alerts: str = ""
    deployments: bool = False


class Notified(NamedTuple):
    """Who is told before a run, through which addresses (of apprise), and whether somebody has to answer.

    `guardians` are the people (names for `ready --as`) and addresses of the small team that is told of an
    unannounced drill instead; `answer_within` in seconds.
    """

    via: tuple[str, ...] = ()
    needs_answer: bool = False
    answer_within: float = 900.0
    responders: tuple[str, ...] = ()
    guardians: tuple[str, ...] = ()
    guardians_via: tuple[str, ...] = ()


class Rules(NamedTuple):
    """Everything that one environment demands.

    `system` is what to act on; `source` and `digest` say which bytes the rules come from; `plain_files`
    whether a file without our block may run; `waived` are items that this environment needs from nobody, with
    the reason; `refuses_waiver` are items for which the word of a file that they are not needed is not
    enough; `free_disk` in bytes.
    """

    environment: str
    system: str = "sandbox"
    source: str = ""
    digest: str = ""
    plain_files: bool = False
    max_targets: int | None = None
    max_share: float | None = None
    windows: Windows | None = None
    approvals: Approvals = Approvals()
    quiet: Quiet = Quiet()
    notified: Notified = Notified()
    waived: Mapping[str, str] = {}
    refuses_waiver: frozenset[str] = frozenset()
    free_disk: int = 50_000_000

    @property
    def strict(self) -> bool:
        """Whether people depend on what is acted on: everything but the built-in environment `sandbox`."""
        return self.environment != "sandbox"

    @property
    def place(self) -> str:
        """The environment and where its rules stand, in words: 'staging (chaosdrill.yaml)'."""
        return f"{self.environment} ({self.source or 'built in'})"


_NOBODY = "the sandbox serves nobody"
_TRYING = "the sandbox is for trying things out"
SANDBOX = Rules(
    environment="sandbox",
    plain_files=True,
    waived={
        "hypothesis": _TRYING,
        "expected-outcome": _TRYING,
        "success-criteria": _TRYING,
        "team-notified": _NOBODY,
        "off-peak": _NOBODY,
        "executive-approval": _NOBODY,
        "customer-communication": _NOBODY,
        "monitored": _TRYING,
        "ready-to-abort": _TRYING,
        "observations": _TRYING,
        "status-communicated": _NOBODY,
        "hypothesis-answered": _TRYING,
        "findings": _TRYING,
        "improvements": _TRYING,
        "learnings-shared": _TRYING,
    },
)
