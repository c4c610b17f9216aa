"""rollback --to in Standard mode: the earlier version comes up as a canary and takes the stable place."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.operations.test_rollback import dies_and_is_done_again, history, rollback, versions
from tests.steps.traffic.test_promote import Judge, Registry, promote_, release
from tests.steps.traffic.test_standard_mode import BLUE, DEAD, GREEN, acts, shares_seen
from tests.steps.traffic.traffic_cluster import (
    NAME,
    POLL_S,
    Cluster,
    policy,
    published,
    staged_at,
    uri,
)
from tidegate.adapters.kubernetes import Kubernetes
from tidegate.adapters.release_lock import load_journal, save_journal
from tidegate.core.history import Promoted
from tidegate.documents import Result
from tidegate.errors import NotPromotedError, UsageError
from tidegate.steps.deploy import staged

LATER = {"ready_timeout_s": 5, "timeout_s": 33, "labels": {"team": "b"}, "runtime_version": "24.01"}


@pytest.fixture
def promoted_2(standard: Cluster) -> Cluster:
    release(standard, 1, Judge(), Registry())
    release(standard, 2, Judge(), Registry())
    standard.ingress.seen.clear()
    return standard


def predictor(cluster: Cluster) -> dict[str, Any]:
    seen = cluster.service.look()
    assert seen
    return {key: value for key, value in seen.predictor.items() if key != "name"}


@pytest.mark.parametrize("to", ["1", "previous"])
def test_an_earlier_version_is_back_warm_first_and_then_at_once(
    promoted_2: Cluster, to: str
) -> None:
    registry = Registry()
    registry.champion = "2"
    journal = rollback(promoted_2, to, registry)
    assert (journal.outcome, promoted_2.serving) == (Result.PROMOTED, {uri(1)})
    assert acts(promoted_2) == [("STAGE", 0), ("SHIFT", 100), ("RENAME", 100)]
    assert shares_seen(promoted_2) == [{GREEN: 100}, {BLUE: 100}]
    assert registry.champion == "1"
    assert versions(promoted_2) == ["1", "2", "1"]


def test_an_unchanged_template_keeps_its_warm_pods(promoted_2: Cluster) -> None:
    journal = rollback(promoted_2, "1")
    held = promoted_2.service.look()
    assert held
    assert held.revisions[BLUE].rollout == journal.candidate_rollout


def released_with(cluster: Cluster, version: int, **serving: Any) -> None:
    chosen = policy(serving=serving)
    deployment = staged(cluster.kube, published(version), chosen, f"r{version}", poll_s=POLL_S)
    promote_(cluster, staged_at(deployment), chosen, Judge())


def test_the_template_is_the_one_that_was_promoted_then(standard: Cluster) -> None:
    """Also in what the later release added, which an entry of spec.canary cannot unset; the pods that
    inherited it are made anew, and production is asked again."""
    release(standard, 1, Judge(), Registry())
    before = predictor(standard)
    released_with(standard, 2, **LATER)
    assert predictor(standard)["model"]["runtimeVersion"] == "24.01"
    journal = rollback(standard, "previous")
    assert predictor(standard) == before
    assert any(proof.startswith(f"{BLUE}, rollout") for proof in journal.proofs)
    assert history(standard).promoted[-1].template == {**before, "name": "blue"}


def test_pods_made_anew_that_answer_as_another_version_are_taken_back(standard: Cluster) -> None:
    release(standard, 1, Judge(), Registry())
    released_with(standard, 2, **LATER)
    host = f"{NAME}.default.example.com"
    wrong = {f"{host} {uri(1)}": "7"}
    standard.kube = Renaming(standard.kube, lambda: standard.answers.update(wrong))
    journal = rollback(standard, "1")
    assert (journal.outcome, standard.serving) == (Result.ROLLED_BACK, {uri(2)})
    assert "is answered by version 7, not 1" in journal.reason


class Renaming(Kubernetes):
    """The API, and what happens once the candidate takes the stable place."""

    def __init__(self, kube: Kubernetes, then: Callable[[], None]) -> None:
        super().__init__(kube._client, retry_s=2)
        self.then = then

    def once(
        self, method: str, path: str, body: dict[str, Any] | None, query: Mapping[str, str] | None
    ) -> dict[str, Any]:
        answer = super().once(method, path, body, query)
        if method == "PATCH" and "model" in (body or {}).get("spec", {}).get("predictor", {}):
            self.then()
        return answer


def test_a_version_that_does_not_come_up_leaves_production_as_it_was(promoted_2: Cluster) -> None:
    promoted_2.runtime.fates[uri(1)] = DEAD
    with pytest.raises(NotPromotedError, match="signal 11"):
        rollback(promoted_2, "1")
    assert (promoted_2.serving, shares_seen(promoted_2)) == ({uri(2)}, [{GREEN: 100}])


def test_the_name_of_a_deployment_is_no_version(promoted_2: Cluster) -> None:
    """Two names alternate, so it would say nothing of which version is meant."""
    with pytest.raises(UsageError, match=r"knows no such version; known: 2, 1$"):
        rollback(promoted_2, BLUE)


def test_a_version_that_served_in_the_other_mode_is_refused(promoted_2: Cluster) -> None:
    stored = load_journal(promoted_2.kube, "default", NAME)
    assert stored
    ended = stored.journal.model_copy(update={"release_id": "x", "mode": "Knative"})
    save_journal(promoted_2.kube, ended, stored)
    with pytest.raises(
        UsageError, match="served in Knative mode, and default/digits runs in Standard"
    ):
        rollback(promoted_2, "2")


@pytest.mark.parametrize("lives_for", range(1, 19, 4))
def test_after_a_death_at_a_write_production_is_whole_and_it_can_be_done_again(
    promoted_2: Cluster, lives_for: int
) -> None:
    dies_and_is_done_again(promoted_2, lives_for, ends_with="RENAME")


def test_what_is_remembered_is_the_template_as_it_served(promoted_2: Cluster) -> None:
    last: Promoted = history(promoted_2).promoted[-1]
    assert last.template == {**predictor(promoted_2), "name": "green"}
