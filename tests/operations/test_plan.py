"""plan: what it says is what a release then does, and saying it touches nothing."""

import base64
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tests.operations.recording import Recording
from tests.operations.test_resume import release_lease
from tests.steps.traffic.test_deploy_preflight import has_gpus
from tests.steps.traffic.test_promote import Evidence, Judge, Registry, promote_, release, stage
from tests.steps.traffic.test_roll_back import Crash
from tests.steps.traffic.traffic_cluster import (
    NAME,
    POLL_S,
    Cluster,
    beyond,
    policy,
    published,
    staged_at,
    uri,
    verdict,
)
from tidegate.adapters.kubernetes import Kubernetes
from tidegate.adapters.release_lock import load_journal
from tidegate.cli import app
from tidegate.core.journal import ActKind, Journal
from tidegate.core.plan import needs
from tidegate.core.plan_documents import Plan, PlannedAct
from tidegate.documents import Deployment, Result, Word
from tidegate.errors import RejectedError, UsageError
from tidegate.operations import plan as plan_verb
from tidegate.operations.plan import planned
from tidegate.operations.plan_lines import lines
from tidegate.sandbox.api.kinds import NODES
from tidegate.steps.deploy import staged
from tidegate.steps.guard import guarded
from tidegate.steps.roll_back import returned

Acts = list[tuple[ActKind, int | None]]


def plan(cluster: Cluster, version: int, **changes: Any) -> Plan:
    subject = published(version).subject
    return planned(cluster.kube, policy(**changes), subject, storage_uri=uri(version))


def meant(acts: tuple[PlannedAct, ...]) -> Acts:
    return [(act.kind, act.percent) for act in acts]


def done(journal: Journal) -> Acts:
    return [(act.kind, act.percent) for act in journal.acts]


