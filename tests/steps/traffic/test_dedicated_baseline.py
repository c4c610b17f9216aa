"""A dedicated baseline: beside the candidate while it is judged, and never after, whatever dies."""

import contextlib
import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.steps.traffic.test_promote import Judge, promote_, release
from tests.steps.traffic.test_promote import Registry as Champion
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
from tidegate.core.dedicated_baseline import baseline_name
from tidegate.core.journal import ActKind, Phase
from tidegate.core.observation import Observation
from tidegate.documents import Deployment, Outcome, Refusal, Result, Word
from tidegate.errors import RejectedError
from tidegate.operations.abort import aborted
from tidegate.operations.finding import found
from tidegate.operations.status import statuses
from tidegate.policy import Policy
from tidegate.sandbox.api.kinds import INFERENCESERVICES
from tidegate.sandbox.interfaces import RevisionStatus
from tidegate.steps.deploy import staged
from tidegate.steps.guard import guarded
from tidegate.steps.roll_back import returned
from tidegate.steps.sweep import swept

BASE = baseline_name(NAME, "r2")


def dedicated(**changes: Any) -> Policy:
    return policy(load={"baseline": "dedicated"}, **changes)


def stage(cluster: Cluster, version: int = 2, **changes: Any) -> Deployment | Refusal:
    chosen = dedicated(**changes)
    return staged(cluster.kube, published(version), chosen, f"r{version}", poll_s=POLL_S)


def promote(cluster: Cluster, deployment: Deployment, judge: Judge | None = None) -> Outcome:
    return promote_(cluster, deployment, dedicated(), judge or Judge())


def whole(cluster: Cluster, kube: Kubernetes, version: int = 2) -> Outcome:
    """A release from its staging on, through this client."""
    alive, cluster.kube = cluster.kube, kube
    try:
        return promote(cluster, staged_at(stage(cluster, version)))
    finally:
        cluster.kube = alive


def look(cluster: Cluster, name: str) -> Observation | None:
    return InferenceServices(cluster.kube, "default", name).look()


def left(cluster: Cluster) -> list[str]:
    """Dedicated baselines of anybody."""
    items = cluster.api.store.items(INFERENCESERVICES)
    marked = "tidegate.dev/baseline-of"
    return [i["metadata"]["name"] for i in items if marked in i["metadata"].get("labels", {})]


def kinds(cluster: Cluster) -> list[ActKind]:
    acts = cluster.journal.acts
    assert all(act.confirmed_s is not None for act in acts), acts
    return [act.kind for act in acts]


class Undeletable(Kubernetes):
    """InferenceServices cannot be deleted, as without the verb in the Role."""

    def __init__(self, kube: Kubernetes) -> None:
        super().__init__(kube._client, retry_s=0.3)

    def once(
        self, method: str, path: str, body: dict[str, Any] | None, query: Mapping[str, str] | None
    ) -> dict[str, Any]:
        if method == "DELETE" and "/inferenceservices/" in path:
            raise RejectedError(f"{method} {path}: HTTP 403: forbidden")
        return super().once(method, path, body, query)


@pytest.fixture
def serving_1(cluster: Cluster) -> Cluster:
    release(cluster, 1, Judge(), Champion())
    return cluster


# -- the way forward


def test_a_copy_of_the_incumbent_comes_up_beside_the_candidate_and_production_does_not_move(
    serving_1: Cluster,
) -> None:
    deployment = staged_at(stage(serving_1))
    assert deployment.baseline
    assert (deployment.baseline.name, deployment.baseline.revision) == (
        BASE,
        f"{BASE}-predictor-00001",
    )
    assert deployment.baseline.host == f"latest-{BASE}-predictor.default.example.com"
    seen = look(serving_1, BASE)
    assert seen
    assert (seen.storage_uri, seen.created_by) == (uri(1), "r2")
    assert seen.labels["tidegate.dev/baseline-of"] == NAME
    assert serving_1.serving == {uri(1)}
    assert all(set(shares.values()) <= {100, 0} for shares in serving_1.ingress.seen)
    assert kinds(serving_1) == [ActKind.BASELINE, ActKind.STAGE]


