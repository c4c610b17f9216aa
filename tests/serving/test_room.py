"""Which pods a release holds at once, and whether there is a node for each of them."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.core.checkup import Check, State, fail, ok, unknown, warn
from tidegate.core.decisions import Refuse
from tidegate.core.quantity import amount
from tidegate.core.room import placing
from tidegate.core.room.admission import admitted, as_the_policy_says
from tidegate.core.room.demand import Demand
from tidegate.core.room.node import Node, read
from tidegate.core.room.placing import fit
from tidegate.core.room.preflight import Cluster, asks, preflight
from tidegate.core.room.shape import Shape, of_component
from tidegate.policy import Policy

GPU = "nvidia.com/gpu"
Json = dict[str, Any]


def policy(gpu: Json | None = None, **serving: Any) -> Policy:
    base = {"name": "vision", "model": {"uri": "models:/vision/5"}}
    own = {} if gpu is None else {"gpu": gpu}
    return Policy.model_validate(base | {"serving": {**own, **serving}})


def on_cpus(cpu: str = "2", memory: str = "4Gi", **serving: Any) -> Policy:
    resources = {"requests": {"cpu": cpu, "memory": memory}}
    return policy(**{"preflight": "refuse", "resources": resources, **serving})


def node(name: str = "n1", labels: dict[str, str] | None = None, **held: Any) -> Json:
    offers = {"cpu": "8", "memory": "32Gi", "pods": "110", **held.pop("offers", {})}
    status = {"allocatable": offers, "conditions": [{"type": "Ready", "status": "True"}]}
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": held, "status": status}


def pod(where: str, cpu: str = "1", memory: str = "1Gi", **labels: str) -> Json:
    resources = {"requests": {"cpu": cpu, "memory": memory}}
    metadata = {"name": "p", "namespace": "default", "labels": labels}
    spec = {"nodeName": where, "containers": [{"resources": resources}]}
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Running"}}


def found(asked: Policy, *nodes: Json, pods: list[Json] | None = None) -> list[Check]:
    held = [] if pods is None else pods
    return list(preflight(asked, Cluster(nodes=nodes, pods=held), "Knative"))


def incumbent(gpus: str = "1", pods: int = 1) -> Json:
    model = {"resources": {"limits": {GPU: gpus}}}
    return {"minReplicas": pods, "model": model}


def room(here: list[int], demand: Demand, elsewhere: list[int] | None = None) -> bool:
    """GPUs of nodes with the label that a product is selected by, and of others."""
    there = {"nvidia.com/gpu.product": "H100"}
    nodes = [node(f"a{n}", there, offers={GPU: str(g)}) for n, g in enumerate(here)]
    nodes += [node(f"b{n}", offers={GPU: str(g)}) for n, g in enumerate(elsewhere or [])]
    held = read(nodes, None, but=("", ""))
    return all(fit(held, demand.groups(moment)) for moment in demand.least)


# -- what a pod asks for


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("500m", Fraction(1, 2)), ("2", Fraction(2)), ("1.5", Fraction(3, 2)), ("4Gi", Fraction(4 * 1024**3)),
        ("1e3", Fraction(1000)), ("2E", Fraction(2 * 10**18)), ("5M", Fraction(5_000_000)), ("x", None),
    ],
)  # fmt: skip
def test_a_quantity_is_exact(text: str, number: Fraction | None) -> None:
    assert amount(text) == number


def test_a_pod_asks_for_what_all_of_its_containers_do_wherever_it_was_written() -> None:
    made = {
        "model": {"resources": {"limits": {"amd.com/gpu": "2", "memory": "4Gi"}}},
        "containers": [{"resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "1"}}}],
    }
    shape = of_component(made)
    assert shape.devices == ("amd.com/gpu",)
    assert (shape.asks["cpu"], shape.asks["memory"]) == (Fraction(1, 2), Fraction(4 * 1024**3))
    assert str(shape) == "amd.com/gpu 2, cpu 0.5, memory 4Gi"
    assert of_component({"model": {}}).unsaid == ("cpu", "memory")


@pytest.mark.parametrize(
    "device", ["nvidia.com/mig-1g.10gb", "nvidia.com/gpu.shared", "amd.com/gpu"]
)
def test_a_device_in_resources_is_looked_for_as_one_in_gpu_is(device: str) -> None:
    asked = policy(resources={"limits": {device: "1"}})
    (check,) = found(asked, node())
    assert (check.state, check.name) == (State.FAIL, f"GPUs {device}")
    assert found(asked, node(offers={device: "3"}))[0].state is State.OK


def test_a_device_of_a_transformer_or_an_explainer_counts_in_a_first_release() -> None:
    limits = {"limits": {GPU: "1"}}
    own = {
        "image": "t:1",
        "collocated": False,
        "resources": limits,
        "min_replicas": 2,
        "max_replicas": 2,
    }
    asked = policy(transformer=own)
    demand = Demand.of_first(asked, preview=True)
    assert asks(asked, demand)
    cluster = [node(offers={GPU: "3"})]
    (check, *_) = preflight(asked, Cluster(nodes=cluster), "Knative", demand)
    assert check.state is State.FAIL
    (check, *_) = preflight(asked, Cluster(nodes=[node(offers={GPU: "4"})]), "Knative", demand)
    assert check.state is State.OK
    beside = {"model": {}, "containers": [{"name": "transformer-container", "resources": limits}]}
    assert of_component(beside).devices == (GPU,)


# -- who looks, and what is not known


def test_a_policy_without_devices_asks_nothing_of_the_nodes_unless_it_says_so() -> None:
    plain = policy(resources={"requests": {"cpu": "64"}})
    assert found(plain, node()) == []
    assert [one.state for one in found(on_cpus(cpu="64"), node())] == [State.FAIL]
    assert [one.state for one in found(on_cpus(cpu="64", preflight="report"), node())] == [
        State.FAIL
    ]


def test_who_holds_a_node_is_counted_where_pods_may_be_read_and_unknown_where_not() -> None:
    asked = on_cpus()
    (check,) = found(asked, node(), pods=[pod("n1", cpu="5")])
    assert check.state is State.FAIL
    assert check.found == (
        "room for 1 pods on 1 nodes, beside what other pods request; incumbent and candidate take 2 at "
        "least; one pod asks cpu 2, memory 4Gi, and the best node n1 has cpu 3 of 8, memory 31Gi of 32Gi"
    )
    assert "\n" not in check.found
    ended = pod("n1", cpu="5") | {"status": {"phase": "Succeeded"}}
    mine = pod(
        "n1", "5", **{"serving.kserve.io/inferenceservice": "vision", "component": "predictor"}
    )
    assert found(asked, node(), pods=[ended, mine, pod("n2", "5")])[0].state is State.OK
    blind = preflight(asked, Cluster(nodes=[node()]), "Knative")
    assert [one.state for one in blind] == [State.UNKNOWN, State.OK]
    (told,) = preflight(on_cpus(preflight="report"), Cluster(nodes=[node()]), "Knative")
    assert (told.state, "whoever holds it now" in told.found) == (State.OK, True)


def test_a_repair_that_finds_no_room_is_told_and_refuses_nothing() -> None:
    (check,) = found(on_cpus(cpu="4"), node())
    assert (check.state, "repairing a roll-back takes 3" in check.found) == (State.WARN, True)


# -- where it may stand

TAINT = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
AFFINITY = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [
                {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]},
                {"matchExpressions": [{"key": "cores", "operator": "Gt", "values": ["16"]}]},
            ]
        }
    }
}


@pytest.mark.parametrize(
    ("placed", "at", "why"),
    [
        ({}, node(unschedulable=True), "n1: is cordoned"),
        ({}, node(taints=[TAINT]), "n1: has taint gpu=yes:NoSchedule"),
        ({}, node(taints=[{"key": "drain", "effect": "NoExecute"}]), "n1: has taint drain:NoExecute"),
        ({}, node(taints=[TAINT | {"effect": "PreferNoSchedule"}]), ""),
        ({"tolerations": [{"key": "gpu", "value": "yes"}]}, node(taints=[TAINT]), ""),
        ({"tolerations": [{"key": "gpu", "operator": "Exists"}]}, node(taints=[TAINT]), ""),
        ({"tolerations": [{"operator": "Exists"}]}, node(taints=[TAINT]), ""),
        ({"tolerations": [{"key": "gpu", "value": "no"}]}, node(taints=[TAINT]), "has taint gpu=yes"),
        (
            {"tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoExecute"}]},
            node(taints=[TAINT]), "has taint gpu=yes",
        ),
        ({"node_selector": {"pool": "ml"}}, node(), "label pool is not there, not ml"),
        ({"node_selector": {"pool": "ml"}}, node(labels={"pool": "ml"}), ""),
        ({"affinity": AFFINITY}, node(), "is not what the node affinity requires"),
        ({"affinity": AFFINITY}, node(labels={"zone": "b"}), ""),
        ({"affinity": AFFINITY}, node(labels={"cores": "32"}), ""),
        ({"affinity": AFFINITY}, node(labels={"cores": "16"}), "is not what the node affinity requires"),
    ],
)  # fmt: skip
def test_a_pod_stands_where_the_scheduler_would_let_it(placed: Json, at: Json, why: str) -> None:
    (check, *_) = found(on_cpus(cpu="1", placement=placed), at)
    assert (check.state is State.FAIL, why in check.found) == (bool(why), True)


def test_an_incumbent_stays_where_it_stands_though_the_node_is_cordoned_by_now() -> None:
    asked = on_cpus(cpu="4")
    assert found(asked, node(unschedulable=True), node("n2"))[0].state is not State.FAIL
    assert (
        found(asked, node(unschedulable=True), node("n2", offers={"cpu": "3"}))[0].state
        is State.FAIL
    )


# -- what a release holds


def test_an_incumbent_without_this_gpu_takes_nothing_of_it() -> None:
    assert room([1], Demand.over(policy({}), incumbent("0"), "Knative"))
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


AMOUNT = st.integers(1, 4)
NODES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), max_size=3)
GROUPS = st.lists(
    st.tuples(AMOUNT, AMOUNT, st.booleans(), st.integers(0, 2)), min_size=1, max_size=3
)


def shape(cpu: int, memory: int, *, picky: bool) -> Shape:
    selector = {"disk": "fast"} if picky else {}
    return Shape(asks={"cpu": Fraction(cpu), "memory": Fraction(memory)}, selector=selector)


def made(at: int, cpu: int, memory: int, *, fast: bool) -> Node:
    held = {"cpu": Fraction(cpu), "memory": Fraction(memory)}
    return Node(
        name=f"n{at}", labels={"disk": "fast"} if fast else {}, allocatable=held, free=held,
        taints=(), is_cordoned=False, is_ready=True,
    )  # fmt: skip


def drawn(
    nodes: list[tuple[int, int, bool]], groups: list[tuple[int, int, bool, int]]
) -> tuple[list[Node], list[tuple[Shape, int]]]:
    there = [made(at, cpu, memory, fast=fast) for at, (cpu, memory, fast) in enumerate(nodes)]
    return there, [(shape(c, m, picky=picky), count) for c, m, picky, count in groups]


def is_placeable(nodes: tuple[Node, ...], pods: list[Shape]) -> bool:
    """Whether a scheduler that tries everything finds a node for each."""
    if not pods:
        return True
    first, *rest = pods
    for at, one in enumerate(nodes):
        if not one.bars(first) and not one.lacks(first):
            left = replace(one, free={k: v - first.asks[k] for k, v in one.free.items()})
            if is_placeable((*nodes[:at], left, *nodes[at + 1 :]), rest):
                return True
    return False


@settings(max_examples=150, deadline=None)
@given(nodes=NODES, groups=GROUPS)
def test_pods_fit_just_when_a_scheduler_that_tries_everything_could_place_them(
    nodes: list[tuple[int, int, bool]], groups: list[tuple[int, int, bool, int]]
) -> None:
    there, wanted = drawn(nodes, groups)
    pods = [one for one, count in wanted for _ in range(count)]
    assert fit(there, wanted) == is_placeable(tuple(there), pods)


@settings(max_examples=150, deadline=None)
@given(nodes=NODES, groups=GROUPS, more=NODES, at=st.integers(0, 3), fewer=st.integers(0, 2))
def test_a_node_more_or_a_replica_fewer_never_makes_what_fits_unfit(
    nodes: list[tuple[int, int, bool]],
    groups: list[tuple[int, int, bool, int]],
    more: list[tuple[int, int, bool]],
    at: int,
    fewer: int,
) -> None:
    there, wanted = drawn(nodes, groups)
    if fit(there, wanted):
        grown, _ = drawn([*nodes[:at], *more, *nodes[at:]], groups)
        assert fit(grown, wanted)
        assert fit(there, [(one, max(count - fewer, 0)) for one, count in wanted])


def test_too_many_ways_to_place_pods_are_not_known_and_so_no_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The incumbent may stand on either node, the candidate on the first one alone: first fit misses it."""
    held = [node("n1", {"disk": "fast"}, offers={"cpu": "2"}), node("n2", offers={"cpu": "2"})]
    picky = on_cpus(placement={"node_selector": {"disk": "fast"}})
    anywhere = {"model": {"resources": {"requests": {"cpu": "2", "memory": "4Gi"}}}}
    demand = Demand.over(picky, anywhere, "Knative")
    (check,) = preflight(picky, Cluster(nodes=held, pods=[]), "Knative", demand)
    assert check.state is State.WARN  # the release has room, a roll-back's repair has none
    monkeypatch.setattr(placing, "MOST_TRIED", 1)
    (check,) = preflight(picky, Cluster(nodes=held, pods=[]), "Knative", demand)
    assert check.state is State.UNKNOWN
    assert "whether incumbent and candidate, 2 pods, all find one is not known" in check.found
    assert isinstance(admitted([check], picky), Refuse)


