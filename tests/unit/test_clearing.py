"""A clearance holds for what was cleared, for ten minutes, and for nothing that has changed since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from chaosdrill.clock import ManualClock
from chaosdrill.errors import Refused
from chaosdrill.model.checklist import Binding, Clearance
from chaosdrill.model.run import PlannedFault
from chaosdrill.pipeline import Plan, Request, Workshop, draft
from chaosdrill.pipeline.clearing import CLEARED_FOR, confirm
from chaosdrill.ports import Candidate, FaultSpec, Hold

FAULT = PlannedFault(
    activity="kill",
    kind="instance_failure",
    target="payment-api",
    arguments={"target": "payment-api", "duration": "3 s"},
    duration=3.0,
    chosen=("api-1",),
    candidates=3,
)


@dataclass
class World:
    """What a confirmation asks: the instances that are there, the hold, and what the run is bound to."""

    instances: list[str] = field(default_factory=lambda: ["api-1", "api-2", "api-3"])
    held: Hold | None = None
    parts: dict[str, str] = field(default_factory=lambda: {"configuration": "a", "secrets": "b"})

    def check(self) -> None: ...

    def candidates(self, spec: FaultSpec) -> Sequence[Candidate]:
        return [Candidate(name, "") for name in self.instances]

    def environment(self) -> Mapping[str, str]:
        return {}

    def series(self, service: str) -> Mapping[str, float | None]:
        return {}

    def hold(self) -> Hold | None:
        return self.held

    def pull(self, hold: Hold) -> None: ...

    def let_go(self) -> None: ...


@dataclass
class Cleared:
    """A run that was cleared a moment ago, and all that may change."""

    file: Path
    policy: Path
    world: World
    clock: ManualClock
    plan: Plan
    workshop: Workshop
    clearance: Clearance

    def confirm(self) -> Clearance:
        return confirm(self.clearance, self.plan, self.workshop)


@pytest.fixture
def cleared(tmp_path: Path) -> Cleared:
    policy, file = tmp_path / "chaosdrill.yaml", tmp_path / "x.yaml"
    policy.write_text("version: 1\nenvironments:\n  staging: {target: sandbox}\n")
    file.write_text("title: t\ndescription: d\nmethod: []\n")
    (tmp_path / "x.chaosdrill.yaml").write_text("environment: staging\n")
    world, clock = World(), ManualClock()
    plan = Plan(
        draft=draft(Request(file, tmp_path, "dora@laptop")),
        title="t",
        block=None,
        configuration={},
        toolkit={},
        planned=(FAULT,),
        target=world,
        orders={},
        bind=lambda salt: Binding(salt, dict(world.parts)),
    )
    unused: dict[str, Any] = dict.fromkeys(Workshop._fields)
    workshop = Workshop(**{**unused, "clock": clock, "open_lever": lambda system: world})
    clearance = Clearance("run-1", "staging", plan.bind("salt"), (), clock.now(), clock.now() + CLEARED_FOR)
    return Cleared(file, policy, world, clock, plan, workshop, clearance)


def test_what_did_not_change_is_confirmed(cleared: Cleared) -> None:
    cleared.clock.advance(CLEARED_FOR)
    assert cleared.confirm() == cleared.clearance


def test_a_clearance_expires(cleared: Cleared) -> None:
    cleared.clock.advance(CLEARED_FOR + 1)
    with pytest.raises(Refused, match="the clearance has expired"):
        cleared.confirm()


def test_a_changed_variable_is_a_changed_experiment(cleared: Cleared) -> None:
    cleared.world.parts["configuration"] = "another"
    with pytest.raises(Refused, match="configuration changed since the run was cleared"):
        cleared.confirm()


@pytest.mark.parametrize(
    ("name", "part"),
    [("x.yaml", "experiment"), ("chaosdrill.yaml", "policy"), ("x.chaosdrill.yaml", "answers")],
)
def test_a_file_that_is_rewritten_or_gone_refuses(cleared: Cleared, name: str, part: str) -> None:
    file = cleared.file.with_name(name)
    before = file.read_bytes()
    file.write_bytes(before + b" ")
    with pytest.raises(Refused, match=f"{part} changed"):
        cleared.confirm()
    file.write_bytes(before)
    cleared.confirm()
    file.unlink()
    with pytest.raises(Refused, match=f"{part} changed"):
        cleared.confirm()


def test_answers_that_appear_later_are_not_what_was_cleared(tmp_path: Path, cleared: Cleared) -> None:
    (tmp_path / "y.yaml").write_text("title: t\ndescription: d\nmethod: []\n")
    alone = draft(Request(tmp_path / "y.yaml", tmp_path, "dora@laptop"))
    later = replace(cleared, plan=cleared.plan._replace(draft=alone))
    later.confirm()
    (tmp_path / "y.chaosdrill.yaml").write_text("hypothesis: h\n")
    with pytest.raises(Refused, match="answers changed"):
        later.confirm()


def test_a_target_that_is_gone_is_named(cleared: Cleared) -> None:
    cleared.world.instances = ["api-2", "api-3", "api-4"]
    with pytest.raises(Refused, match="api-1 of payment-api can't be hit any more"):
        cleared.confirm()


def test_fewer_to_choose_from_is_a_larger_share(cleared: Cleared) -> None:
    cleared.world.instances = ["api-1", "api-2"]
    with pytest.raises(Refused, match="has 2 to choose from, 3 when it was cleared"):
        cleared.confirm()
    cleared.world.instances = ["api-1", "api-2", "api-3", "api-4"]
    cleared.confirm()


def test_a_hold_refuses_at_the_last_moment(cleared: Cleared) -> None:
    cleared.world.held = Hold("dora", cleared.clock.now(), "an outage")
    with pytest.raises(Refused, match="a hold is on, by dora: an outage"):
        cleared.confirm()
