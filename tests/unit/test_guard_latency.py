"""From the journal alone: how long from the breach to the decision and to the first undo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaosdrill.clock import iso
from chaosdrill.record.evidence import abort, evidence
from chaosdrill.testing.folders import Story, build_run_folder

NOW = 1_800_000_000.0


def _event(name: str, after: float, **facts: Any) -> dict[str, Any]:
    return {"event": name, "t": iso(NOW + after), "mono": round(50.0 + after, 6), **facts}


ASKED = _event("abort.requested", 0.0002, by="guard", rule="r")


def test_latencies_are_exact_to_the_microsecond() -> None:
    found = abort([_event("guard.breach", 0.0), ASKED, _event("fault.undone", 0.0123)])
    assert found is not None
    names, seconds = zip(*found.latencies, strict=True)
    assert names == ("decision", "first undo", "last undo")
    assert seconds == pytest.approx((0.0002, 0.0123, 0.0123), abs=2e-6)


def test_another_boot_does_not_turn_latencies_into_nonsense() -> None:
    later = {**_event("fault.undone", 4.0), "mono": 0.5}
    found = abort([ASKED, later])
    assert found is not None
    assert dict(found.latencies)["first undo"] == pytest.approx(4.0, abs=0.002)


def test_what_ended_by_itself_before_the_abort_is_no_undo_of_it() -> None:
    found = abort([_event("fault.undone", -3.0), ASKED])
    assert found is not None
    assert (found.first_undo, found.undone, found.latencies) == (None, None, ())


def test_without_a_fault_of_ours_the_first_rollback_is_the_first_undo() -> None:
    rollback = _event("activity.started", 0.5, section="rollbacks")
    found = abort([ASKED, _event("activity.started", 0.1, section="method"), rollback])
    assert found is not None
    assert dict(found.latencies)["first undo"] == pytest.approx(0.4998, abs=2e-6)


def test_a_run_folder_tells_its_latencies(tmp_path: Path) -> None:
    found = evidence(build_run_folder(tmp_path / "run", Story("aborted"))).abort
    assert found is not None
    assert dict(found.latencies)["decision"] == pytest.approx(0.001, abs=2e-6)


def test_a_run_that_was_not_stopped_has_no_abort() -> None:
    assert abort([_event("guard.proved", 0.0)]) is None
