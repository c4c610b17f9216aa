"""The invariants of Standard mode's traffic: as values, and through any series of operations."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.sandbox.controllers.canary import (
    Canary,
    overlaid,
    reduced,
    replicas,
    scaled,
    weights,
)  # fmt: skip
from tidegate.sandbox.controllers.deployment_status import room
from tidegate.sandbox.controllers.gateway_rules import percents

from .emulated_cluster import ISVC
from .fake_data_plane import READY
from .standard_cluster import CRASHED, StandardCluster, entry, full, running

NAMES = ("green", "red", "grey")


@st.composite
def canaries(draw: st.DrawFn) -> list[Canary]:
    """Up to three, whose percents sum to 100 at most, as the webhook has it."""
    left, found = 100, []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
        percent = draw(st.integers(min_value=0, max_value=left))
        left -= percent
        count = draw(st.integers(min_value=0, max_value=4))
        ready = draw(st.booleans())
        found.append(Canary(name=name, percent=percent, replicas=count, ready=ready))
    return found


@given(canaries())
def test_weights_sum_to_100_and_no_canary_that_is_not_ready_has_one(found: list[Canary]) -> None:
    shares = weights("digits", "blue", found)
    named = dict(shares)
    assert len(named) == len(shares)
    assert sum(named.values()) == 100
    assert all(0 <= weight <= 100 for weight in named.values())
    assert set(named) == {full("blue"), *(full(c.name) for c in found if c.ready)}
    assert all(named[full(c.name)] == c.percent for c in found if c.ready)


@given(st.lists(st.integers(min_value=0, max_value=1000), min_size=1, max_size=5))
def test_relative_weights_become_percents(listed: list[int]) -> None:
    found = percents(listed)
    assert sum(found) == (100 if sum(listed) else 0)
    assert all(percent >= 0 for percent in found)
    if sum(listed) == 100:
        assert found == listed


@given(st.integers(min_value=0, max_value=20), canaries())
def test_the_stable_predictor_keeps_a_pod_and_never_gains_one(
    low: int, found: list[Canary]
) -> None:
    left = reduced(low, found)
    assert left is not None
    assert left <= max(low, 1)
    assert left >= min(low, 1)
    assert reduced(None, found) is None


@pytest.mark.parametrize(
    ("stable", "percent", "own", "count"),
    [
        (None, 0, None, 0), (None, 1, None, 1), (4, 25, None, 1), (4, 26, None, 2),
        (4, 100, None, 4), (0, 50, None, 0), (4, 0, 2, 2), (4, 50, 0, 0),
    ],
)  # fmt: skip
def test_pods_of_a_canary(stable: int | None, percent: int, own: int | None, count: int) -> None:
    canary = entry("green", percent, minReplicas=own)
    assert replicas({"minReplicas": stable}, canary) == count


def test_who_decides_on_the_number_of_pods() -> None:
    assert [scaled(low, "none", 7) for low in (None, 0, 3)] == [1, 0, 3]
    for autoscaler in ("hpa", "", "keda", "external"):
        assert [scaled(low, autoscaler, 7) for low in (None, 0, 3)] == [7, 7, 7]


def test_zero_does_not_unset_and_lists_are_replaced() -> None:
    stable = {
        "name": "blue", "minReplicas": 2, "maxReplicas": 5, "timeout": 60,
        "model": {"args": ["--a"], "env": [{"name": "A", "value": "1"}], "storageUri": "s3://1/"},
    }  # fmt: skip
    canary = {
        "name": "green", "timeout": 0, "model": {"args": [], "env": [{"name": "B", "value": ""}]},
    }  # fmt: skip
    assert overlaid(stable, canary) == {
        "name": "green", "minReplicas": 2, "timeout": 60,
        "model": {"args": ["--a"], "env": [{"name": "B", "value": ""}], "storageUri": "s3://1/"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("count", "surge", "unavailable"), [(1, 1, 0), (3, 1, 0), (4, 1, 1), (5, 2, 1), (8, 2, 2)]
)
def test_a_rollout_may_stray_by_a_quarter(count: int, surge: int, unavailable: int) -> None:
    found = room({"spec": {"replicas": count, "strategy": {"type": "RollingUpdate"}}})
    assert (found.surge, found.unavailable) == (surge, unavailable)


ACTS = st.one_of(
    st.tuples(st.just("stage"), canaries()),
    st.tuples(st.sampled_from(["ready", "crash"]), st.sampled_from(("blue", *NAMES))),
    st.tuples(st.just("promote"), st.sampled_from(NAMES)),
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[StandardCluster]:
    with running() as started:
        yield started


@settings(max_examples=25)
@given(st.lists(ACTS, max_size=6))
def test_through_any_operations_a_canary_that_is_not_ready_gets_no_request(
    cluster: StandardCluster, acts: Sequence[tuple[str, object]]
) -> None:
    # The ingress of these tests asserts at each change that every host's percents sum to 100.
    cluster.create(minReplicas=2)
    cluster.ready("blue")
    for kind, argument in acts:
        perform(cluster, kind, argument)
        if cluster.condition("PredictorReady")[0] == "True":
            unready = {name for name, (ready, _) in cluster.canaries().items() if not ready}
            assert unready.isdisjoint(cluster.shares())
    cluster.base.objects.delete_namespaced_custom_object(*ISVC, "digits")
    cluster.settle()
    assert cluster.base.ingress.table == {}


def perform(cluster: StandardCluster, kind: str, argument: object) -> None:
    stable = cluster.base.isvc()["spec"]["predictor"]["name"]
    if isinstance(argument, list):
        staged = [c for c in argument if c.name != stable]
        cluster.canary(
            *(
                entry(c.name, c.percent, f"s3://models/{c.name}/", minReplicas=min(c.replicas, 2))
                for c in staged
            )
        )
    elif kind == "promote" and argument != stable:
        cluster.promote(str(argument), f"s3://models/{argument}/")
    elif str(argument) in cluster.deployments() and cluster.deployments()[str(argument)]:
        cluster.seen(str(argument), READY if kind == "ready" else CRASHED)
