"""How to reach a system. The tables hold import strings, so that nobody pays for a system not used."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from chaosdrill.errors import Refused
from chaosdrill.ports import Lever, Locks, Owner, Rollouts, Strays, Target

_TARGETS = {"sandbox": "chaosdrill.targets.sandbox:SandboxTarget"}
#: What is locked for a file that names no system: the file itself.
_FILE = "file:"
#: The lock of a system, in its directory.
RUN_LOCK = "run.lock"


def systems() -> tuple[str, ...]:
    """Return the names of the systems that can be reached."""
    return tuple(_TARGETS)


def open(system: str) -> Target:
    """Return the way to reach `system`. Raises Refused for one that is not known."""
    target: Target = _made(system)
    return target


def open_rollouts(system: str) -> Rollouts:
    """Return who knows whether `system` is being changed. Raises Refused for one that is not known."""
    rollouts: Rollouts = _made(system)
    return rollouts


def open_strays(system: str) -> Strays:
    """Return who knows the faults that are on in `system`. Raises Refused for one that is not known."""
    strays: Strays = _made(system)
    return strays


def open_locks(territory: str) -> Locks:
    """Return the lock of a system, or of 'file:PATH' for an experiment that names no system."""
    from chaosdrill.targets.locks import FileLocks

    if territory.startswith(_FILE):
        # The same file by another name is the same experiment.
        place = Path(territory.removeprefix(_FILE)).resolve()
        import hashlib

        name = hashlib.sha256(str(place).encode(errors="surrogateescape")).hexdigest()[:16]
        return FileLocks(_user_wide() / "locks" / name, f"the experiment {place.name}")
    return FileLocks(_place(territory) / RUN_LOCK, f"the {territory}")


class Taken(NamedTuple):
    """A target that a run has, or had when it died: `system` is empty for an experiment file."""

    system: str
    owner: Owner
    stale: bool
    locks: Locks


def taken() -> list[Taken]:
    """Return every target that somebody has, systems first; also those of runs that died with them."""
    from chaosdrill.targets.locks import FileLocks

    places = [(system, open_locks(system)) for system in _TARGETS]
    places += [("", FileLocks(path)) for path in sorted((_user_wide() / "locks").glob("*"))]
    found = [(system, locks, locks.owner()) for system, locks in places]
    return [Taken(system, *owner, locks) for system, locks, owner in found if owner is not None]


def open_lever(system: str) -> Lever:
    """Return the emergency lever of a system: its own, and the one for everything that this user runs."""
    from chaosdrill.targets.locks import FileLever

    return FileLever([_user_wide() / "hold.json", _place(system) / "hold.json"])


def _user_wide() -> Path:
    from chaosdrill.record.running import state_home

    return state_home()


def _place(system: str) -> Path:
    if system not in _TARGETS:
        _made(system)
    from chaosdrill.sandbox.state import default_directory

    return default_directory()


def _made(system: str) -> Any:
    if system not in _TARGETS:
        from difflib import get_close_matches

        near = get_close_matches(system, _TARGETS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are: {', '.join(_TARGETS)}"
        raise Refused(f"there is no target system {system!r}", next_step=hint)
    module, _, name = _TARGETS[system].partition(":")
    return getattr(import_module(module), name)()
