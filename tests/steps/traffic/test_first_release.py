"""A first release: judged as a preview that no client knows, then live; after any death all or nothing."""

import contextlib
import time
from typing import Any

import pytest

from tests.steps.traffic.test_promote import Judge, Registry, promote_
from tests.steps.traffic.test_roll_back import Crash, Dying
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
from tidegate.adapters.inference_service import InferenceServices
from tidegate.adapters.kubernetes import Kubernetes
from tidegate.adapters.release_lock import load_journal
from tidegate.core.journal import ActKind
from tidegate.core.manifest import inference_service
from tidegate.core.observation import Observation
from tidegate.documents import Deployment, Outcome, Refusal, Result, Word
from tidegate.errors import ConflictError
from tidegate.sandbox.interfaces import RevisionStatus
from tidegate.steps.deploy import staged
from tidegate.steps.guard import guarded
from tidegate.steps.roll_back import returned
from tidegate.steps.sweep import swept

PREVIEW = "digits-preview"


def by_preview(**changes: Any) -> Any:
    return policy(initial="preview", **changes)


def stage(cluster: Cluster, version: int = 1, **changes: Any) -> Deployment | Refusal:
    chosen = by_preview(**changes)
    return staged(cluster.kube, published(version), chosen, f"r{version}", poll_s=POLL_S)


def promote(cluster: Cluster, deployment: Deployment, registry: Registry | None = None) -> Outcome:
    return promote_(cluster, deployment, by_preview(), Judge(), registry)


def release(cluster: Cluster, kube: Kubernetes | None = None) -> Outcome:
    alive = cluster.kube
    cluster.kube = kube or alive
    try:
        return promote(cluster, staged_at(stage(cluster)))
    finally:
        cluster.kube = alive


def look(cluster: Cluster, name: str) -> Observation | None:
    return InferenceServices(cluster.kube, "default", name).look()


def create(cluster: Cluster, name: str, **metadata: Any) -> None:
    """Somebody else's InferenceService of that name."""
    manifest = inference_service(policy(), uri(9), "9").as_dict()
    manifest["metadata"] |= {"name": name, **metadata}
    InferenceServices(cluster.kube, "default", name).create(manifest)


def kinds(cluster: Cluster) -> list[ActKind]:
    acts = cluster.journal.acts
    assert all(act.confirmed_s is not None for act in acts), acts
    return [act.kind for act in acts]


# -- the way forward


def test_a_first_release_comes_up_as_a_preview_and_production_does_not_exist(
    cluster: Cluster,
) -> None:
    deployment = staged_at(stage(cluster))
    assert (deployment.initial, deployment.preview) == (True, PREVIEW)
    assert deployment.candidate_host == "latest-digits-preview-predictor.default.example.com"
    assert (deployment.production_host, deployment.incumbent) == ("", None)
    assert deployment.candidate_revision == "digits-preview-predictor-00001"
    assert look(cluster, NAME) is None
    assert kinds(cluster) == [ActKind.PREVIEW]


def test_a_preview_says_whose_it_is(cluster: Cluster) -> None:
    staged_at(stage(cluster))
    seen = look(cluster, PREVIEW)
    assert seen
    assert seen.labels["tidegate.dev/preview-of"] == NAME
    assert seen.created_by == "r1"


def test_a_preview_that_passed_goes_live_under_the_real_name_and_is_removed(
    cluster: Cluster,
) -> None:
    deployment, registry = staged_at(stage(cluster)), Registry()
    assert cluster.ingress.seen == []
    outcome = promote(cluster, deployment, registry)
    assert outcome.result is Result.PROMOTED
    assert outcome.traffic == {"digits-predictor-00001": 100}
    assert [(s.percent, s.word) for s in outcome.steps] == [(100, Word.PASS)]
    assert cluster.serving == {uri(1)}
    assert look(cluster, PREVIEW) is None
    assert kinds(cluster) == [ActKind.PREVIEW, ActKind.CREATE, ActKind.DISCARD]
    assert registry.champion == "1"


