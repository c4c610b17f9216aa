"""How many pods a release holds at once, and whether any placement of them exists."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.core.checkup import Check, State, fail, ok, unknown, warn
from tidegate.core.decisions import Refuse
from tidegate.core.gpu_admission import admitted, as_the_policy_says
from tidegate.core.gpu_room import Demand, Moment, Slots
from tidegate.policy import Policy

GPU = "nvidia.com/gpu"


def policy(gpu: dict[str, Any], **serving: Any) -> Policy:
    base = {"name": "vision", "model": {"uri": "models:/vision/5"}}
    return Policy.model_validate(base | {"serving": {"gpu": gpu, **serving}})


def incumbent(gpus: str = "1", pods: int = 1) -> dict[str, Any]:
    model = {"resources": {"limits": {GPU: gpus}}}
    return {"minReplicas": pods, "model": model}


def room(here: list[int], demand: Demand, elsewhere: list[int] | None = None) -> bool:
    slots = Slots(here=here, elsewhere=elsewhere or [], each=1)
    return slots.needed(demand, demand.least) <= slots.pods


# -- what a release holds


def test_an_incumbent_without_this_gpu_takes_nothing_of_it() -> None:
    assert room([1], Demand.over(policy({}), incumbent("0"), "Knative"))
    slice_ = {"model": {"resources": {"limits": {"nvidia.com/mig-1g.10gb": "1"}}}}
    assert room([1], Demand.over(policy({}), slice_, "Knative"))
    assert not room([1], Demand.over(policy({}), incumbent(), "Knative"))


def test_an_incumbent_that_may_be_elsewhere_leaves_the_room_to_the_candidate() -> None:
    newer = policy({"product": "H100"})
    assert room([1], Demand.over(newer, incumbent(), "Knative"), [1])
    pinned = {**incumbent(), "nodeSelector": {"nvidia.com/gpu.product": "H100"}}
    assert not room([1], Demand.over(newer, pinned, "Knative"), [1])


def test_the_incumbents_own_floor_counts_and_not_the_policys() -> None:
    smaller = policy({}, min_replicas=1)
    assert not room([3], Demand.over(smaller, incumbent(pods=3), "Knative"))
    assert room([4], Demand.over(smaller, incumbent(pods=3), "Knative"))


def test_in_standard_mode_one_dark_pod_must_fit_beside_the_incumbent() -> None:
    two = policy({}, min_replicas=2, max_replicas=2)
    demand = Demand.over(two, incumbent(pods=2), "Standard")
    assert room([3], demand)  # KServe lowers the incumbent's floor once the candidate is ready
    assert not room([2], demand)


def test_a_first_release_stands_alone_or_beside_its_preview() -> None:
    assert room([1], Demand.of_first(policy({}), preview=False))
    assert not room([1], Demand.of_first(policy({}), preview=True))


GPUS = st.lists(st.integers(0, 4), max_size=3)


def places(nodes: tuple[int, ...], each: int) -> Iterator[tuple[int, ...]]:
    for at, free in enumerate(nodes):
        if free >= each:
            yield (*nodes[:at], free - each, *nodes[at + 1 :])


def is_placeable(nodes: tuple[int, ...], pods: list[tuple[int, bool]], here: int) -> bool:
    """Whether a scheduler that tries everything finds a place for (GPUs, may be elsewhere) of each pod."""
    if not pods:
        return True
    (each, anywhere), *left = pods
    open_to = nodes if anywhere else nodes[:here]
    rest = () if anywhere else nodes[here:]
    return any(is_placeable((*after, *rest), left, here) for after in places(open_to, each))


@settings(max_examples=300)
@given(
    here=GPUS, elsewhere=GPUS, each=st.integers(1, 2), held=st.integers(1, 2),
    pods=st.integers(0, 3), own=st.integers(1, 3), pinned=st.booleans(),
)  # fmt: skip
def test_what_a_scheduler_could_place_is_never_refused(
    here: list[int], elsewhere: list[int], each: int, held: int, pods: int, own: int, pinned: bool
) -> None:
    moment = (Moment(incumbent=pods, own=own),)
    demand = Demand(
        together="both", least=moment, usual=moment, repair=moment, each=held, is_pinned=pinned
    )
    slots = Slots(here=here, elsewhere=elsewhere, each=each)
    wanted = [(held, not pinned)] * pods + [(each, False)] * own
    if is_placeable((*here, *elsewhere), wanted, len(here)):
        assert slots.needed(demand, moment) <= slots.pods


# -- what comes of it


FOUND = [ok("GPUs", "room"), warn("GPUs", "tight", "wait"), fail("GPUs", "none", "add nodes")]
UNREAD = [unknown("GPUs", "the nodes may not be read", "let the account")]


@pytest.mark.parametrize("checks", [FOUND, UNREAD], ids=["no room", "not known"])
def test_no_room_and_not_to_know_are_refused_unless_the_policy_says_report(
    checks: list[Check],
) -> None:
    found = admitted(checks, policy({}))
    assert isinstance(found, Refuse)
    assert "serving.gpu.preflight: report" in found.reason
    told = admitted(checks, policy({"preflight": "report"}))
    assert isinstance(told, tuple)
    assert len(told) == sum(one.state is not State.OK for one in checks)
    assert admitted(checks, policy({}), is_urgent=True) == told


def test_tight_room_is_told_and_goes_on() -> None:
    assert admitted(FOUND[:2], policy({})) == ("GPUs: WARN, tight; wait",)


def test_doctor_fails_nothing_that_deploy_only_reports() -> None:
    assert as_the_policy_says(FOUND, policy({})) == FOUND
    softened = as_the_policy_says(FOUND, policy({"preflight": "report"}))
    assert [one.state for one in softened] == [State.OK, State.WARN, State.WARN]
