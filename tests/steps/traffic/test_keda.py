"""KEDA in Standard mode: it scales the candidate from the first share on, by an object of the release."""

from typing import Any

import pytest

from tests.steps.traffic.test_deploy import refused
from tests.steps.traffic.test_promote import Evidence, Judge, Registry, promote_
from tests.steps.traffic.test_roll_back import Crash, Dying
from tests.steps.traffic.test_standard_mode import DyingAfterItsRename
from tests.steps.traffic.traffic_cluster import (
    NAME,
    POLL_S,
    Cluster,
    policy,
    published,
    staged_at,
    uri,
)
from tidegate.adapters.keda import ScaledObjects
from tidegate.adapters.kubernetes import Kubernetes
from tidegate.adapters.release_lock import load_journal
from tidegate.core.decisions import Act, Done, Refuse, Wait
from tidegate.core.journal import ActKind
from tidegate.core.keda_scaling import next_for_scaler, next_for_unscaled, wanted_for
from tidegate.documents import Deployment, Refusal, Result, Word
from tidegate.errors import ConflictError, RejectedError
from tidegate.operations.plan import planned
from tidegate.operations.rollback import rolled_back
from tidegate.policy import Policy
from tidegate.sandbox.api.kinds import SCALEDOBJECTS
from tidegate.steps.deploy import staged
from tidegate.steps.guard import guarded
from tidegate.steps.traffic_driver import Driver
from tidegate.steps.writing import written

BLUE, GREEN = f"{NAME}-blue-predictor", f"{NAME}-green-predictor"
LABEL = {"app.kubernetes.io/managed-by": "tidegate"}


def keda(most: int = 4, **changes: Any) -> Policy:
    scaling = {"kind": "keda", "triggers": [{"kind": "queue_time", "threshold": 20}]}
    serving = {"ready_timeout_s": 5, "max_replicas": most, "scaling": scaling}
    return policy(serving=serving, **changes)


def stage(cluster: Cluster, version: int, chosen: Policy | None = None) -> Deployment | Refusal:
    chosen = chosen or keda()
    return staged(cluster.kube, published(version), chosen, f"r{version}", poll_s=POLL_S)


def release(
    cluster: Cluster, version: int, judge: Any = None, chosen: Policy | None = None
) -> Result:
    chosen = chosen or keda()
    deployment = staged_at(stage(cluster, version, chosen))
    return promote_(cluster, deployment, chosen, judge or Judge()).result


def scaled(cluster: Cluster) -> dict[str, int]:
    """ScaledObject -> its most replicas; each targets the Deployment of its own name."""
    found = cluster.api.store.items(SCALEDOBJECTS)
    assert all(o["spec"]["scaleTargetRef"]["name"] == o["metadata"]["name"] for o in found)
    return {o["metadata"]["name"]: o["spec"]["maxReplicaCount"] for o in found}


def acts(cluster: Cluster) -> list[tuple[ActKind, int | None]]:
    return [(act.kind, act.percent) for act in cluster.journal.acts]


def test_the_candidate_is_scaled_from_its_first_share_on_and_not_while_it_is_measured(
    standard: Cluster,
) -> None:
    assert release(standard, 1) is Result.PROMOTED
    assert scaled(standard) == {BLUE: 4}
    deployment = staged_at(stage(standard, 2))
    assert scaled(standard) == {BLUE: 4}
    promote_(standard, deployment, keda(), Judge())
    assert scaled(standard) == {BLUE: 4, GREEN: 4}
    assert standard.serving == {uri(2)}
    kinds = [kind for kind, _ in acts(standard)]
    assert kinds[:3] == [ActKind.STAGE, ActKind.FOLLOW, ActKind.SHIFT]
    assert all(act.confirmed_s for act in standard.journal.acts)


def test_bounds_are_those_of_the_version_that_has_the_name(standard: Cluster) -> None:
    release(standard, 1)
    release(standard, 2, chosen=keda(6))
    assert scaled(standard) == {BLUE: 4, GREEN: 6}
    release(standard, 3, chosen=keda(8))
    assert scaled(standard) == {BLUE: 8, GREEN: 6}


def test_what_a_release_that_was_taken_back_left_scales_no_later_candidate(
    standard: Cluster,
) -> None:
    class Failing(Judge):
        def __call__(self, *given: object, percent: int, since_s: float) -> Evidence:
            return Evidence(Word.FAIL)

    release(standard, 1)
    assert release(standard, 2, Failing()) is Result.ROLLED_BACK
    assert scaled(standard) == {BLUE: 4, GREEN: 4}
    told = planned(standard.kube, keda(), published(3).subject, storage_uri=uri(3))
    deployment = staged_at(stage(standard, 3))
    assert scaled(standard) == {BLUE: 4}
    assert promote_(standard, deployment, keda(), Judge()).result is Result.PROMOTED
    assert [(act.kind, act.percent) for act in told.acts] == acts(standard)
    assert acts(standard)[0] == (ActKind.UNFOLLOW, None)


