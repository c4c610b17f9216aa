"""The HPA's rules: how many pods follow from a metric, and how fast and how far a Deployment may go."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.sandbox.controllers.hpa.limits import Limits, Memory, Side, judged, scaled
from tidegate.sandbox.controllers.hpa.rules import (
    FLAGS,
    PodSeen,
    Proposal,
    Sample,
    UnmeasuredError,
    average,
    external_average,
    external_value,
    most,
    utilization,
)
from tidegate.sandbox.controllers.hpa.sight import seen
from tidegate.sandbox.interfaces import Usage

NOW = 10_000.0


def pod(name: str, used: float | None = None, **more: object) -> PodSeen:
    """One that has been ready for long."""
    sample = None if used is None else Sample(value=used, at_s=NOW, window_s=15.0)
    given = {"is_running": True, "is_ready": True, "started_s": 0.0, "ready_since_s": 5.0}
    return PodSeen(name=name, used=sample, **(given | more))  # type: ignore[arg-type]


def young(name: str, used: float, ready_for_s: float, **more: object) -> PodSeen:
    """One that was started a moment ago."""
    return pod(name, used, started_s=NOW - 60, ready_since_s=NOW - ready_for_s, **more)


def asked(
    *pods: PodSeen, target: int = 50, current: int | None = None, resource: str = "cpu"
) -> Proposal:
    requests = {one.name: 1.0 for one in pods}
    return utilization(
        pods, requests, target_percent=target, current=len(pods) if current is None else current,
        resource=resource, now=NOW, flags=FLAGS,  # type: ignore[arg-type]
    )  # fmt: skip


# -- how many pods


def test_pods_follow_the_use_of_what_they_request() -> None:
    found = asked(pod("a", 0.9), pod("b", 0.7))
    assert found == Proposal(replicas=4, utilization=80, average=0.8)
    assert asked(pod("a", 0.1), pod("b", 0.1)).replicas == 1


def test_a_use_is_counted_in_whole_percent_as_kubernetes_does() -> None:
    assert asked(pod("a", 0.559)).replicas == 1  # 55 of 50 is within the tolerance
    assert asked(pod("a", 0.56)).replicas == 2


@pytest.mark.parametrize("used", [0.45, 0.5, 0.55])
def test_within_the_tolerance_nothing_changes(used: float) -> None:
    assert asked(pod("a", used), pod("b", used), current=2).replicas == 2


def test_a_pending_pod_has_no_use_yet_and_keeps_more_from_being_made() -> None:
    pending = pod("b", is_running=False, is_ready=False)
    assert asked(pod("a", 0.8), pending).replicas == 2
    assert asked(pod("a", 0.2), pending).replicas == 1


def test_the_cpu_of_a_pod_that_starts_is_not_counted() -> None:
    starting = young("b", 3.0, 5.0)  # ready, but not for a whole window
    assert asked(pod("a", 0.5), starting).replicas == 2
    assert asked(pod("a", 0.5), young("b", 3.0, 20.0)).replicas == 7
    assert asked(pod("a", 0.5), young("b", 3.0, 20.0, is_ready=False)).replicas == 2


def test_the_memory_of_a_pod_that_starts_is_counted() -> None:
    assert asked(pod("a", 0.5), young("b", 1.5, 5.0), resource="memory").replicas == 4


def test_a_pod_that_was_ready_before_counts_when_it_is_not_any_more() -> None:
    fallen = pod("b", 1.0, is_ready=False, ready_since_s=5000.0)
    assert asked(pod("a", 1.0), fallen).replicas == 4


def test_a_missing_pod_uses_all_it_requests_for_fewer_and_nothing_for_more() -> None:
    missing = pod("b")
    assert asked(pod("a", 0.1), missing).replicas == 2  # (0.1 + 1.0) / 2 = 55 %
    assert asked(pod("a", 0.6), missing).replicas == 2  # (0.6 + 0.0) / 2 would be fewer
    assert asked(pod("a", 2.0), missing).replicas == 4


@pytest.mark.parametrize(
    ("pods", "told"),
    [
        ((), "no pods returned by selector"),
        ((pod("a"),), "did not receive metrics for targeted pods"),
        ((pod("a", is_running=False),), "did not receive metrics for targeted pods"),
    ],
)
def test_where_no_pod_was_measured_nothing_follows(pods: tuple[PodSeen, ...], told: str) -> None:
    with pytest.raises(UnmeasuredError, match=told):
        asked(*pods)


def test_an_average_is_compared_as_it_is() -> None:
    given = {"target": 100.0, "current": 2, "now": NOW, "flags": FLAGS}
    both = [pod("a", 150.0), pod("b", 250.0)]
    assert average(both, resource="memory", **given) == Proposal(replicas=4, average=200.0)  # type: ignore[arg-type]
    assert average([pod("a", 30.0), pod("b")], resource="memory", **given).replicas == 2  # type: ignore[arg-type]


def test_an_external_value_is_of_all_ready_pods_together() -> None:
    pods = [pod("a"), pod("b"), pod("c", is_ready=False)]
    given = {"target": 20.0, "flags": FLAGS}
    assert external_value(50.0, pods, current=3, **given).replicas == 5  # type: ignore[arg-type]
    assert external_value(21.0, pods, current=3, **given).replicas == 3  # type: ignore[arg-type]
    assert external_value(0.0, pods, current=3, **given).replicas == 0  # type: ignore[arg-type]
    with pytest.raises(UnmeasuredError):
        external_value(50.0, [], current=3, **given)  # type: ignore[arg-type]


def test_an_external_average_is_shared_by_the_pods() -> None:
    found = external_average(100.0, target=20.0, replicas=3, flags=FLAGS)
    assert (found.replicas, found.average) == (5, 33.334)
    assert external_average(64.0, target=20.0, replicas=3, flags=FLAGS).replicas == 3


def test_the_metric_that_asks_for_most_wins_and_an_unknown_one_forbids_fewer() -> None:
    few, many = Proposal(replicas=1), Proposal(replicas=5)
    assert most([few, many], failed=0, current=3) is many
    assert most([few], failed=0, current=3) is few
    assert most([few], failed=1, current=3) is None
    assert most([many], failed=1, current=3) is many
    assert most([], failed=1, current=3) is None


# -- how fast and how far


def decided(
    limits: Limits, current: int, desired: int, memory: Memory | None = None, now: float = NOW
) -> tuple[int, str, str]:
    """(pods, reason of AbleToScale, reason of ScalingLimited)."""
    given = memory or Memory(recommended=((now - 1000, current),))
    verdict, _ = judged(limits, given, current=current, desired=desired, now=now)
    return verdict.replicas, verdict.able[0], verdict.limited[0]


WIDE = Limits(low=1, high=100)


@pytest.mark.parametrize(
    ("current", "desired", "pods", "limited"),
    [
        (1, 3, 3, "DesiredWithinRange"),
        (1, 50, 5, "ScaleUpLimit"),  # 4 more
        (10, 50, 20, "ScaleUpLimit"),  # twice as many
        (90, 150, 100, "TooManyReplicas"),
        (10, 0, 1, "TooFewReplicas"),
        (10, 3, 3, "DesiredWithinRange"),
    ],
)
def test_four_more_or_twice_as_many_in_15_s_and_any_number_less(
    current: int, desired: int, pods: int, limited: str
) -> None:
    assert decided(WIDE, current, desired) == (pods, "ReadyForNewScale", limited)


def test_what_came_in_the_period_counts_to_its_limit() -> None:
    memory = scaled(WIDE, Memory(), before=1, after=5, now=NOW - 10)
    assert decided(WIDE, 5, 50, memory)[0] == 5
    assert decided(WIDE, 5, 50, memory, now=NOW + 6)[0] == 10


def test_the_highest_number_of_the_last_five_minutes_stays() -> None:
    memory = Memory(recommended=((NOW - 299, 4), (NOW - 100, 2)))
    assert decided(WIDE, 4, 1, memory) == (4, "ScaleDownStabilized", "DesiredWithinRange")
    assert decided(WIDE, 4, 1, memory, now=NOW + 2)[0] == 2
    assert decided(WIDE, 4, 1, memory, now=NOW + 201)[0] == 1


def test_a_behaviour_of_its_own_is_honoured() -> None:
    down = Side(window_s=10.0, policies=(("Pods", 1, 60.0),))
    up = Side(window_s=30.0, policies=(("Pods", 2, 60.0), ("Percent", 200, 60.0)), select="Min")
    limits = Limits(low=1, high=100, up=up, down=down)
    assert decided(limits, 4, 1) == (3, "ReadyForNewScale", "ScaleDownLimit")
    assert decided(limits, 4, 50) == (6, "ReadyForNewScale", "ScaleUpLimit")
    recent = Memory(recommended=((NOW - 20, 4),))
    assert decided(limits, 4, 9, recent)[:2] == (4, "ScaleUpStabilized")
    disabled = Limits(low=1, high=100, down=Side(window_s=0.0, policies=(), select="Disabled"))
    assert decided(disabled, 9, 1)[0] == 9


# -- whatever happens

COUNTS = st.integers(0, 30)
SIDES = st.builds(
    Side,
    window_s=st.sampled_from((0.0, 30.0, 300.0)),
    policies=st.lists(
        st.tuples(
            st.sampled_from(("Pods", "Percent")), st.integers(1, 300), st.sampled_from((15.0, 60.0))
        ),
        min_size=1, max_size=3,
    ).map(tuple),
    select=st.sampled_from(("Max", "Min", "Disabled")),
)  # fmt: skip
BOUNDS = st.builds(
    lambda low, more, up, down: Limits(low=low, high=low + more, up=up, down=down),
    st.integers(1, 5), st.integers(0, 20), SIDES, SIDES,
)  # fmt: skip


@settings(max_examples=60)
@given(BOUNDS, st.lists(st.tuples(COUNTS, st.integers(1, 60)), min_size=1, max_size=25))
def test_the_bounds_are_kept_and_no_step_goes_against_what_is_asked(
    limits: Limits, course: list[tuple[int, int]]
) -> None:
    now, current = NOW, limits.low
    memory = Memory(recommended=((now, current),))
    for desired, seconds in course:
        now += seconds
        verdict, memory = judged(limits, memory, current=current, desired=desired, now=now)
        assert limits.low <= verdict.replicas <= limits.high
        lowest = min([current, desired, *(n for _, n in memory.recommended)])
        highest = max([current, desired, *(n for _, n in memory.recommended), limits.low])
        assert lowest <= verdict.replicas <= highest
        memory = scaled(limits, memory, before=current, after=verdict.replicas, now=now)
        current = verdict.replicas


@settings(max_examples=60)
@given(
    st.lists(st.floats(0.0, 4.0), min_size=1, max_size=6),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(1, 100),
)
def test_pods_that_are_not_known_never_lead_further_than_those_that_are(
    used: list[float], missing: int, pending: int, target: int
) -> None:
    known = [pod(f"k{n}", value) for n, value in enumerate(used)]
    unknown = [pod(f"m{n}") for n in range(missing)]
    unknown += [pod(f"p{n}", is_running=False, is_ready=False) for n in range(pending)]
    current = len(known) + len(unknown)
    whole = asked(*known, *unknown, target=target, current=current).replicas
    alone = asked(*known, target=target, current=len(known))
    assert alone.utilization is not None
    ratio = alone.utilization / target
    if abs(ratio - 1) <= FLAGS.tolerance and not missing and not pending:
        assert whole == current
    if ratio > 1:
        assert whole >= current  # one that is unknown never makes fewer of a need for more
    if missing and not pending and ratio < 1:
        assert whole >= min(current, missing)


@pytest.mark.parametrize(("at_s", "is_told"), [(1010.0, False), (1015.0, True)])
def test_a_use_that_began_before_the_pod_is_not_its_own(at_s: float, is_told: bool) -> None:
    status = {"phase": "Running", "startTime": "1970-01-01T00:16:40Z"}  # 1000 s
    pod = {"metadata": {"name": "a"}, "status": status}
    used = Usage(at_s=at_s, window_s=15.0, cpu_cores=1.0, memory_bytes=2**30)
    (found,) = seen([pod], {"a": used}, "memory")
    assert (found.used is not None) == is_told
