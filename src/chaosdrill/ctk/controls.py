"""Makes a control that is missing or that fails stop the run; Chaos Toolkit logs it and goes on.

A control is how people write a safety gate, so one that can't say yes has said no. It wraps the three
functions of `chaoslib.control` that load, configure and call a control, in the engine's own process.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import chaoslib.control
from chaoslib.exceptions import InterruptExecution

if TYPE_CHECKING:
    from collections.abc import Iterator

Failed = Callable[[str, str], None]

#: Its functions are replaced by name, which no type checker can follow.
_toolkit: Any = chaoslib.control


@contextmanager
def importing() -> Iterator[None]:
    """Raise ValueError for a control of the settings or a control file whose module can't be imported."""
    load = _toolkit.import_control

    def found(control: Any) -> Any:
        module = load(control)
        if module is None:
            raise ValueError(_missing(control))
        return module

    _toolkit.import_control = found
    try:
        yield
    finally:
        _toolkit.import_control = load


def check(experiment: Any) -> None:
    """Raise ValueError for a control of the experiment whose module can't be imported."""
    for control in _toolkit.get_controls(experiment):
        python = (control.get("provider") or {}).get("type") == "python"
        if python and _toolkit.import_control(control) is None:
            raise ValueError(_missing(control))


def watch(failed: Failed) -> None:
    """Have `failed(control's name, error)` called for each control that raises, before the run goes on."""
    _toolkit.initialize_control = _told(_toolkit.initialize_control, failed)
    _toolkit.apply_python_control = _told(_toolkit.apply_python_control, failed)


def _told(call: Callable[..., Any], failed: Failed) -> Callable[..., Any]:
    def told(*given: Any, **named: Any) -> Any:
        try:
            return call(*given, **named)
        except InterruptExecution:
            raise  # A gate that works: this is how a control stops a run.
        except Exception as error:
            control = named.get("control") or (given[0] if given else {})
            failed(str(control.get("name", "(unnamed)")), f"{type(error).__name__}: {error}")
            raise

    return told


def _missing(control: Any) -> str:
    module = (control.get("provider") or {}).get("module")
    return (
        f"the control {control.get('name', '(unnamed)')!r} can't be loaded: there is no module {module!r};"
        " install it, or take the control out"
    )