def test_the_real_one_serves_the_very_template_that_was_judged(cluster: Cluster) -> None:
    deployment = staged_at(stage(cluster))
    judged = look(cluster, PREVIEW)
    promote(cluster, deployment)
    live = look(cluster, NAME)
    assert judged
    assert live
    assert live.template == judged.template


def test_the_release_after_a_preview_has_an_incumbent(cluster: Cluster) -> None:
    release(cluster)
    deployment = staged_at(stage(cluster, 2))
    assert deployment.preview == ""
    assert deployment.incumbent
    assert deployment.incumbent.storage_uri == uri(1)
    assert cluster.serving == {uri(1)}


def test_a_second_run_of_the_same_deploy_finds_the_preview(cluster: Cluster) -> None:
    first = staged_at(stage(cluster))
    assert staged_at(stage(cluster)) == first
    assert kinds(cluster) == [ActKind.PREVIEW]


# -- the way back


def test_a_preview_that_does_not_load_is_removed_with_tritons_words(cluster: Cluster) -> None:
    fate = RevisionStatus(phase="Failed", reason="ModelLoadFailed", message="bad dims", exit_code=1)
    cluster.runtime.fates[uri(1)] = fate
    result = stage(cluster)
    assert isinstance(result, Refusal)
    assert result.word is Word.FAIL
    assert "digits-preview: " in result.reason
    assert "bad dims" in result.reason
    assert look(cluster, PREVIEW) is None
    assert look(cluster, NAME) is None
    assert cluster.journal.outcome is Result.ROLLED_BACK


def test_a_preview_that_failed_its_gate_is_removed_and_production_never_was(
    cluster: Cluster,
) -> None:
    deployment = staged_at(stage(cluster))
    bad = verdict(deployment, "r1", Word.FAIL)
    outcome = returned(cluster.kube, bad, by_preview(), "r1", poll_s=POLL_S)
    assert (outcome.result, outcome.traffic) == (Result.ROLLED_BACK, {})
    assert "digits-preview is gone" in outcome.reason
    assert look(cluster, PREVIEW) is None
    assert cluster.ingress.seen == []


def test_a_real_one_that_another_version_answers_for_is_taken_back(cluster: Cluster) -> None:
    deployment = staged_at(stage(cluster))
    cluster.answers[uri(1)] = "7"
    outcome = promote(cluster, deployment)
    assert outcome.result is Result.ROLLED_BACK
    assert "is answered by version 7, not 1" in outcome.reason
    assert look(cluster, NAME) is None
    assert look(cluster, PREVIEW) is None


def test_a_forgotten_preview_is_swept(cluster: Cluster) -> None:
    staged_at(stage(cluster))
    assert swept(cluster.kube, "", now_s=time.time() + 1e6, poll_s=POLL_S).returned == 1
    assert look(cluster, PREVIEW) is None
    assert cluster.journal.outcome is Result.DIED


# -- what belongs to others


def test_a_real_one_that_appears_meanwhile_is_named_and_left_alone(cluster: Cluster) -> None:
    deployment = staged_at(stage(cluster))
    create(cluster, NAME)
    with pytest.raises(ConflictError, match="digits was created by somebody else"):
        promote(cluster, deployment)
    seen = look(cluster, NAME)
    assert seen
    assert seen.storage_uri == uri(9)
    assert look(cluster, PREVIEW) is None
    assert cluster.journal.is_over


def test_a_real_one_of_the_same_model_but_by_somebody_else_is_not_taken_for_ours(
    cluster: Cluster,
) -> None:
    deployment = staged_at(stage(cluster))
    cluster.service.create(inference_service(policy(), uri(1), "1").as_dict())
    with pytest.raises(ConflictError, match="created by somebody else"):
        promote(cluster, deployment)
    assert look(cluster, NAME) is not None