def test_the_acts_of_a_promotion_are_the_planned_ones(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    told = plan(cluster, 2)
    assert release(cluster, 2, Judge(), Registry()).result is Result.PROMOTED
    assert meant(told.acts) == done(cluster.journal)
    assert meant(told.acts)[0] == (ActKind.STAGE, 0)


@pytest.mark.parametrize(
    ("fails_at", "urgent", "when"),
    [
        (0, False, "at 0 %"),
        (50, False, "between 0 and 100 %"),
        (100, True, "at 100 %, users get errors"),
        (100, False, "at 100 %, for another reason"),
    ],
)
def test_the_acts_of_a_roll_back_are_the_planned_ones(
    cluster: Cluster, fails_at: int, urgent: bool, when: str
) -> None:
    class Failing(Judge):
        def __call__(self, *given: object, percent: int, since_s: float) -> Evidence:
            word = Word.FAIL if percent == fails_at else Word.PASS
            return Evidence(word, is_urgent=urgent)

    release(cluster, 1, Judge(), Registry())
    told = plan(cluster, 2)
    if fails_at:
        release(cluster, 2, Failing(), Registry())
    else:
        cluster.answers[uri(2)] = "1"
        staged(cluster.kube, published(2), policy(), "r2", poll_s=POLL_S)
    (way,) = [way for way in told.roll_back if way.when == when]
    forward = [a for a in meant(told.acts) if (a[1] or 0) <= fails_at]
    assert cluster.journal.outcome is Result.ROLLED_BACK
    assert done(cluster.journal) == [*forward, *meant(way.acts)]


def test_a_first_release_by_preview_is_planned_as_it_then_goes(cluster: Cluster) -> None:
    chosen = policy(initial="preview")
    told = plan(cluster, 1, initial="preview")
    deployment = staged(cluster.kube, published(1), chosen, "r1", poll_s=POLL_S)
    assert isinstance(deployment, Deployment)
    assert promote_(cluster, deployment, chosen, Judge()).result is Result.PROMOTED
    assert meant(told.acts) == done(cluster.journal)
    assert "+  name: digits-preview" in told.manifest_diff
    assert [need.when for need in told.capacity][1] == "while the real one comes up"


def beside(**changes: Any) -> dict[str, Any]:
    return {"load": {"baseline": "dedicated"}, **changes}


@pytest.mark.parametrize("mode", ["cluster", "standard"])
def test_a_dedicated_baseline_is_planned_with_its_acts_and_its_room(
    mode: str, request: pytest.FixtureRequest
) -> None:
    held: Cluster = request.getfixturevalue(mode)
    release(held, 1, Judge(), Registry())
    has_gpus(held, 4)
    gpu = {"resources": {"limits": {"nvidia.com/gpu": "1"}}, "ready_timeout_s": 5}
    chosen = policy(**beside(serving=gpu))
    told = planned(held.kube, chosen, published(2).subject, storage_uri=uri(2))
    deployment = staged(held.kube, published(2), chosen, "r2", poll_s=POLL_S)
    assert isinstance(deployment, Deployment), deployment
    assert promote_(held, deployment, chosen, Judge()).result is Result.PROMOTED
    assert meant(told.acts) == done(held.journal)
    assert meant(told.acts)[:3] == [
        (ActKind.BASELINE, None), (ActKind.STAGE, 0), (ActKind.RETIRE, None),
    ]  # fmt: skip
    need = told.capacity[0]
    assert need.when == "during the load test"
    assert [one.of for one in need.running] == [
        "the incumbent", "the candidate", "the dedicated baseline",
    ]  # fmt: skip
    assert need.devices == {"nvidia.com/gpu": 2}  # version 1 was released without one
    assert "dry-run of act 2" in "\n".join(lines(told))


def test_the_way_back_beside_a_dedicated_baseline_removes_it_before_the_repair(
    cluster: Cluster,
) -> None:
    release(cluster, 1, Judge(), Registry())
    told, chosen = plan(cluster, 2, **beside()), policy(**beside())
    deployment = staged(cluster.kube, published(2), chosen, "r2", poll_s=POLL_S)
    assert isinstance(deployment, Deployment), deployment
    bad = verdict(deployment, "r2", Word.FAIL)
    returned(cluster.kube, bad, chosen, "r2", poll_s=POLL_S)
    way = told.roll_back[0]
    assert done(cluster.journal) == [*meant(told.acts)[:2], *meant(way.acts)]


def test_a_first_release_is_told_that_it_has_no_dedicated_baseline(cluster: Cluster) -> None:
    told = plan(cluster, 1, **beside())
    assert "a first release has no incumbent to copy" in told.notices[0]
    assert ActKind.BASELINE not in [act.kind for act in told.acts]


def test_the_way_back_of_a_preview_is_its_removal(cluster: Cluster) -> None:
    told = plan(cluster, 1, initial="preview")
    cluster.answers[uri(1)] = "7"
    staged(cluster.kube, published(1), policy(initial="preview"), "r1", poll_s=POLL_S)
    way = told.roll_back[0]
    assert way.when == "before digits is created"
    assert done(cluster.journal) == [meant(told.acts)[0], *meant(way.acts)]


def test_a_first_release_is_planned_as_it_then_goes(cluster: Cluster) -> None:
    told = plan(cluster, 1)
    release(cluster, 1, Judge(), Registry())
    assert meant(told.acts) == done(cluster.journal) == [(ActKind.CREATE, 100)]
    assert told.manifest_diff.count("\n+") > 10


def test_the_diff_is_what_the_api_then_has(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    changes = {"serving": {"ready_timeout_s": 5, "min_replicas": 2, "max_replicas": 3}}
    told = plan(cluster, 2, **changes)
    before = cluster.service.manifest()
    result = staged(cluster.kube, published(2), policy(**changes), "r2", poll_s=POLL_S)
    assert isinstance(result, Deployment), result
    after = cluster.service.manifest()
    assert after
    assert told.manifest_diff == plan_verb.unified(before, after)
    for line in (
        f"-      storageUri: {uri(1)}",
        "+    canaryTrafficPercent: 0",
        "+    minReplicas: 2",
    ):
        assert line in told.manifest_diff


def test_a_plan_touches_nothing(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    version, recording = cluster.api.store.version, Recording(cluster.kube)
    planned(recording, policy(), published(2).subject, storage_uri=uri(2))
    assert recording.writes == []
    assert [m for m, _, q in recording.asked if q.get("dryRun") == "All"] == ["PATCH"]
    assert cluster.api.store.version == version


def test_a_plan_of_a_first_release_touches_nothing(cluster: Cluster) -> None:
    version, recording = cluster.api.store.version, Recording(cluster.kube)
    planned(recording, policy(), published(1).subject, storage_uri=uri(1))
    assert recording.writes == []
    assert cluster.api.store.version == version
    assert cluster.service.look() is None


@pytest.mark.parametrize(
    ("changes", "version"),
    [({}, 3), ({}, 1), ({"serving": {"mode": "Standard"}}, 3)],
    ids=["another release runs", "unchanged", "mode"],
)
def test_a_release_that_would_be_refused_is_refused_in_deploys_own_words(
    cluster: Cluster, changes: dict[str, Any], version: int
) -> None:
    release(cluster, 1, Judge(), Registry())
    if not changes and version == 3:
        stage(cluster, 2)
    told = plan(cluster, version, **changes)
    refusal = staged(cluster.kube, published(version), policy(**changes), "r", poll_s=POLL_S)
    assert not isinstance(refusal, Deployment)
    assert told.refused is refusal.word
    seconds = refusal.reason.partition(", for ")[0]
    assert told.refusal.startswith(seconds)
    assert told.acts == ()


def test_a_release_that_would_wait_for_its_turn_says_so(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stage(cluster, 2)
    told = plan(cluster, 3, busy="wait", busy_timeout_s=60)
    assert told.refusal.endswith("waits up to 60 s for its turn (busy: wait); plan again then")


def test_a_first_release_without_leave_is_refused(cluster: Cluster) -> None:
    assert "write initial: preview" in plan(cluster, 1, initial="refuse").refusal


def test_a_dead_release_is_announced_as_undone_first(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stage(cluster, 2)
    late(cluster)
    told = plan(cluster, 3)
    assert told.notices == ("release r2 has died; deploy undoes it first",)


def late(cluster: Cluster) -> None:
    from tidegate.adapters.release_lock import save_journal

    stored = load_journal(cluster.kube, "default", NAME)
    assert stored
    save_journal(cluster.kube, stored.journal.model_copy(update={"deadline_s": 1.0}), stored)


def test_a_candidate_that_is_not_published_has_a_placeholder(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_STORAGE_URI", "s3://models/tidegate")
    release(cluster, 1, Judge(), Registry())
    told = planned(cluster.kube, policy(), published(2).subject)
    assert (told.storage_uri, told.is_placeholder) == (
        "s3://models/tidegate/digits/2-DIGEST/",
        True,
    )
    assert "placeholder: the digest is known after publish" in "\n".join(lines(told))
    again = planned(cluster.kube, policy(), published(1).subject)
    assert "the release ends UNCHANGED" in again.notices[0]


def test_without_a_storage_the_placeholder_is_refused(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TIDEGATE_STORAGE_URI", raising=False)
    with pytest.raises(UsageError, match="TIDEGATE_STORAGE_URI is not set"):
        planned(cluster.kube, policy(), published(2).subject)


def test_a_manifest_that_the_api_refuses_is_refused_by_the_plan(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    broken = beyond(policy(), min_replicas=3, max_replicas=2)
    with pytest.raises(RejectedError, match="MinReplicas cannot be greater than MaxReplicas"):
        planned(cluster.kube, broken, published(2).subject, storage_uri=uri(2))


def test_a_plan_says_what_each_step_needs_and_that_nothing_passes_without_prometheus(
    cluster: Cluster,
) -> None:
    release(cluster, 1, Judge(), Registry())
    told = plan(cluster, 2, slo={"prometheus": False})
    text = "\n".join(lines(told))
    assert (
        "2. SHIFT 10 %: give the candidate 10 %; then bake 0.05 to 0.3 s, 100 requests or more"
        in text
    )
    assert "alias champion -> version 2" in text
    assert "no live gate can PASS" in text


def test_a_roll_back_needs_three_sets_of_gpus_at_once() -> None:
    gpu = {"limits": {"nvidia.com/gpu": "1"}, "requests": {"cpu": "4"}}
    now = {"minReplicas": 2, "model": {"resources": gpu}}
    staged_, promoted_, repaired = needs(now, {"predictor": now}, mode="Knative")
    assert staged_.devices == {"nvidia.com/gpu": 4}
    assert promoted_.devices == {"nvidia.com/gpu": 2}
    assert repaired.devices == {"nvidia.com/gpu": 6}
    assert [one.replicas for one in repaired.running] == [2, 2, 2]


def test_the_capacity_of_the_candidate_is_that_of_the_merged_manifest(cluster: Cluster) -> None:
    """What the policy does not name and no release wrote, the merge-patch leaves as it is."""
    release(cluster, 1, Judge(), Registry())
    theirs = {"model": {"resources": {"limits": {"nvidia.com/gpu": "1"}}}}
    cluster.service.patch({"spec": {"predictor": theirs}})
    cluster.wait(lambda: any(one.endswith("-00002") for one in cluster.traffic))
    assert plan(cluster, 2).capacity[-1].devices == {"nvidia.com/gpu": 3}


def test_a_plan_survives_its_json(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    told = plan(cluster, 2)
    assert Plan.model_validate_json(told.model_dump_json()) == told


def test_in_standard_mode_too_the_acts_are_the_planned_ones(standard: Cluster) -> None:
    two = {"ready_timeout_s": 5, "min_replicas": 2, "max_replicas": 2}
    first = staged(standard.kube, published(1), policy(serving=two), "r1", poll_s=POLL_S)
    promote_(standard, staged_at(first), policy(serving=two), Judge())
    told = plan(standard, 2, serving=two)
    deployment = staged(standard.kube, published(2), policy(serving=two), "r2", poll_s=POLL_S)
    outcome = promote_(standard, staged_at(deployment), policy(serving=two), Judge())
    assert outcome.result is Result.PROMOTED, outcome
    assert meant(told.acts) == done(standard.journal)
    assert (ActKind.SCALE, 50) in meant(told.acts)
    assert told.mode == "Standard"
    assert "trafficPercent: 0" in told.manifest_diff
    assert [one.replicas for one in told.capacity[0].running] == [2, 2]


class DyingAfterTheRename(Kubernetes):
    def once(
        self, method: str, path: str, body: Any, query: Mapping[str, str] | None
    ) -> dict[str, Any]:
        answer = super().once(method, path, body, query)
        if method == "PATCH" and "name" in (body or {}).get("spec", {}).get("predictor", {}):
            raise Crash
        return answer


@pytest.mark.parametrize(
    ("fails_at", "when"),
    [(0, "at 0 %"), (50, "with a share, up to 100 %"), (100, "after the rename")],
)
def test_in_standard_mode_too_the_way_back_is_the_planned_one(
    standard: Cluster, fails_at: int, when: str
) -> None:
    release(standard, 1, Judge(), Registry())
    told, alive = plan(standard, 2), standard.kube
    if fails_at == 100:
        standard.kube = DyingAfterTheRename(alive._client, retry_s=2)
    judge = Judge(at_50=Word.FAIL) if fails_at == 50 else Judge()
    with contextlib.suppress(Crash):
        deployment = stage(standard, 2)
        if fails_at:
            promote_(standard, deployment, policy(), judge)
    standard.kube = alive
    release_lease(standard)
    guarded(alive, "r2", "", poll_s=POLL_S)
    (way,) = [way for way in told.roll_back if way.when == when]
    assert done(standard.journal)[-len(way.acts) :] == meant(way.acts)
    assert standard.serving == {uri(1)}


def test_the_command_needs_what_a_release_needs(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    text = yaml.safe_dump(policy().model_dump(mode="json", include={"name", "model"}))
    encoded = base64.b64encode(text.encode()).decode()
    ended = CliRunner().invoke(app, ["plan", f"base64:{encoded}"])
    assert isinstance(ended.exception, UsageError)
    assert "MLFLOW_TRACKING_URI" in str(ended.exception)


def test_a_plan_names_what_the_nodes_lack_for_the_policys_gpu(cluster: Cluster) -> None:
    lacking = plan(cluster, 1, serving={"gpu": {}})
    assert lacking.refused is Word.INVALID
    assert "no ready node offers it; add a GPU node" in lacking.refusal
    ready = [{"type": "Ready", "status": "True"}]
    status = {"allocatable": {"nvidia.com/gpu": "2"}, "conditions": ready}
    cluster.api.store.create(NODES, {"metadata": {"name": "gpu-1"}, "status": status})
    on_gpus = {"gpu": {}, "ready_timeout_s": 5}
    first = staged(cluster.kube, published(1), policy(serving=on_gpus), "r1", poll_s=POLL_S)
    promote_(cluster, staged_at(first), policy(), Judge())
    told = [one for one in plan(cluster, 2, serving=on_gpus).notices if "GPU" in one]
    assert len(told) == 1
    assert "room for 2 pods on 1 nodes" in told[0]
    assert "repairing a roll-back takes 3; a roll-back returns the traffic at once" in told[0]


def test_a_plan_says_what_scaling_to_none_means_for_a_release(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    changes: dict[str, Any] = {
        "serving": {"min_replicas": 0, "scaling": {"kind": "kpa"}},
        "traffic": {"steps": [100], "keep_warm_s": 600},
    }
    told = plan(cluster, 2, **changes)
    assert told.refusal == ""
    assert any(
        "after 600 s of silence the next request meets a cold start" in n for n in told.notices
    )
