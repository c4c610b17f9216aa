"""A field that a later policy no longer names is taken away by its release, and comes back with a return."""

from typing import Any

import pytest

from tests.steps.traffic.test_deploy import refused
from tests.steps.traffic.test_promote import Judge, promote_
from tests.steps.traffic.traffic_cluster import (
    NAME,
    POLL_S,
    Cluster,
    policy,
    published,
    staged_at,
    uri,
    verdict,
)
from tidegate.adapters.release_lock import load_journal, save_journal
from tidegate.documents import Deployment, Refusal, Result, Word
from tidegate.operations.plan import planned
from tidegate.operations.rollback import rolled_back
from tidegate.steps.deploy import staged
from tidegate.steps.roll_back import returned

READY = {"ready_timeout_s": 5}
RICH: dict[str, Any] = {
    **READY,
    "service_account": "reader",
    "labels": {"team": "risk"},
    "args": ["--log-verbose=1"],
    "env": {"OMP_NUM_THREADS": "2"},
    "resources": {"limits": {"cpu": "2"}},
    "logger": {"url": "http://sink"},
}


def stage(cluster: Cluster, version: int, serving: dict[str, Any]) -> Deployment | Refusal:
    chosen = policy(serving=serving)
    return staged(cluster.kube, published(version), chosen, f"r{version}", poll_s=POLL_S)


def release(cluster: Cluster, version: int, serving: dict[str, Any]) -> None:
    deployment = staged_at(stage(cluster, version, serving))
    outcome = promote_(cluster, deployment, policy(serving=serving), Judge())
    assert outcome.result is Result.PROMOTED, outcome


def spec(cluster: Cluster) -> dict[str, Any]:
    held = cluster.service.manifest()
    assert held
    return {k: v for k, v in held["spec"]["predictor"].items() if k != "canaryTrafficPercent"}


def edit(cluster: Cluster, patch: dict[str, Any]) -> None:
    """By somebody else, between two releases."""
    cluster.service.patch({"spec": {"predictor": patch}})
    seen = cluster.service.look()
    cluster.wait(lambda: (now := cluster.service.look()) is not None and now.ready == now.created)
    cluster.wait(lambda: len(cluster.traffic) == 1)
    assert seen


def test_what_the_policy_drops_goes_and_what_others_wrote_stays(cluster: Cluster) -> None:
    release(cluster, 1, RICH)
    edit(cluster, {"labels": {"owner": "ops"}, "model": {"args": ["--theirs"]}})
    release(cluster, 2, READY)
    held = spec(cluster)
    assert held["labels"] == {"owner": "ops", "tidegate.dev/model-version": "2"}
    assert held["model"]["args"] == ["--theirs"]  # changed by hand since, so not ours any more
    assert not {"serviceAccountName", "logger"} & set(held)
    assert not {"env", "resources"} & set(held["model"])
    release(cluster, 3, RICH | {"args": []})
    assert spec(cluster)["logger"] == {"mode": "all", "url": "http://sink"}


@pytest.mark.parametrize("again", [False, True], ids=["at once", "after one that was taken back"])
def test_a_return_brings_every_field_back_and_the_next_release_still_knows_whose_they_are(
    cluster: Cluster, again: bool
) -> None:
    release(cluster, 1, RICH)
    before = spec(cluster)
    deployment = staged_at(stage(cluster, 2, READY))
    assert "serviceAccountName" not in spec(cluster)
    bad = verdict(deployment, "r2", Word.FAIL)
    assert returned(cluster.kube, bad, policy(), "r2", poll_s=POLL_S).result is Result.ROLLED_BACK
    assert spec(cluster) == before
    if again:
        release(cluster, 3, READY)
        assert not {"serviceAccountName", "logger"} & set(spec(cluster))


def test_a_version_that_is_brought_back_has_its_fields_and_drops_them_again(
    cluster: Cluster,
) -> None:
    release(cluster, 1, RICH)
    before = spec(cluster)
    release(cluster, 2, READY)
    stored = load_journal(cluster.kube, "default", NAME)
    assert stored
    from tests.steps.traffic.test_promote import Registry

    rolled_back(
        cluster.kube, stored, "1", who="ann", aliases=Registry().aliases,
        poll_s=POLL_S, judge_every_s=POLL_S,
    )  # fmt: skip
    assert spec(cluster) == before
    release(cluster, 3, READY)
    assert "logger" not in spec(cluster)


def test_a_plan_shows_what_goes(cluster: Cluster) -> None:
    release(cluster, 1, RICH)
    subject = published(2).subject
    told = planned(cluster.kube, policy(serving=READY), subject, storage_uri=uri(2))
    assert "-    serviceAccountName: reader" in told.manifest_diff
    assert "-      url: http://sink" in told.manifest_diff


def test_without_a_memory_of_who_wrote_what_every_field_stays(cluster: Cluster) -> None:
    release(cluster, 1, RICH)
    stored = load_journal(cluster.kube, "default", NAME)
    assert stored
    stored.config_map["data"]["history.json"] = "{"
    save_journal(cluster.kube, stored.journal, stored)
    staged_at(stage(cluster, 2, READY))
    assert spec(cluster)["serviceAccountName"] == "reader"


# -- Standard mode


def test_what_a_canary_cannot_unset_is_refused_with_what_to_do(standard: Cluster) -> None:
    release(standard, 1, RICH)
    before = standard.service.manifest()
    said = refused(
        stage(standard, 2, READY), Word.INVALID,
        "spec.predictor.serviceAccountName (reader)",
    ).reason  # fmt: skip
    assert "in Standard mode a canary inherits it and cannot unset it" in said
    assert "(default is what an empty one means)" in said
    assert '"serviceAccountName":null' in said
    assert standard.service.manifest() == before
    assert standard.journal.release_id == "r1"


def test_after_the_patch_that_it_names_the_release_begins(standard: Cluster) -> None:
    release(standard, 1, {**READY, "labels": {"team": "risk"}})
    refused(stage(standard, 2, READY), Word.INVALID, "spec.predictor.labels.team (risk)")
    standard.service.patch({"spec": {"predictor": {"labels": {"team": None}}}})
    standard.wait(lambda: (now := standard.service.look()) is not None and now.is_true("Ready"))
    release(standard, 2, READY)
    assert "team" not in spec(standard)["labels"]


def test_how_it_was_scaled_goes_with_the_promotion_and_restarts_no_pod(standard: Cluster) -> None:
    release(standard, 1, {**READY, "scaling": {"kind": "hpa"}})
    assert spec(standard)["scaleMetric"] == "cpu"
    deployment = staged_at(stage(standard, 2, READY))
    assert spec(standard)["scaleMetric"] == "cpu"  # production is not touched before
    promote_(standard, deployment, policy(serving=READY), Judge())
    assert not {"scaleMetric", "scaleTarget"} & set(spec(standard))
    seen = standard.service.look()
    assert seen
    assert seen.revisions[seen.created].rollout == standard.journal.candidate_rollout