def back(cluster: Cluster, to: str) -> None:
    stored = load_journal(cluster.kube, "default", NAME)
    assert stored
    rolled_back(
        cluster.kube, stored, to, who="ann", aliases=Registry().aliases,
        poll_s=POLL_S, judge_every_s=POLL_S,
    )  # fmt: skip


def test_a_version_that_is_brought_back_is_scaled_by_the_bounds_of_the_last_policy(
    standard: Cluster,
) -> None:
    release(standard, 1)
    release(standard, 2, chosen=keda(6))
    back(standard, "1")
    assert standard.serving == {uri(1)}
    assert scaled(standard) == {BLUE: 6, GREEN: 6}


def test_what_comes_back_after_the_rename_is_scaled_by_the_object_that_it_had(
    standard: Cluster,
) -> None:
    release(standard, 1)
    deployment = staged_at(stage(standard, 2, keda(6)))
    alive, standard.kube = standard.kube, DyingAfterItsRename(standard.kube, 1000)
    with pytest.raises(Crash):
        promote_(standard, deployment, keda(6), Judge())
    standard.kube = alive
    assert guarded(standard.kube, "r2", "", poll_s=POLL_S)
    assert standard.traffic == {BLUE: 100}
    assert standard.serving == {uri(1)}
    assert scaled(standard) == {BLUE: 4, GREEN: 6}


class Forbidden(Kubernetes):
    """The account may look at ScaledObjects, and write none."""

    def __init__(self, kube: Kubernetes) -> None:
        super().__init__(kube._client, retry_s=2)

    def once(self, method: str, path: str, body: Any, query: Any) -> dict[str, Any]:
        if method != "GET" and "/scaledobjects" in path:
            raise RejectedError(f"{method} {path}: HTTP 403: cannot write scaledobjects")
        return super().once(method, path, body, query)


def test_a_first_release_whose_object_may_not_be_written_stays_live(standard: Cluster) -> None:
    standard.kube = Forbidden(standard.kube)
    assert release(standard, 1) is Result.PROMOTED
    assert f"warning: nothing scales {BLUE}: POST" in standard.journal.reason
    guarded(standard.kube, "r1", "", poll_s=POLL_S)
    assert standard.serving == {uri(1)}


