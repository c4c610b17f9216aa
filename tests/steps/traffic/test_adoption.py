"""Taking over an InferenceService that tidegate did not make: refused, or with every consequence told."""

from typing import Any

import pytest

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
from tidegate.core.adoption import consequences
from tidegate.documents import Deployment, Refusal, Result, Word
from tidegate.operations.plan import planned
from tidegate.operations.plan_lines import lines
from tidegate.steps.deploy import staged
from tidegate.steps.roll_back import returned

ARGO = "argocd.argoproj.io/tracking-id"


def create(cluster: Cluster, **metadata: Any) -> None:
    """A Triton service as a person writes it: without tags, with fields that no policy names."""
    model = {
        "modelFormat": {"name": "triton"}, "runtime": "kserve-tritonserver", "protocolVersion": "v2",
        "storageUri": uri(1), "env": [{"name": "LOG", "value": "1"}],
    }  # fmt: skip
    predictor = {"minReplicas": 2, "maxReplicas": 4, "timeout": 30, "model": model}
    mode = {"serving.kserve.io/deploymentMode": "Knative"}
    annotations = {**mode, **metadata.pop("annotations", {})}
    manifest = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": NAME, "namespace": "default", "annotations": annotations, **metadata},
        "spec": {"predictor": predictor},
    }
    cluster.service.create(manifest)
    cluster.wait(lambda: len(cluster.traffic) == 1)
    cluster.wait(lambda: (now := cluster.service.look()) is not None and now.is_true("Ready"))


def stage(cluster: Cluster, **changes: Any) -> Deployment | Refusal:
    return staged(cluster.kube, published(2), policy(**changes), "r2", poll_s=POLL_S)


def test_a_foreign_service_is_refused_before_anything_is_written(cluster: Cluster) -> None:
    create(cluster)
    version = cluster.api.store.version
    result = stage(cluster)
    assert isinstance(result, Refusal)
    assert result.word is Word.INVALID
    assert "default/digits was not made by tidegate" in result.reason
    assert "spec.predictor.minReplicas 2 -> 1" in result.reason
    assert "keep spec.predictor.model.env" in result.reason
    assert cluster.api.store.version == version
    assert load_journal(cluster.kube, "default", NAME) is None


def test_the_patch_does_what_the_consequences_said_and_no_more(cluster: Cluster) -> None:
    create(cluster)
    before = cluster.service.look()
    assert before
    told = consequences(before, policy(adopt="allow"), uri(2), "2")
    staged_at(stage(cluster, adopt="allow"))
    after = cluster.service.look()
    assert after
    for one in told:
        if one.field == "spec.predictor.model.env":
            assert before.predictor["model"]["env"] == after.predictor["model"]["env"]
        if one.field == "spec.predictor.minReplicas":
            assert (one.now, one.after) == ("2", str(after.predictor["minReplicas"]))
    named = {one.field.split("[")[0].split(".")[2] for one in told if "spec.predictor" in one.field}
    changed = {
        key
        for key in {*before.predictor, *after.predictor}
        if before.predictor.get(key) != after.predictor.get(key)
    }
    assert changed <= named
    assert after.annotations["serving.kserve.io/enable-tag-routing"] == "true"


def test_an_adopted_service_is_released_and_is_then_tidegates(cluster: Cluster) -> None:
    create(cluster)
    deployment = staged_at(stage(cluster, adopt="allow"))
    outcome = promote_(cluster, deployment, policy(adopt="allow"), Judge())
    assert outcome.result is Result.PROMOTED
    assert cluster.serving == {uri(2)}
    again = staged(cluster.kube, published(3), policy(), "r3", poll_s=POLL_S)
    assert isinstance(again, Deployment), again


def test_an_adoption_that_is_rolled_back_restores_every_field_of_before(cluster: Cluster) -> None:
    create(cluster)
    before = cluster.service.look()
    deployment = staged_at(stage(cluster, adopt="allow"))
    bad = verdict(deployment, "r2", Word.FAIL)
    outcome = returned(cluster.kube, bad, policy(adopt="allow"), "r2", poll_s=POLL_S)
    after = cluster.service.look()
    assert outcome.result is Result.ROLLED_BACK
    assert cluster.serving == {uri(1)}
    assert before
    assert after
    assert after.template == before.template


def test_what_gitops_keeps_is_staged_with_a_word_on_how_to_tell_it(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tidegate")
    create(cluster, annotations={ARGO: "shop:InferenceService:default/digits"})
    staged_at(stage(cluster, adopt="allow"))
    told = caplog.text
    assert f"metadata.annotations[{ARGO}]" in told
    assert "ignoreDifferences" in told


def test_the_plan_shows_every_consequence_whether_allowed_or_not(cluster: Cluster) -> None:
    create(cluster)
    version = cluster.api.store.version
    subject = published(2).subject
    for adopt in ("refuse", "allow"):
        plan = planned(cluster.kube, policy(adopt=adopt), subject, storage_uri=uri(2))
        fields = [one.field for one in plan.adoption]
        assert {"spec.predictor.minReplicas", "spec.predictor.model.env"} <= set(fields)
        assert any("spec.predictor.minReplicas: 2 -> 1" in line for line in lines(plan))
        assert bool(plan.refused) == (adopt == "refuse")
    assert cluster.api.store.version == version


# -- the way back is there


def test_an_incumbent_that_does_not_answer_stops_the_release_before_any_write(
    cluster: Cluster,
) -> None:
    first = staged_at(staged(cluster.kube, published(1), policy(), "r1", poll_s=POLL_S))
    promote_(cluster, first, policy(), Judge())
    cluster.answers[uri(1)] = "7"
    version = cluster.api.store.version
    result = stage(cluster)
    assert isinstance(result, Refusal)
    assert "so no traffic could return to it" in result.reason
    assert "is answered by version 7, not 1" in result.reason
    assert cluster.api.store.version == version


def test_an_incumbent_whose_model_is_not_known_is_not_asked_and_the_release_goes_on(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tidegate")
    create(cluster)
    staged_at(stage(cluster, adopt="allow"))
    assert "is not asked for an answer" in caplog.text


def test_an_incumbent_is_asked_as_its_own_release_was(cluster: Cluster) -> None:
    first = staged_at(staged(cluster.kube, published(1), policy(), "r1", poll_s=POLL_S))
    promote_(cluster, first, policy(), Judge())
    staged_at(stage(cluster))
    incumbent = cluster.journal.incumbent
    assert incumbent
    assert incumbent.probe
    assert (incumbent.probe.model, incumbent.probe.version) == (NAME, "1")


def test_a_guess_at_how_to_ask_that_fails_is_told_and_stops_nothing(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    first = staged_at(staged(cluster.kube, published(1), policy(), "r1", poll_s=POLL_S))
    promote_(cluster, first, policy(), Judge())
    stored = load_journal(cluster.kube, "default", NAME)
    assert stored
    save_journal(cluster.kube, stored.journal.model_copy(update={"probe": None}), stored)
    cluster.answers[uri(1)] = "7"
    caplog.set_level("INFO", "tidegate")
    staged_at(stage(cluster))
    assert "is not asked again, as digits" in caplog.text
    assert cluster.journal.incumbent
    assert cluster.journal.incumbent.probe is None