# -- what comes of it


FOUND = [ok("GPUs", "room"), warn("GPUs", "tight", "wait"), fail("GPUs", "none", "add nodes")]
UNREAD = [unknown("GPUs", "the nodes may not be read", "let the account")]


@pytest.mark.parametrize("checks", [FOUND, UNREAD], ids=["no room", "not known"])
def test_no_room_and_not_to_know_are_refused_unless_the_policy_says_report(
    checks: list[Check],
) -> None:
    found = admitted(checks, policy({}))
    assert isinstance(found, Refuse)
    assert "serving.preflight: report" in found.reason
    told = admitted(checks, policy({}, preflight="report"))
    assert isinstance(told, tuple)
    assert len(told) == sum(one.state is not State.OK for one in checks)
    assert admitted(checks, policy({}), is_urgent=True) == told


def test_tight_room_is_told_and_goes_on() -> None:
    assert admitted(FOUND[:2], policy({})) == ("GPUs: WARN, tight; wait",)


def test_doctor_fails_nothing_that_deploy_only_reports() -> None:
    assert as_the_policy_says(FOUND, policy({})) == FOUND
    softened = as_the_policy_says(FOUND, policy({}, preflight="report"))
    assert [one.state for one in softened] == [State.OK, State.WARN, State.WARN]