def test_a_load_test_measures_the_copy_in_the_incumbents_place(serving_1: Cluster) -> None:
    deployment = staged_at(stage(serving_1))
    measured = deployment.as_measured
    assert measured.incumbent
    assert deployment.incumbent
    assert measured.incumbent.revision == f"{BASE}-predictor-00001"
    assert measured.incumbent_host == f"latest-{BASE}-predictor.default.example.com"
    assert measured.incumbent.version == deployment.incumbent.version
    assert deployment.incumbent.revision == "digits-predictor-00001"


def test_it_is_gone_before_production_moves(serving_1: Cluster) -> None:
    there_at: list[list[str]] = []

    class Watching(Judge):
        def __call__(self, *given: object, percent: int, since_s: float) -> Any:
            there_at.append(left(serving_1))
            return super().__call__(*given, percent=percent, since_s=since_s)

    outcome = promote(serving_1, staged_at(stage(serving_1)), Watching())
    assert outcome.result is Result.PROMOTED
    assert len(there_at) >= 3
    assert all(not names for names in there_at)
    assert serving_1.serving == {uri(2)}
    assert kinds(serving_1) == [
        ActKind.BASELINE, ActKind.STAGE, ActKind.RETIRE, ActKind.SHIFT, ActKind.SHIFT, ActKind.SHIFT,
    ]  # fmt: skip


def test_a_second_run_of_the_same_deploy_finds_it(serving_1: Cluster) -> None:
    first = staged_at(stage(serving_1))
    assert staged_at(stage(serving_1)) == first
    assert left(serving_1) == [BASE]


def test_a_first_release_has_none_and_goes_on(cluster: Cluster) -> None:
    deployment = staged_at(stage(cluster, 1))
    assert deployment.baseline is None
    assert left(cluster) == []


# -- the way back


def test_one_that_does_not_come_up_is_no_fault_of_the_candidate_which_is_never_staged(
    serving_1: Cluster,
) -> None:
    crashed = RevisionStatus(phase="Failed", reason="CrashLoop", message="no GPU", exit_code=1)
    serving_1.runtime.fates_of_new[uri(1)] = crashed
    result = stage(serving_1)
    assert isinstance(result, Refusal)
    assert result.word is Word.INVALID
    assert f"the dedicated baseline does not come up: {BASE}: " in result.reason
    assert "no GPU" in result.reason
    assert left(serving_1) == []
    assert kinds(serving_1) == [ActKind.BASELINE, ActKind.RETIRE]
    seen = serving_1.service.look()
    assert seen
    assert seen.created == "digits-predictor-00001"
    assert serving_1.journal.outcome is Result.ROLLED_BACK


def test_a_gate_that_fails_removes_it_and_returns_the_spec(serving_1: Cluster) -> None:
    deployment = staged_at(stage(serving_1))
    bad = verdict(deployment, "r2", Word.FAIL)
    outcome = returned(serving_1.kube, bad, dedicated(), "r2", poll_s=POLL_S)
    assert (outcome.result, outcome.spec_repaired) == (Result.ROLLED_BACK, True)
    assert left(serving_1) == []
    assert serving_1.serving == {uri(1)}
    assert kinds(serving_1)[2] is ActKind.RETIRE  # before the repair, which needs the room


def test_abort_and_sweep_remove_it_too(serving_1: Cluster) -> None:
    staged_at(stage(serving_1))
    aborted(serving_1.kube, found(serving_1.kube, NAME, "default"), who="ann", poll_s=POLL_S)
    assert left(serving_1) == []
    staged_at(stage(serving_1, 3))
    assert left(serving_1) == [baseline_name(NAME, "r3")]
    assert swept(serving_1.kube, "", now_s=time.time() + 1e6, poll_s=POLL_S).returned == 1
    assert left(serving_1) == []
    assert serving_1.serving == {uri(1)}


# -- what belongs to others