def test_a_preview_changed_after_it_was_judged_does_not_go_live(cluster: Cluster) -> None:
    deployment = staged_at(stage(cluster))
    there = InferenceServices(cluster.kube, "default", PREVIEW)
    there.patch({"spec": {"predictor": {"timeout": 31}}})
    with pytest.raises(
        ConflictError, match=r"digits-preview: spec\.predictor\.timeout was changed"
    ):
        promote(cluster, deployment)
    assert look(cluster, NAME) is None
    assert look(cluster, PREVIEW) is None


def test_a_preview_replaced_by_somebody_else_is_left_alone(cluster: Cluster) -> None:
    deployment = staged_at(stage(cluster))
    seen = look(cluster, PREVIEW)
    assert seen
    InferenceServices(cluster.kube, "default", PREVIEW).delete(seen.uid)
    cluster.wait(lambda: look(cluster, PREVIEW) is None)
    create(cluster, PREVIEW)
    with pytest.raises(ConflictError, match="digits-preview was replaced by somebody else"):
        promote(cluster, deployment)
    assert look(cluster, NAME) is None
    assert look(cluster, PREVIEW) is not None


def test_somebody_elses_object_of_the_previews_name_refuses_the_release_by_name(
    cluster: Cluster,
) -> None:
    create(cluster, PREVIEW)
    result = stage(cluster)
    assert isinstance(result, Refusal)
    assert "default/digits-preview exists and is not a preview of tidegate's" in result.reason
    assert load_journal(cluster.kube, "default", NAME) is None


def test_a_preview_without_a_journal_is_named_with_the_command_that_removes_it(
    cluster: Cluster,
) -> None:
    left = {"labels": {"tidegate.dev/preview-of": NAME}}
    create(cluster, PREVIEW, annotations={"tidegate.dev/created-by": "lost"}, **left)
    result = stage(cluster)
    assert isinstance(result, Refusal)
    assert "left over from release lost" in result.reason
    assert "kubectl -n default delete inferenceservice digits-preview" in result.reason


def test_a_preview_is_not_adopted_as_a_service_of_its_own(cluster: Cluster) -> None:
    staged_at(stage(cluster))
    chosen = by_preview(name=PREVIEW)
    result = staged(cluster.kube, published(2), chosen, "r2", poll_s=POLL_S)
    assert isinstance(result, Refusal)
    assert "digits-preview is the preview of digits" in result.reason


def test_a_name_without_room_for_a_preview_is_refused_with_the_number(cluster: Cluster) -> None:
    chosen = by_preview(name="d" * 40)
    result = staged(cluster.kube, published(1), chosen, "r1", poll_s=POLL_S)
    assert isinstance(result, Refusal)
    assert "shorten the policy's name by 2" in result.reason


# -- deaths

WRITES = 33  # per act the Lease twice, journal, object and Event; the notes and proofs between
TAKING_BACK = 9


def settled(cluster: Cluster) -> set[str]:
    """What stands in the cluster: the real name, the preview, both or none."""
    return {name for name in (NAME, PREVIEW) if look(cluster, name) is not None}


def next_release_works(cluster: Cluster) -> None:
    deployment = staged_at(stage(cluster, 2))
    assert promote(cluster, deployment).result is Result.PROMOTED
    assert cluster.serving == {uri(2)}


@pytest.mark.parametrize("lives_for", range(WRITES))
def test_after_a_death_at_any_write_of_a_first_release_it_is_live_and_proven_or_gone(
    cluster: Cluster, lives_for: int
) -> None:
    with pytest.raises(Crash):
        release(cluster, Dying(cluster.kube, lives_for))
    journal = guarded(cluster.kube, "r1", "", poll_s=POLL_S)
    if journal is None:
        assert lives_for == 0
        assert settled(cluster) == set()
    elif journal.outcome is Result.PROMOTED:
        assert settled(cluster) == {NAME}
        assert cluster.serving == {uri(1)}
    else:
        assert journal.outcome is Result.DIED
        assert settled(cluster) == set()
    next_release_works(cluster)


