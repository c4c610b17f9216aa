"""Knative's pod autoscaler as rules: windows, panic, rates, delays, bounds, and the last pod's end."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.sandbox.controllers import kpa, kpa_settings
from tidegate.sandbox.controllers.kpa import Activity, Memory, Settings
from tidegate.sandbox.interfaces import Second

TEN = Settings(target=10.0)
ACTIVE = Activity(is_active=True, since=0.0)


def wanted(with_: Settings, stable: float, panic: float, ready: int) -> int:
    return kpa.decide(with_, Memory(), stable, panic, ready, 0.0)[1]


@pytest.mark.parametrize(
    ("stable", "panic", "ready", "pods"),
    [
        (0.0, 0.0, 1, 0),
        (0.1, 0.1, 1, 1),  # any request at all needs a pod
        (10.0, 10.0, 1, 1),
        (10.1, 10.1, 1, 2),
        (35.0, 35.0, 3, 4),
        (5.0, 15.0, 1, 2),  # 2 wanted for 1 ready: a panic, though the minute was calm
        (5.0, 29.0, 2, 1),  # 3 wanted for 2 ready: none yet
        (45.0, 21.0, 1, 5),  # in a panic the calmer window counts too, if it wants more
        (0.0, 0.0, 9, 4),  # never fewer than half in one step
        (10.0, 10.0, 9, 4),
    ],
)
def test_pods_for_what_was_observed(stable: float, panic: float, ready: int, pods: int) -> None:
    assert wanted(TEN, stable, panic, ready) == pods


def test_a_slow_rate_upwards_still_allows_one_more() -> None:
    slow = replace(TEN, up_rate=1.1)
    assert [wanted(slow, 300.0, 0.0, ready) for ready in (1, 2, 20)] == [2, 3, 22]


def test_activation_scale_holds_only_while_there_is_anything_to_do() -> None:
    three = replace(TEN, activation=3)
    assert [wanted(three, value, value, 1) for value in (0.0, 1.0, 55.0)] == [0, 3, 6]


def test_a_panic_keeps_its_pods_until_a_stable_window_after_it_was_last_over() -> None:
    memory, seen = Memory(), []
    for now, load in ((0, 5.0), (2, 60.0), (4, 5.0), (62, 5.0), (62.1, 5.0), (64, 5.0)):
        memory, pods = kpa.decide(TEN, memory, load, load, 1 if now < 4 else 6, now)
        seen.append(pods)
    # over at 2 s: 6 of 1; 60 s later the panic is past, and 6 become 3, half of what is ready
    assert seen == [1, 6, 6, 6, 3, 3]


def test_a_scale_down_waits_for_the_delay_and_a_scale_up_does_not() -> None:
    slow, memory, seen = replace(TEN, down_delay_s=30.0), Memory(), []
    for now, load, ready in ((0, 15.0, 2), (10, 5.0, 2), (29, 5.0, 2), (30, 5.0, 2), (32, 25.0, 2)):
        memory, pods = kpa.decide(slow, memory, load, load, ready, now)
        seen.append(pods)
    assert seen == [2, 2, 2, 1, 3]
    assert len(memory.delayed) == 4  # what is older is forgotten


def test_averages_are_over_the_windows_and_over_what_there_is() -> None:
    seconds = [Second(at_s=float(n), concurrency=float(n > 54), rps=20.0) for n in range(1, 61)]
    assert kpa.observed(TEN, seconds, 60.0) == (6 / 60, 1.0)
    assert kpa.observed(replace(TEN, metric="rps"), seconds[-3:], 60.0) == (20.0, 20.0)


def test_old_seconds_are_no_data() -> None:
    seconds = [Second(at_s=10.0, concurrency=0.0, rps=0.0)]
    assert kpa.observed(TEN, seconds, 15.9) == (0.0, 0.0)
    assert kpa.observed(TEN, seconds, 16.0) is None
    assert kpa.observed(TEN, [], 0.0) is None


def test_the_last_pod_ends_after_window_and_grace_without_a_request() -> None:
    at, seen = ACTIVE, []
    for now in (59.9, 60.0, 74.9, 75.0):
        at, pods = kpa.to_zero(TEN, at, 0, 1, now, grace_s=15.0)
        seen.append((at.is_active, pods))
    assert seen == [(True, 1), (False, 1), (False, 1), (False, 0)]


def test_a_request_in_the_grace_keeps_the_pod_and_begins_the_window_anew() -> None:
    idle, _ = kpa.to_zero(TEN, ACTIVE, 0, 1, 60.0, grace_s=15.0)
    again, pods = kpa.to_zero(TEN, idle, 1, 1, 70.0, grace_s=15.0)
    assert (again, pods) == (Activity(is_active=True, since=70.0), 1)


def test_the_pods_retention_is_longer_than_the_grace_when_it_says_so() -> None:
    kept = replace(TEN, retention_s=600.0)
    idle = Activity(is_active=False, since=0.0)
    assert [kpa.to_zero(kept, idle, 0, 1, t, grace_s=15.0)[1] for t in (599.0, 600.0)] == [1, 0]


load = st.floats(min_value=0, max_value=1e4)
counts = st.integers(min_value=0, max_value=50)


@settings(max_examples=60)
@given(stable=load, panic=load, more=load, ready=counts)
def test_more_load_never_wants_fewer_pods(
    stable: float, panic: float, more: float, ready: int
) -> None:
    assert wanted(TEN, stable + more, panic, ready) >= wanted(TEN, stable, panic, ready)
    assert wanted(TEN, stable, panic + more, ready) >= wanted(TEN, stable, panic, ready)


@settings(max_examples=60)
@given(
    looks=st.lists(st.tuples(load, load), min_size=1, max_size=40),
    low=st.integers(min_value=0, max_value=3),
    extra=st.integers(min_value=0, max_value=5),
    is_bounded=st.booleans(),
)
def test_whatever_happens_pods_stay_within_the_bounds_and_never_below_half_or_in_a_panic_fewer(
    looks: list[tuple[float, float]], low: int, extra: int, is_bounded: bool
) -> None:
    with_ = replace(TEN, low=low, high=low + extra + 1 if is_bounded else 0)
    memory, ready = Memory(), max(1, low)
    for number, (stable, panic) in enumerate(looks):
        memory, raw = kpa.decide(with_, memory, stable, panic, ready, number * kpa.TICK_S)
        pods = kpa.bounded(with_, raw)
        assert pods >= low
        assert not with_.high or pods <= with_.high
        assert raw >= ready // 2
        assert memory.panic_since is None or raw >= memory.panic_pods > 0
        ready = pods


@settings(max_examples=60)
@given(
    asks=st.lists(st.booleans(), min_size=1, max_size=120), grace=st.sampled_from([0.0, 4.0, 15.0])
)
def test_no_pod_ends_before_it_was_idle_for_window_and_grace(
    asks: list[bool], grace: float
) -> None:
    at, pods, quiet_since = ACTIVE, 1, 0.0
    for number, is_asked in enumerate(asks, start=1):
        now = number * kpa.TICK_S
        if is_asked:
            quiet_since = now
        at, pods = kpa.to_zero(TEN, at, int(is_asked), max(pods, 1), now, grace_s=grace)
        if pods == 0:
            assert now - quiet_since >= grace
            assert not at.is_active
        if is_asked:
            assert (pods, at.is_active) == (1, True)


# -- annotations


def revision(concurrency: int = 0, **annotations: str) -> dict[str, Any]:
    named = {f"autoscaling.knative.dev/{k.replace('_', '-')}": v for k, v in annotations.items()}
    return {
        "metadata": {"annotations": named},
        "spec": {"containerConcurrency": concurrency} if concurrency else {},
    }


@pytest.mark.parametrize(
    ("given_", "target"),
    [
        (revision(), 70.0),
        (revision(target="8", target_utilization_percentage="50"), 4.0),
        (revision(16, target="8"), pytest.approx(5.6)),
        (revision(4, target="8"), pytest.approx(2.8)),
        (revision(10), 7.0),
        (revision(10, metric="rps"), 140.0),
        (revision(metric="rps", target="50"), 35.0),
    ],
)
def test_the_target_of_a_pod(given_: dict[str, Any], target: float) -> None:
    assert kpa_settings.settings(given_).target == target


def test_every_other_setting_is_an_annotation_or_the_clusters_default() -> None:
    plain = kpa_settings.settings(revision(min_scale="1"))
    assert plain == Settings(target=70.0)
    own = revision(
        min_scale="0", max_scale="4", initial_scale="2", activation_scale="3", window="30s",
        scale_down_delay="2m", panic_window_percentage="20", panic_threshold_percentage="150",
        scale_to_zero_pod_retention_period="30m",
    )  # fmt: skip
    assert kpa_settings.settings(own) == Settings(
        low=0, high=4, initial=2, activation=3, window_s=30.0, panic_window_s=6.0,
        panic_threshold=1.5, down_delay_s=120.0, retention_s=1800.0,
    )  # fmt: skip


def test_another_class_is_not_the_kpas() -> None:
    assert kpa_settings.is_kpa(revision())
    assert not kpa_settings.is_kpa(revision(0, **{"class": "hpa.autoscaling.knative.dev"}))


@pytest.mark.parametrize(
    ("low", "high", "fixed"),
    [(1, 1, True), (2, 2, True), (0, 0, False), (1, 0, False), (1, 2, False)],
)
def test_one_possible_number_of_pods_is_nothing_to_decide(low: int, high: int, fixed: bool) -> None:
    assert Settings(low=low, high=high).is_fixed == fixed