@pytest.mark.parametrize("trouble", ["no KEDA", "forbidden", "somebody else's"])
def test_a_roll_back_is_not_kept_from_bringing_a_version_back_by_keda(
    standard: Cluster, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    release(standard, 1)
    release(standard, 2)
    objects = ScaledObjects(standard.kube, "default")
    if trouble == "somebody else's":
        ours = objects.look(BLUE)
        assert ours
        objects.delete(ours)
        put_by_somebody_else(standard, BLUE)
    if trouble == "no KEDA":
        monkeypatch.setattr(ScaledObjects, "is_installed", lambda self: False)
    standard.kube = Forbidden(standard.kube) if trouble == "forbidden" else standard.kube
    back(standard, "1")
    assert (standard.serving, standard.journal.outcome) == ({uri(1)}, Result.PROMOTED)
    warned = f"warning: nothing scales {BLUE}" in standard.journal.reason
    assert warned == (trouble == "somebody else's")


def put_by_somebody_else(cluster: Cluster, name: str) -> None:
    theirs = wanted_for(keda(9), name)
    assert theirs
    theirs["metadata"].pop("labels")
    ScaledObjects(cluster.kube, "default").create(theirs)


def test_one_that_somebody_else_put_in_its_place_since_the_look_is_left_alone(
    standard: Cluster,
) -> None:
    """Once before the removal is asked for, and once before it is carried out."""
    release(standard, 1)
    objects = ScaledObjects(standard.kube, "default")
    ours = objects.look(BLUE)
    assert ours
    objects.delete(ours)
    put_by_somebody_else(standard, BLUE)
    stored = load_journal(standard.kube, "default", NAME)
    assert stored
    act = Act(kind=ActKind.UNFOLLOW, name=BLUE, why="decided before")
    driver = Driver(standard.kube, stored, step="deploy", policy=keda())
    written(driver, act, standard.service.look(), keda())
    with pytest.raises(ConflictError):
        objects.delete(ours)
    assert scaled(standard) == {BLUE: 9}


def test_somebody_elses_object_is_named_and_left_alone(standard: Cluster) -> None:
    release(standard, 1)
    put_by_somebody_else(standard, GREEN)
    told = planned(standard.kube, keda(), published(2).subject, storage_uri=uri(2))
    assert (told.refused, told.acts) == (Word.INVALID, ())
    assert f"ScaledObject default/{GREEN} is not tidegate's" in told.refusal
    said = refused(
        stage(standard, 2), Word.INVALID, f"ScaledObject default/{GREEN} is not tidegate's"
    ).reason
    assert f"label scaledobject {GREEN} app.kubernetes.io/managed-by=tidegate" in said
    assert scaled(standard)[GREEN] == 9
    assert standard.serving == {uri(1)}


def test_a_first_release_is_live_and_warns_of_what_nothing_scales(standard: Cluster) -> None:
    put_by_somebody_else(standard, BLUE)
    assert release(standard, 1) is Result.PROMOTED
    assert standard.serving == {uri(1)}
    assert f"warning: nothing scales {BLUE}: ScaledObject default/{BLUE} is not tidegate's" in (
        standard.journal.reason
    )


@pytest.mark.parametrize("lives_for", range(9))
def test_after_a_death_at_any_write_about_the_object_production_is_whole(
    standard: Cluster, lives_for: int
) -> None:
    """Of the promotion, up to its first share; and of the staging after it, which removes what was left."""
    release(standard, 1)
    deployment = staged_at(stage(standard, 2))
    alive, standard.kube = standard.kube, Dying(standard.kube, lives_for)
    with pytest.raises(Crash):
        promote_(standard, deployment, keda(), Judge())
    standard.kube = alive
    journal = guarded(standard.kube, "r2", "", poll_s=POLL_S)
    assert journal
    assert (journal.outcome, standard.serving) == (Result.DIED, {uri(1)})
    with pytest.raises(Crash):
        staged(Dying(alive, lives_for), published(3), keda(), "r3", poll_s=POLL_S)
    guarded(standard.kube, "r3", "", poll_s=POLL_S)
    assert standard.serving == {uri(1)}
    assert release(standard, 4) is Result.PROMOTED
    assert set(scaled(standard)) == {BLUE, GREEN}


def test_a_cluster_without_keda_is_refused_before_the_first_write(
    standard: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(standard, 1)
    monkeypatch.setattr(ScaledObjects, "is_installed", lambda self: False)
    refused(stage(standard, 2), Word.INVALID, "the cluster has no ScaledObjects; install KEDA")
    assert standard.journal.release_id == "r1"


# -- decided

GOING = {"name": GREEN, "namespace": "d", "labels": LABEL, "deletionTimestamp": "now"}


def held(**changes: Any) -> dict[str, Any]:
    found = wanted_for(keda(), GREEN)
    assert found
    ready = {"type": "Ready", "status": "True"}
    return {**found, "status": {"conditions": [ready]}, **changes}


def test_nothing_is_taken_for_scaled_before_keda_says_so() -> None:
    wanted = wanted_for(keda(), GREEN)
    assert wanted
    assert isinstance(next_for_scaler(held(), wanted), Done)
    for status in ({}, {"conditions": [{"type": "Ready", "status": "Unknown"}]}):
        assert isinstance(next_for_scaler(held(status=status), wanted), Wait)
    assert isinstance(next_for_scaler(None, wanted), Act)
    edited = next_for_scaler(held(spec={**held()["spec"], "maxReplicaCount": 9}), wanted)
    assert isinstance(edited, Refuse)
    assert edited.foreign
    assert isinstance(
        next_for_scaler(held(metadata={"name": GREEN, "namespace": "d"}), wanted), Refuse
    )
    assert isinstance(next_for_scaler(held(metadata=GOING), wanted), Wait)


def test_what_the_api_fills_in_is_no_difference() -> None:
    wanted = wanted_for(keda(), GREEN)
    assert wanted
    filled = {**held()["spec"], "initialCooldownPeriod": 0}
    assert isinstance(next_for_scaler(held(spec=filled), wanted), Done)


def test_an_object_that_keda_has_not_let_go_of_is_waited_for() -> None:
    assert isinstance(next_for_unscaled(held(metadata=GOING), GREEN), Wait)
    assert isinstance(next_for_unscaled(None, GREEN), Done)


def test_no_other_policy_has_an_object() -> None:
    assert wanted_for(policy(), BLUE) is None
