"""The traffic rules as values, the race that no level-triggered loop of ours runs into included."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.sandbox.controllers.hosts import held
from tidegate.sandbox.controllers.traffic import (
    Observed,
    Rollout,
    Target,
    desired,
    latest_ready,
    observe,
    refusal,
    resolve,
)  # fmt: skip

LATEST_100 = Target(percent=100, latest=True, revision="r2", tag="latest")


def staged(latest: str) -> tuple[Target, ...]:
    return (
        Target(percent=0, latest=True, revision=latest, tag="latest"),
        Target(percent=100, latest=False, revision="r2", tag="prev"),
    )


@given(canary=st.integers(min_value=0, max_value=100), rolled_out=st.sampled_from(["", "r1"]))
def test_every_percent_in_range_makes_a_block_that_knative_takes(
    canary: int, rolled_out: str
) -> None:
    assert refusal(desired(canary, rolled_out, tag_routing=True)) == ""


@pytest.mark.parametrize("canary", [-1, 101, 150])
def test_a_percent_out_of_range_is_refused(canary: int) -> None:
    assert refusal(desired(canary, "r1", tag_routing=True))


def test_the_first_deployment_ignores_the_percent() -> None:
    assert desired(0, "", tag_routing=True) == (Target(percent=100, latest=True, tag="latest"),)


def test_prev_is_tagged_without_tag_routing() -> None:
    assert [t.tag for t in desired(10, "r1", tag_routing=False)] == ["", "prev"]


def test_l_a_route_before_its_configuration_moves_prev_two_back() -> None:
    # After a stage: the Route already answers 0/100, the Configuration still knows only r2.
    promoted = Rollout(
        latest_created="r2", latest_ready="r2", latest_rolledout="r2", previous_rolledout="r1",
        traffic=(LATEST_100,),
    )  # fmt: skip
    raced = observe(
        promoted, Observed(latest_created="r2", latest_ready="r2", traffic=staged("r2"))
    )
    assert raced.latest_rolledout == "r1"


def test_the_configuration_first_keeps_prev() -> None:
    promoted = Rollout(
        latest_created="r2", latest_ready="r2", latest_rolledout="r2", previous_rolledout="r1",
        traffic=(LATEST_100,),
    )  # fmt: skip
    seen = Observed(latest_created="r3", latest_ready="r2", traffic=staged("r2"))
    assert observe(promoted, seen).latest_rolledout == "r2"


def test_a_promotion_is_recorded_at_100_only() -> None:
    before = Rollout(latest_rolledout="r1")
    almost = (
        Target(percent=99, latest=True, revision="r2"),
        Target(percent=1, latest=False, revision="r1"),
    )
    seen = Observed(latest_created="r2", latest_ready="r2", traffic=almost)
    assert observe(before, seen).latest_rolledout == "r1"
    full = Observed(latest_created="r2", latest_ready="r2", traffic=(LATEST_100,))
    after = observe(before, full)
    assert (after.latest_rolledout, after.previous_rolledout) == ("r2", "r1")


@given(
    st.lists(st.sampled_from(["r1", "r2", "r3"]), min_size=1, max_size=3),
    st.integers(min_value=0, max_value=100),
)
def test_observing_twice_is_observing_once_when_nothing_moves(names: list[str], share: int) -> None:
    seen = Observed(latest_created=names[-1], latest_ready=names[0], traffic=staged(names[0]))
    once = observe(Rollout(latest_rolledout="r2"), seen)
    assert observe(once, seen) == once


def test_one_revision_that_is_not_ready_holds_up_the_whole_route() -> None:
    blocked = resolve(staged("r3"), "r3", {"r2": True, "r3": False})
    assert isinstance(blocked, str)
    assert "r3" in blocked


def test_latest_ready_does_not_go_back_while_its_revision_exists() -> None:
    generations = {"r1": 1, "r2": 2, "r3": 3}
    assert latest_ready("r3", generations, ["r1", "r2"]) == "r3"
    assert latest_ready("r3", {"r1": 1, "r2": 2}, ["r1", "r2"]) == "r2"
    assert latest_ready("r2", generations, ["r1", "r2", "r3"]) == "r3"
    assert latest_ready("", generations, []) == ""


def test_a_host_waits_for_all_its_revisions() -> None:
    old, new = (("ns", "r2", 100),), (("ns", "r1", 100),)
    assert held({"h": new}, {"h": old}, lambda _, name: name == "r2") == {"h": old}
    assert held({"h": new}, {"h": old}, lambda *_: True) == {"h": new}
    assert held({"h": new}, {}, lambda *_: False) == {}
