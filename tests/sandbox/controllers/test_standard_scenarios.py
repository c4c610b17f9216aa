"""Standard mode, operation by operation: Deployments, weights, conditions, canaryStatuses.

Each row is an act and what the cluster says when the controllers are done, seen by the official client
over HTTP. The rules are KServe's, at the snapshot that the fact sheet names: what an entry runs
PRED:902-916, how many pods PRED:861-900, which status PRED:957-997, what is deleted PRED:1000-1035
(PRED = pkg/controller/v1beta1/inferenceservice/components/predictor.go), which weights HR:684-743 and
when a route is touched at all HR:211-230 (HR = reconcilers/ingress/httproute_reconciler.go), and
PredictorReady ST:332-440 (ST = pkg/apis/serving/v1beta1/inference_service_status.go).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from .standard_cluster import HOSTS, StandardCluster, entry, running

Act = Callable[[StandardCluster], None]
ALL, SOME, NONE = "AllCanariesReady", "CanariesNotReady", ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """An act, and what is then true."""

    act: Act
    pods: dict[str, int]  # spec.replicas by Deployment
    weights: dict[str, int]  # of the HTTPRoutes; a backend alone carries the default weight 1
    canaries: dict[str, tuple[bool, int]] = field(default_factory=dict)
    reason: str = NONE  # of CanaryPredictorReady, which is absent without canaries
    ready: str = "True"


def created(**more: object) -> Act:
    return lambda c: c.create(**more)  # type: ignore[arg-type]


def canary(*entries: dict[str, object]) -> Act:
    return lambda c: c.canary(*entries)


def ready(*names: str) -> Act:
    return lambda c: c.ready(*names)


STABLE = [
    Row(act=created(minReplicas=1), pods={"blue": 1}, weights={}, ready="False"),
    Row(act=ready("blue"), pods={"blue": 1}, weights={"blue": 1}),
]
FOUR = [
    Row(act=created(minReplicas=4), pods={"blue": 4}, weights={}, ready="False"),
    Row(act=ready("blue"), pods={"blue": 4}, weights={"blue": 1}),
]
DARK = [
    *STABLE,
    Row(
        act=canary(entry("green", 0, minReplicas=1)),
        pods={"blue": 1, "green": 1}, weights={"blue": 1},
        canaries={"green": (False, 0)}, reason=SOME,
    ),
    Row(
        act=ready("green"),
        pods={"blue": 1, "green": 1}, weights={"blue": 100, "green": 0},
        canaries={"green": (True, 0)}, reason=ALL,
    ),
]  # fmt: skip
TEN = [
    *DARK,
    Row(
        act=canary(entry("green", 10, minReplicas=1)),
        pods={"blue": 1, "green": 1}, weights={"blue": 90, "green": 10},
        canaries={"green": (True, 10)}, reason=ALL,
    ),
]  # fmt: skip
SCENARIOS: dict[str, list[Row]] = {
    "a predictor without a name": [
        Row(act=created(name=""), pods={"": 1}, weights={}, ready="False"),
        Row(act=ready(""), pods={"": 1}, weights={"": 1}),
        Row(
            act=canary(entry("green", 5)), pods={"": 1, "green": 1}, weights={"": 1},
            canaries={"green": (False, 5)}, reason=SOME,
        ),
        Row(
            act=ready("green"), pods={"": 1, "green": 1}, weights={"": 95, "green": 5},
            canaries={"green": (True, 5)}, reason=ALL,
        ),
    ],
    "a dark canary that takes steps": [
        *TEN,
        Row(
            act=canary(entry("green", 50, minReplicas=1)),
            pods={"blue": 1, "green": 1}, weights={"blue": 50, "green": 50},
            canaries={"green": (True, 50)}, reason=ALL,
        ),
        Row(
            act=canary(entry("green", 100, minReplicas=1)),
            pods={"blue": 1, "green": 1}, weights={"blue": 0, "green": 100},
            canaries={"green": (True, 100)}, reason=ALL,
        ),
    ],
    "a dark canary without minReplicas has no pod under class none, for ever": [
        *STABLE,
        Row(
            act=canary(entry("green", 0)),
            pods={"blue": 1, "green": 0}, weights={"blue": 1},
            canaries={"green": (False, 0)}, reason=SOME,
        ),
        Row(
            act=lambda c: c.wait(3600),
            pods={"blue": 1, "green": 0}, weights={"blue": 1},
            canaries={"green": (False, 0)}, reason=SOME,
        ),
    ],
    "a dark canary without minReplicas has one pod under class hpa": [
        Row(act=created(autoscaler=""), pods={"blue": 1}, weights={}, ready="False"),
        Row(act=ready("blue"), pods={"blue": 1}, weights={"blue": 1}),
        Row(
            act=canary(entry("green", 0)),
            pods={"blue": 1, "green": 1}, weights={"blue": 1},
            canaries={"green": (False, 0)}, reason=SOME,
        ),
        Row(
            act=ready("green"),
            pods={"blue": 1, "green": 1}, weights={"blue": 100, "green": 0},
            canaries={"green": (True, 0)}, reason=ALL,
        ),
    ],
    "pods move with the percent, and the stable ones leave only when the canary's are ready": [
        *FOUR,
        Row(
            act=canary(entry("green", 25)),
            pods={"blue": 4, "green": 1}, weights={"blue": 1},
            canaries={"green": (False, 25)}, reason=SOME,
        ),
        Row(
            act=ready("green"),
            pods={"blue": 3, "green": 1}, weights={"blue": 75, "green": 25},
            canaries={"green": (True, 25)}, reason=ALL,
        ),
        Row(
            act=canary(entry("green", 50)),
            pods={"blue": 2, "green": 2}, weights={"blue": 50, "green": 50},
            canaries={"green": (True, 50)}, reason=ALL,
        ),
        Row(
            act=canary(entry("green", 51)),
            pods={"blue": 1, "green": 3}, weights={"blue": 49, "green": 51},
            canaries={"green": (True, 51)}, reason=ALL,
        ),
        Row(act=canary(), pods={"blue": 4}, weights={"blue": 1}),
    ],
    "of two canaries one is not ready": [
        *FOUR,
        Row(
            act=canary(entry("green", 25), entry("red", 30, "s3://models/v3/")),
            pods={"blue": 4, "green": 1, "red": 2}, weights={"blue": 1},
            canaries={"green": (False, 25), "red": (False, 30)}, reason=SOME,
        ),
        Row(
            act=ready("red"),
            pods={"blue": 2, "green": 1, "red": 2}, weights={"blue": 70, "red": 30},
            canaries={"green": (False, 25), "red": (True, 30)}, reason=SOME,
        ),
        Row(
            act=ready("green"),
            pods={"blue": 1, "green": 1, "red": 2},
            weights={"blue": 45, "green": 25, "red": 30},
            canaries={"green": (True, 25), "red": (True, 30)}, reason=ALL,
        ),
    ],
    "a canary that crashes loses its traffic by itself": [
        *TEN,
        Row(
            act=lambda c: c.crash("green"),
            pods={"blue": 1, "green": 1}, weights={"blue": 1},
            canaries={"green": (False, 10)}, reason=SOME,
        ),
        Row(
            act=ready("green"),
            pods={"blue": 1, "green": 1}, weights={"blue": 90, "green": 10},
            canaries={"green": (True, 10)}, reason=ALL,
        ),
    ],
    "a dropped canary is deleted": [*TEN, Row(act=canary(), pods={"blue": 1}, weights={"blue": 1})],
    "promoted by its name": [
        *TEN,
        Row(act=lambda c: c.promote("green"), pods={"green": 1}, weights={"green": 1}),
        Row(
            act=canary(entry("blue", 0, "s3://models/v3/", minReplicas=1)),
            pods={"blue": 1, "green": 1}, weights={"green": 1},
            canaries={"blue": (False, 0)}, reason=SOME,
        ),
    ],
    "renamed with no canary of that name: production is gone until the new pods are there": [
        *STABLE,
        Row(
            act=lambda c: c.promote("green"),
            pods={"green": 1}, weights={"blue": 1}, ready="False",
        ),
        Row(act=ready("green"), pods={"green": 1}, weights={"green": 1}),
    ],
    "while the stable predictor is down no weight moves": [
        *TEN,
        Row(
            act=lambda c: c.crash("blue"),
            pods={"blue": 1, "green": 1}, weights={"blue": 90, "green": 10},
            canaries={"green": (True, 10)}, reason=ALL, ready="False",
        ),
        Row(
            act=canary(entry("green", 50, minReplicas=1)),
            pods={"blue": 1, "green": 1}, weights={"blue": 90, "green": 10},
            canaries={"green": (True, 50)}, reason=ALL, ready="False",
        ),
        Row(
            act=canary(),
            pods={"blue": 1}, weights={"blue": 90, "green": 10}, ready="False",
        ),
    ],
}  # fmt: skip


@pytest.fixture
def cluster() -> Iterator[StandardCluster]:
    with running() as started:
        yield started


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_cluster_does_what_the_table_says(name: str, cluster: StandardCluster) -> None:
    for number, row in enumerate(SCENARIOS[name]):
        row.act(cluster)
        assert seen(cluster) == expected(row), f"{name}, row {number}"
        assert cluster.backends("digits-predictor") == cluster.backends("digits")
        assert cluster.services() == set(row.pods)
        for host in HOSTS:
            assert cluster.shares(host) == percents(row.weights)


def seen(cluster: StandardCluster) -> dict[str, object]:
    _, reason = cluster.condition("CanaryPredictorReady")
    return {
        "pods": cluster.deployments(), "weights": cluster.backends(),
        "canaries": cluster.canaries(), "reason": reason, "ready": cluster.condition("Ready")[0],
    }  # fmt: skip


def expected(row: Row) -> dict[str, object]:
    return {
        "pods": row.pods, "weights": row.weights, "canaries": row.canaries, "reason": row.reason,
        "ready": row.ready,
    }  # fmt: skip


def percents(weights: dict[str, int]) -> dict[str, int]:
    if len(weights) == 1:
        return dict.fromkeys(weights, 100)
    return {name: weight for name, weight in weights.items() if weight}
