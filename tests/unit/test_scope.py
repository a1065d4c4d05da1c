"""What a fault hits is chosen the same way every time, and never more than the blast radius allows."""

from __future__ import annotations

from collections import Counter

import pytest

from chaosdrill.errors import Refused
from chaosdrill.plan.resolve import fault_spec
from chaosdrill.plan.scope import choose
from chaosdrill.ports import Candidate, FaultSpec


def spec(**arguments: object) -> FaultSpec:
    return fault_spec("instance_failure", {"target": "payment-api", "duration": "30 s", **arguments})


def candidates(count: int) -> list[Candidate]:
    return [Candidate(f"payment-api-{n}", f"instance {n}") for n in range(1, count + 1)]


def test_one_instance_is_the_default() -> None:
    scope = choose(spec(), candidates(3))
    assert len(scope.chosen) == 1
    assert scope.candidates == 3
    assert scope.share == pytest.approx(1 / 3)


def test_the_same_seed_chooses_the_same_ones_in_any_order() -> None:
    forwards = choose(spec(count=2), candidates(5), seed=7)
    backwards = choose(spec(count=2), candidates(5)[::-1], seed=7)
    assert set(forwards.chosen) == set(backwards.chosen)
    assert list(forwards.chosen) == sorted(forwards.chosen)


def test_every_candidate_gets_its_turn_over_the_seeds() -> None:
    counted = Counter(choose(spec(), candidates(3), seed=seed).chosen[0] for seed in range(300))
    assert len(counted) == 3
    assert min(counted.values()) > 60


def test_one_more_instance_does_not_reshuffle_the_others() -> None:
    for seed in range(20):
        before = set(choose(spec(count=2), candidates(4), seed=seed).chosen)
        after = set(choose(spec(count=2), candidates(5), seed=seed).chosen)
        assert len(before & after) >= 1


@pytest.mark.parametrize(
    ("share", "there", "hit"), [("34 %", 3, 1), ("50 %", 3, 1), ("1 %", 3, 1), ("34 %", 50, 17)]
)
def test_a_share_is_rounded_down_but_hits_at_least_one(share: str, there: int, hit: int) -> None:
    assert len(choose(spec(share=share), candidates(there)).chosen) == hit


def test_a_fault_without_count_or_share_hits_all_of_its_target() -> None:
    latency = fault_spec("network_latency", {"delay": "100 ms", "duration": "5 s"})
    assert choose(latency, [Candidate("database", "the database")]).chosen == ("database",)


def test_nothing_to_hit_is_refused_and_never_a_green_run() -> None:
    with pytest.raises(Refused) as refused:
        choose(spec(), [])
    assert refused.value.message == "not injecting instance_failure: nothing matches the target 'payment-api'"
    assert refused.value.next_step


def test_fewer_than_asked_for_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        choose(spec(count=4), candidates(3))
    assert refused.value.message == "not injecting instance_failure: 4 of payment-api asked for, 3 there"


def test_a_target_that_names_an_instance_hits_that_one() -> None:
    named = FaultSpec("instance_failure", "payment-api-2", 30.0, {"count": 1, "share": None})
    assert choose(named, candidates(3)).chosen == ("payment-api-2",)


def test_explicit_names_are_hit_and_nothing_else() -> None:
    chosen = choose(spec(), candidates(3), names=["payment-api-3", "payment-api-1"]).chosen
    assert chosen == ("payment-api-1", "payment-api-3")
    with pytest.raises(Refused) as refused:
        choose(spec(), candidates(3), names=["payment-api-33"])
    assert "there is no 'payment-api-33'" in refused.value.message
    assert refused.value.next_step == "did you mean 'payment-api-3'?"