def test_a_first_release_that_was_proven_is_kept_by_the_guard(cluster: Cluster) -> None:
    """The last deaths leave a service that clients may already use: nothing of it is taken away."""
    with pytest.raises(Crash):
        release(cluster, Dying(cluster.kube, WRITES - 3))
    uid = look(cluster, NAME)
    journal = guarded(cluster.kube, "r1", "", poll_s=POLL_S)
    assert journal
    assert journal.outcome is Result.PROMOTED
    assert "the registry alias was not moved" in journal.reason
    now = look(cluster, NAME)
    assert uid
    assert now
    assert now.uid == uid.uid


@pytest.mark.parametrize("lives_for", range(WRITES))
def test_after_a_death_at_any_write_a_first_release_can_be_run_again_or_says_why_not(
    cluster: Cluster, lives_for: int
) -> None:
    with pytest.raises(Crash):
        release(cluster, Dying(cluster.kube, lives_for))
    again = stage(cluster)
    if isinstance(again, Deployment):
        assert promote(cluster, again).result is Result.PROMOTED
        assert settled(cluster) == {NAME}
        return
    assert again.word in {Word.INVALID, Word.UNCHANGED}
    assert PREVIEW not in settled(cluster)
    assert cluster.journal.is_over


@pytest.mark.parametrize("lives_for", range(TAKING_BACK))
def test_after_a_death_in_the_middle_of_taking_a_preview_back_guard_finishes_it(
    cluster: Cluster, lives_for: int
) -> None:
    deployment = staged_at(stage(cluster))
    bad = verdict(deployment, "r1", Word.FAIL)
    dying = Dying(cluster.kube, lives_for)
    with contextlib.suppress(Crash):
        returned(dying, bad, by_preview(), "r1", poll_s=POLL_S)
    journal = guarded(cluster.kube, "r1", "", poll_s=POLL_S)
    assert journal
    assert journal.is_over
    assert settled(cluster) == set()
    next_release_works(cluster)


def test_the_parametrised_writes_reach_the_end_of_a_first_release(cluster: Cluster) -> None:
    dying = Dying(cluster.kube, 1000)
    release(cluster, dying)
    assert 1000 - dying.left == WRITES


def test_the_parametrised_writes_reach_the_end_of_taking_back(cluster: Cluster) -> None:
    deployment = staged_at(stage(cluster))
    dying = Dying(cluster.kube, 1000)
    returned(dying, verdict(deployment, "r1", Word.FAIL), by_preview(), "r1", poll_s=POLL_S)
    assert 1000 - dying.left == TAKING_BACK


# -- Standard mode: the same release by that mode's own rules


def test_in_standard_mode_a_preview_passes_and_goes_live_the_same_way(standard: Cluster) -> None:
    deployment = staged_at(stage(standard))
    assert (deployment.mode, deployment.preview) == ("Standard", PREVIEW)
    assert deployment.candidate_revision == "digits-preview-blue-predictor"
    assert settled(standard) == {PREVIEW}
    outcome = promote(standard, deployment)
    assert (outcome.result, outcome.traffic) == (
        Result.PROMOTED,
        {"digits-blue-predictor": 100},
    )
    assert settled(standard) == {NAME}
    assert kinds(standard) == [ActKind.PREVIEW, ActKind.CREATE, ActKind.DISCARD]
    next_release_works(standard)


@pytest.mark.parametrize("lives_for", range(0, WRITES, 3))
def test_in_standard_mode_a_death_leaves_it_live_and_proven_or_gone(
    standard: Cluster, lives_for: int
) -> None:
    with pytest.raises(Crash):
        release(standard, Dying(standard.kube, lives_for))
    journal = guarded(standard.kube, "r1", "", poll_s=POLL_S)
    kept = journal is not None and journal.outcome is Result.PROMOTED
    assert settled(standard) == ({NAME} if kept else set())