def test_one_that_somebody_replaced_is_left_alone(serving_1: Cluster) -> None:
    deployment = staged_at(stage(serving_1))
    there = InferenceServices(serving_1.kube, "default", BASE)
    seen = look(serving_1, BASE)
    assert seen
    there.delete(seen.uid)
    serving_1.wait(lambda: look(serving_1, BASE) is None)
    theirs = serving_1.service.manifest()
    assert theirs
    metadata = {
        "name": BASE,
        "namespace": "default",
        "annotations": theirs["metadata"]["annotations"],
    }
    predictor = {
        k: v for k, v in theirs["spec"]["predictor"].items() if k != "canaryTrafficPercent"
    }
    kind = {"apiVersion": theirs["apiVersion"], "kind": theirs["kind"]}
    there.create({**kind, "metadata": metadata, "spec": {"predictor": predictor}})
    assert promote(serving_1, deployment).result is Result.PROMOTED
    assert look(serving_1, BASE) is not None


# -- a removal that fails


def test_one_that_does_not_go_holds_nothing_up_and_is_told_until_sweep_removes_it(
    serving_1: Cluster,
) -> None:
    outcome = whole(serving_1, Undeletable(serving_1.kube))
    assert outcome.result is Result.PROMOTED
    assert serving_1.serving == {uri(2)}
    assert f"kubectl -n default delete inferenceservice {BASE}" in outcome.reason
    assert left(serving_1) == [BASE]
    status = statuses(serving_1.kube, NAME, "default")[0][0]
    assert (status.copies, status.next_command) == ((BASE,), "tidegate sweep --namespace default")
    with pytest.raises(RejectedError, match=f"{BASE} could not be removed"):
        swept(Undeletable(serving_1.kube), "", now_s=time.time(), poll_s=POLL_S)
    swept(serving_1.kube, "", now_s=time.time(), poll_s=POLL_S)
    assert left(serving_1) == []
    assert statuses(serving_1.kube, NAME, "default")[0][0].copies == ()


def test_a_roll_back_is_done_whatever_becomes_of_it_and_guard_tries_again(
    serving_1: Cluster,
) -> None:
    deployment = staged_at(stage(serving_1))
    bad = verdict(deployment, "r2", Word.FAIL)
    outcome = returned(Undeletable(serving_1.kube), bad, dedicated(), "r2", poll_s=POLL_S)
    assert (outcome.result, outcome.traffic_safe, outcome.spec_repaired) == (
        Result.ROLLED_BACK,
        True,
        True,
    )
    assert f"{BASE} could not be removed" in outcome.reason
    guarded(serving_1.kube, "r2", "", poll_s=POLL_S)
    assert left(serving_1) == []


def test_the_next_release_removes_what_is_left_or_does_not_begin(serving_1: Cluster) -> None:
    whole(serving_1, Undeletable(serving_1.kube))
    alive, serving_1.kube = serving_1.kube, Undeletable(serving_1.kube)
    refused = stage(serving_1, 3)
    serving_1.kube = alive
    assert isinstance(refused, Refusal)
    assert f"of release r2, {BASE} could not be removed" in refused.reason
    staged_at(stage(serving_1, 3))
    assert left(serving_1) == [baseline_name(NAME, "r3")]


# -- deaths

LONGEST = 60  # more writes than a release with one makes


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lives=st.integers(0, LONGEST),
    second=st.integers(0, 12),
    rescuers=st.lists(st.sampled_from(["guard", "sweep", "deploy again"]), max_size=2),
    word=st.sampled_from([Word.PASS, Word.FAIL]),
)
def test_whatever_dies_no_baseline_is_left_and_one_version_serves(
    serving_1: Cluster, lives: int, second: int, rescuers: list[str], word: Word
) -> None:
    """A release dies, then those who come after it die as well, until a sweep lives to its end."""
    before = serving_1.serving
    version = max(int(one.rstrip("/").rsplit("/", 1)[1]) for one in _uris(serving_1)) + 1
    _dying(serving_1, lives, lambda: _released(serving_1, version, word))
    for rescuer in rescuers:
        _dying(serving_1, second, lambda rescuer=rescuer: _rescued(serving_1, rescuer, version))
    swept(serving_1.kube, "", now_s=time.time() + 1e6, poll_s=POLL_S)
    assert left(serving_1) == []
    journal = serving_1.journal
    assert journal.is_over
    assert journal.copies_left == ()
    is_promoted = journal.outcome is Result.PROMOTED and journal.release_id == f"r{version}"
    wanted = {uri(version)} if is_promoted else before
    serving_1.wait(lambda: serving_1.serving == wanted)


