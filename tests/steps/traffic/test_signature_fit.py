"""deploy lets no candidate up that the incumbent's clients would trip over, unless its policy says so."""

from typing import Any

import pytest

from tests.steps.traffic.test_promote import Judge, Registry, release
from tests.steps.traffic.traffic_cluster import (
    POLL_S,
    Cluster,
    policy,
    published,
    staged_at,
    uri,
)
from tidegate.adapters.release_lock import StoredJournal
from tidegate.documents import Deployment, Published, Refusal, Tensor, Word
from tidegate.steps.deploy import staged
from tidegate.steps.signature_fit import signature_refusal


def another(version: int, **changes: Any) -> Published:
    made = published(version)
    return made.model_copy(update={"repository": made.repository.model_copy(update=changes)})


SCORES = Tensor(name="scores", dtype="FP32", shape=(-1, 10))


def tried(cluster: Cluster, candidate: Published, **changes: Any) -> Deployment | Refusal:
    release_id = f"r{candidate.subject.version}"
    return staged(cluster.kube, candidate, policy(**changes), release_id, poll_s=POLL_S)


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


@pytest.mark.parametrize("format_", ["triton", "sklearn"])
def test_another_server_or_protocol_is_refused_whatever_the_policy_says(
    cluster: Cluster, format_: str
) -> None:
    release(cluster, 1, Judge(), Registry())
    before = set(cluster.runtime.specs)
    spoken = another(2, format=format_, protocol="v1")
    refused = tried(cluster, spoken, parity={"signature": "break"})
    assert isinstance(refused, Refusal)
    assert f"it spoke v2 of triton, this speaks v1 of {format_}; release it" in refused.reason
    assert (set(cluster.runtime.specs), cluster.serving) == (before, {uri(1)})


def test_after_a_release_that_went_back_the_signature_is_that_of_what_serves(
    cluster: Cluster,
) -> None:
    """The journal is then of the one that went back, and of the incumbent there is the history alone."""
    release(cluster, 1, Judge(), Registry())
    release(cluster, 2, Judge(at_10=Word.FAIL), Registry())
    refused = tried(cluster, another(3, outputs=(SCORES,)))
    assert isinstance(refused, Refusal)
    assert "would break: output pixels is gone" in refused.reason


@pytest.mark.parametrize("kept", [{"repository": {"kind": "another"}}, {"other": 1}])
def test_a_journal_whose_deployment_cannot_be_read_is_compared_with_nothing_and_that_is_said(
    cluster: Cluster, kept: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    release(cluster, 1, Judge(), Registry())
    caplog.set_level("INFO", "tidegate")
    incumbent = staged_at(tried(cluster, published(2))).incumbent
    assert incumbent is not None
    journal = cluster.journal.model_copy(
        update={"storage_uri": incumbent.storage_uri, "deployment": kept}
    )
    stored = StoredJournal(journal=journal, config_map={"data": {}})
    assert signature_refusal(incumbent, another(3, outputs=(SCORES,)), policy(), stored) is None
    assert "its signature is not known" in caplog.text
