"""deploy lets no candidate up that the incumbent's clients would trip over, unless its policy says so."""

from typing import Any

from tests.steps.traffic.test_promote import Judge, Registry, release
from tests.steps.traffic.traffic_cluster import (
    POLL_S,
    Cluster,
    policy,
    published,
    staged_at,
    uri,
)
from tidegate.documents import Deployment, Published, Refusal, Tensor, Word
from tidegate.steps.deploy import staged


def another(version: int, **changes: Any) -> Published:
    made = published(version)
    return made.model_copy(update={"repository": made.repository.model_copy(update=changes)})


SCORES = Tensor(name="scores", dtype="FP32", shape=(-1, 10))


def tried(cluster: Cluster, candidate: Published, **changes: Any) -> Deployment | Refusal:
    return staged(cluster.kube, candidate, policy(**changes), "r2", poll_s=POLL_S)


def test_an_output_that_is_gone_is_refused_before_anything_is_written(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    before = set(cluster.runtime.specs)
    refused = tried(cluster, another(2, outputs=(SCORES,)))
    assert isinstance(refused, Refusal)
    assert refused.word is Word.FAIL
    assert (
        "would break: output pixels is gone; keep the names and types, or set parity.signature"
        in refused.reason
    )
    assert (set(cluster.runtime.specs), cluster.serving) == (before, {uri(1)})


def test_one_more_output_breaks_nobody(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    staged_at(tried(cluster, another(2, outputs=(*published(1).repository.outputs, SCORES))))


def test_a_break_that_the_policy_says_is_let_through(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    staged_at(tried(cluster, another(2, outputs=(SCORES,)), parity={"signature": "break"}))