def _uris(cluster: Cluster) -> list[str]:
    return [spec.storage_uri for spec in cluster.runtime.specs.values()]


def _dying(cluster: Cluster, lives: int, act: Any) -> None:
    alive, cluster.kube = cluster.kube, Dying(cluster.kube, lives)
    with contextlib.suppress(Crash):
        act()
    cluster.kube = alive
    let_lease_expire(cluster)


def let_lease_expire(cluster: Cluster) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/default/leases/tidegate-{NAME}"
    lease = cluster.kube.find(path)
    if lease and lease["spec"].get("holderIdentity"):
        lease["spec"]["renewTime"] = "2020-01-01T00:00:00.000000Z"
        cluster.kube.request("PUT", path, lease)


def _released(cluster: Cluster, version: int, word: Word) -> None:
    deployment = stage(cluster, version)
    if not isinstance(deployment, Deployment):
        return
    if word is Word.PASS:
        promote(cluster, deployment)
        return
    bad = verdict(deployment, f"r{version}", word)
    returned(cluster.kube, bad, dedicated(), f"r{version}", poll_s=POLL_S)


def _rescued(cluster: Cluster, rescuer: str, version: int) -> None:
    if rescuer == "guard":
        guarded(cluster.kube, f"r{version}", "", poll_s=POLL_S)
    elif rescuer == "sweep":
        swept(cluster.kube, "", now_s=time.time() + 1e6, poll_s=POLL_S)
    else:
        stage(cluster, version)


def test_a_death_between_the_note_and_the_creation_leaves_nothing_and_is_known(
    serving_1: Cluster,
) -> None:
    class BeforeIt(Dying):
        def once(self, method: str, path: str, body: Any, query: Any) -> dict[str, Any]:
            if method == "POST" and path.endswith("/inferenceservices"):
                raise Crash("before the copy is made")
            return super().once(method, path, body, query)

    with pytest.raises(Crash):
        whole(serving_1, BeforeIt(serving_1.kube, 1000))
    journal = serving_1.journal
    assert journal.phase is Phase.STAGING
    assert [copy.name for copy in journal.copies_left] == [BASE]
    let_lease_expire(serving_1)
    guarded(serving_1.kube, "r2", "", poll_s=POLL_S)
    assert serving_1.journal.outcome is Result.DIED
    assert left(serving_1) == []
    assert serving_1.serving == {uri(1)}


# -- Standard mode


def test_in_standard_mode_it_is_one_pod_beside_the_canary_and_goes_the_same_way(
    standard: Cluster,
) -> None:
    release(standard, 1, Judge(), Champion())
    deployment = staged_at(stage(standard))
    assert deployment.baseline
    assert deployment.baseline.revision == f"{BASE}-blue-predictor"
    assert deployment.baseline.host == f"{BASE}-blue-predictor.default.svc.cluster.local"
    assert deployment.pods[f"{BASE}-blue-predictor"] == 1
    assert standard.serving == {uri(1)}
    assert promote(standard, deployment).result is Result.PROMOTED
    assert left(standard) == []
    assert standard.serving == {uri(2)}


@pytest.mark.parametrize("lives_for", range(0, 44, 7))
def test_in_standard_mode_a_death_leaves_none_behind(standard: Cluster, lives_for: int) -> None:
    release(standard, 1, Judge(), Champion())
    with contextlib.suppress(Crash):
        whole(standard, Dying(standard.kube, lives_for))
    journal = guarded(standard.kube, "r2", "", poll_s=POLL_S)
    assert left(standard) == []
    kept = journal is not None and journal.outcome is Result.PROMOTED
    standard.wait(lambda: standard.serving == {uri(2 if kept else 1)})
