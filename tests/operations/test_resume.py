"""resume: what a dead run left is finished from the cluster alone, or refused with what to do instead."""

import contextlib
import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.operations.running import Undecided, beside
from tests.operations.test_status import stopped_at
from tests.steps.traffic.test_promote import Judge, Registry, promote_, release, stage
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
from tidegate.adapters.release_lock import load_journal, save_journal
from tidegate.cli import app
from tidegate.core.journal import Journal, Phase
from tidegate.core.status import ReleaseStatus
from tidegate.documents import Deployment, Result, Word
from tidegate.errors import ConflictError, DocumentError, NotPromotedError
from tidegate.operations.finding import found
from tidegate.operations.resume import resumed
from tidegate.operations.status import statuses
from tidegate.sandbox.interfaces import RevisionStatus
from tidegate.steps.deploy import staged
from tidegate.steps.guard import guarded
from tidegate.steps.roll_back import returned
from tidegate.steps.sweep import swept


def resume(cluster: Cluster, judge: Any = None, registry: Registry | None = None) -> Journal:
    judge = Judge() if judge is None else judge
    return resumed(
        cluster.kube, found(cluster.kube, NAME, ""), who="ann@laptop",
        judge=judge, aliases=(registry or Registry()).aliases,
        poll_s=POLL_S, judge_every_s=POLL_S, patience_s=0.5,
    )  # fmt: skip


def rewritten(cluster: Cluster, **changes: Any) -> None:
    stored = load_journal(cluster.kube, "default", NAME)
    assert stored
    save_journal(cluster.kube, stored.journal.model_copy(update=changes), stored)


def release_lease(cluster: Cluster) -> None:
    """As time does: the Lease of a dead process expires."""
    path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/tidegate-digits"
    spec = {"renewTime": "2020-01-01T00:00:00.000000Z"}
    cluster.kube.request("PATCH", path, {"spec": spec})


def test_a_promotion_goes_on_from_its_last_confirmed_step_and_moves_the_alias(
    cluster: Cluster,
) -> None:
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 50)
    judge, registry = Judge(), Registry()
    journal = resume(cluster, judge, registry)
    assert journal.outcome is Result.PROMOTED
    assert (10 in judge.asked, 50 in judge.asked, 100 in judge.asked) == (False, True, True)
    assert (cluster.serving, registry.champion) == ({uri(2)}, "2")
    assert journal.hand == "resumed by ann@laptop"


def test_the_guard_of_the_run_it_was_taken_from_leaves_a_resumed_release_alone(
    cluster: Cluster,
) -> None:
    """Its run ends with an error when it finds itself taken over, and so its exit handler comes."""
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 50)
    patient = {"steps": [10, 50, 100], "bake_s": 0.05, "max_bake_s": 30, "step_timeout_s": 5}
    rewritten(cluster, policy=policy(traffic=patient).model_dump(mode="json"))
    judge = Undecided(100)
    with beside(cluster, lambda held: resume(held, judge)) as resuming:
        assert judge.baking.wait(20)
        left = guarded(cluster.kube, "r2", "", poll_s=POLL_S)
        assert left
        assert (left.is_over, left.hand) == (False, "resumed by ann@laptop")
        judge.at = 0  # enough evidence from now on
    assert resuming.result.outcome is Result.PROMOTED, resuming.error


def test_a_resumed_release_whose_hand_died_too_is_the_sweeps(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 50)
    rewritten(cluster, hand="resumed by ann@laptop", deadline_s=time.time() - 1)
    swept(cluster.kube, "", now_s=time.time(), poll_s=POLL_S)
    assert (cluster.journal.outcome, cluster.serving) == (Result.DIED, {uri(1)})


class DiesAtTheAlias(Registry):
    """The journal has ended by then; whether the registry took the move, nobody was told."""

    def __init__(self, *, took: bool) -> None:
        super().__init__()
        self.took = took

    def _move(self, model: str, alias: str, version: str, expected: str) -> None:
        if self.took:
            super()._move(model, alias, version, expected)
        raise Crash


@pytest.mark.parametrize("took", [True, False])
def test_an_alias_that_a_death_left_unmoved_is_moved(cluster: Cluster, took: bool) -> None:
    release(cluster, 1, Judge(), Registry())
    dying = DiesAtTheAlias(took=took)
    with pytest.raises(Crash):
        release(cluster, 2, Judge(), dying)
    registry = Registry()
    registry.champion = dying.champion
    journal = resume(cluster, registry=registry)
    assert (journal.outcome, registry.champion) == (Result.PROMOTED, "2")
    assert journal.alias == "alias champion names version 2"
    assert cluster.journal == journal


def test_an_alias_that_somebody_moved_elsewhere_since_then_is_left(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    with pytest.raises(Crash):
        release(cluster, 2, Judge(), DiesAtTheAlias(took=False))
    registry = Registry()
    registry.champion = "7"
    journal = resume(cluster, registry=registry)
    assert registry.champion == "7"
    assert "alias champion was not moved" in journal.alias


PROMOTES = 32  # no promotion in three steps writes more often


@pytest.mark.parametrize("lives_for", range(PROMOTES))
def test_after_a_death_at_any_write_of_promote_it_is_finished(
    cluster: Cluster, lives_for: int
) -> None:
    release(cluster, 1, Judge(), Registry())
    deployment, alive, registry = stage(cluster, 2), cluster.kube, Registry()
    cluster.kube = Dying(alive, lives_for)
    with contextlib.suppress(Crash):
        promote_(cluster, deployment, policy(), Judge(), registry)
    cluster.kube = alive
    release_lease(cluster)
    if cluster.journal.phase is Phase.STAGED:
        assert lives_for == 0
        with pytest.raises(ConflictError, match="tidegate abort"):
            resume(cluster)
        return
    journal = resume(cluster, Judge(), registry)
    assert (journal.outcome, cluster.serving) == (Result.PROMOTED, {uri(2)})
    at_once = policy(traffic={"steps": [100], "bake_s": 0.01})
    assert promote_(cluster, stage(cluster, 3), at_once, Judge()).result is Result.PROMOTED


@pytest.mark.parametrize("lives_for", range(1, 36, 2))
def test_after_a_death_in_standard_mode_it_is_finished_too(
    standard: Cluster, lives_for: int
) -> None:
    release(standard, 1, Judge(), Registry())
    deployment, alive = stage(standard, 2), standard.kube
    standard.kube = Dying(alive, lives_for)
    with contextlib.suppress(Crash):
        promote_(standard, deployment, policy(), Judge())
    standard.kube = alive
    release_lease(standard)
    journal = resume(standard)
    assert (journal.outcome, standard.serving) == (Result.PROMOTED, {uri(2)}), journal.reason
    assert journal.acts[-1].kind == "RENAME"


def test_the_parametrised_writes_reach_the_end_of_a_promotion(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    deployment, alive = stage(cluster, 2), cluster.kube
    cluster.kube = dying = Dying(alive, 1000)
    promote_(cluster, deployment, policy(), Judge())
    assert PROMOTES / 2 < 1000 - dying.left <= PROMOTES


@pytest.mark.parametrize("lives_for", range(8))
def test_after_a_death_in_a_return_it_is_finished(cluster: Cluster, lives_for: int) -> None:
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 50)
    alive = cluster.kube
    bad = verdict(deployment_of(cluster), "r2", Word.FAIL)
    with contextlib.suppress(Crash):
        returned(Dying(alive, lives_for), bad, policy(), "r2", poll_s=POLL_S)
    release_lease(cluster)
    if cluster.journal.phase is Phase.PROMOTING:
        assert lives_for == 0
        return
    journal = resume(cluster)
    assert (journal.outcome, cluster.serving) == (Result.ROLLED_BACK, {uri(1)})
    seen = cluster.service.look()
    assert seen
    assert seen.storage_uri == uri(1)


def deployment_of(cluster: Cluster) -> Deployment:
    return Deployment.model_validate_json(json.dumps(cluster.journal.deployment))


def test_a_candidate_that_has_died_meanwhile_is_rolled_back(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 10)
    cluster.runtime.fates[uri(2)] = RevisionStatus(
        phase="Failed", reason="CrashLoop", message="signal 11", exit_code=139
    )
    cluster.wait(lambda: not healthy(cluster, "digits-predictor-00002"))
    journal = resume(cluster)
    assert (journal.outcome, cluster.serving) == (Result.ROLLED_BACK, {uri(1)})
    assert "no longer ready" in journal.reason


def healthy(cluster: Cluster, revision: str) -> bool:
    seen = cluster.service.look()
    return bool(seen and seen.is_healthy(revision))


def test_a_template_that_was_edited_meanwhile_stops_it(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 10)
    cluster.service.patch({"spec": {"predictor": {"timeout": 30}}})
    with pytest.raises(ConflictError, match=r"spec\.predictor\.timeout was changed to 30"):
        resume(cluster)
    assert cluster.journal.is_over


def test_live_traffic_is_judged_as_in_promote(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 10)
    journal = resume(cluster, Judge(at_50=Word.FAIL))
    assert (journal.outcome, cluster.serving) == (Result.ROLLED_BACK, {uri(1)})
    assert "FAIL at 50 %" in journal.reason


class DyingAtTheEnd(Kubernetes):
    """Dies before it closes the journal."""

    def once(
        self, method: str, path: str, body: Any, query: Mapping[str, str] | None
    ) -> dict[str, Any]:
        if method == "PUT" and '"ENDED"' in json.dumps(body).replace("\\", ""):
            raise Crash
        return super().once(method, path, body, query)


def test_a_death_after_the_last_step_bakes_there_once_more(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    deployment, alive = stage(cluster, 2), cluster.kube
    cluster.kube = DyingAtTheEnd(alive._client, retry_s=2)
    with contextlib.suppress(Crash):
        promote_(cluster, deployment, policy(), Judge())
    cluster.kube = alive
    assert [s.percent for s in cluster.journal.steps] == [10, 50, 100]
    judge = Judge()
    assert resume(cluster, judge).outcome is Result.PROMOTED
    assert set(judge.asked) == {100}


@pytest.mark.parametrize("lives_for", range(1, 14))
def test_a_first_release_that_died_on_its_way_from_the_preview_is_finished(
    cluster: Cluster, lives_for: int
) -> None:
    dark, alive = policy(initial="preview"), cluster.kube
    deployment = staged_at(staged(alive, published(1), dark, "r1", poll_s=POLL_S))
    cluster.kube = Dying(alive, lives_for)
    with contextlib.suppress(Crash):
        promote_(cluster, deployment, dark, Judge())
    cluster.kube = alive
    release_lease(cluster)
    assert resume(cluster).outcome is Result.PROMOTED
    assert cluster.serving == {uri(1)}
    assert InferenceServices(alive, "default", f"{NAME}-preview").look() is None


def test_a_run_that_still_lives_is_stopped_and_told(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    judge = Undecided(50)
    slow = {"steps": [10, 50, 100], "bake_s": 0.01, "max_bake_s": 60, "step_timeout_s": 5}

    def run(held: Cluster) -> object:
        return promote_(held, stage(held, 2), policy(traffic=slow), judge)

    with beside(cluster, run) as promotion:
        assert judge.baking.wait(20)
        assert resume(cluster).outcome is Result.PROMOTED
    assert isinstance(promotion.error, ConflictError)
    assert "release r2 was resumed by ann@laptop" in str(promotion.error)
    assert cluster.serving == {uri(2)}


def test_a_staged_release_is_refused_with_what_to_do_instead(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stage(cluster, 2)
    version = cluster.api.store.version
    with pytest.raises(ConflictError, match="is STAGED, and its evidence is not in the cluster"):
        resume(cluster)
    assert cluster.api.store.version == version


def test_past_its_deadline_it_is_sweeps(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 10)
    rewritten(cluster, deadline_s=time.time() - 5)
    with pytest.raises(ConflictError, match="run: tidegate sweep --namespace default"):
        resume(cluster)


def test_a_return_past_its_deadline_is_finished_all_the_same(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 10)
    rewritten(cluster, deadline_s=time.time() - 5, phase=Phase.RETURNING, reason="FAIL at 10 %")
    journal = resume(cluster)
    assert (journal.outcome, cluster.serving) == (Result.ROLLED_BACK, {uri(1)})
    assert journal.reason.startswith("FAIL at 10 %; all traffic is on")


class Deaf(Registry):
    """The process dies on its way to the registry."""

    def _move(self, model: str, alias: str, version: str, expected: str) -> None:
        raise Crash


def dead_before_the_alias(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    with contextlib.suppress(Crash):
        release(cluster, 2, Judge(), Deaf())
    assert cluster.journal.outcome is Result.PROMOTED
    assert status_of(cluster).next_command.startswith("tidegate resume digits")


def status_of(cluster: Cluster) -> ReleaseStatus:
    (found,), _ = statuses(cluster.kube, NAME, "")
    return found


def test_the_alias_that_a_dead_run_left_behind_is_moved(cluster: Cluster) -> None:
    dead_before_the_alias(cluster)
    registry = Registry()
    journal = resume(cluster, registry=registry)
    assert (registry.champion, journal.alias) == ("2", "alias champion names version 2")
    assert journal.reason.endswith("; alias champion names version 2")
    assert (cluster.journal, status_of(cluster).next_command) == (journal, "")


def test_an_alias_that_somebody_moved_since_is_left_and_told(cluster: Cluster) -> None:
    dead_before_the_alias(cluster)
    registry = Registry()
    registry.champion = "7"
    journal = resume(cluster, registry=registry)
    assert registry.champion == "7"
    assert "alias champion was not moved" in journal.alias
    assert status_of(cluster).next_command == ""


def test_the_guard_leaves_a_resumed_promotion_to_whoever_resumed_it(cluster: Cluster) -> None:
    """The run that was stopped by this ends red, and its exit handler runs while the resumed one drives."""
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 10)
    judge = Undecided(50)
    with beside(cluster, lambda held: resume(held, judge)) as resumption:
        assert judge.baking.wait(20)
        guarded(cluster.kube, "r2", "", poll_s=POLL_S)
        assert cluster.journal.phase is Phase.PROMOTING
        judge.word = Word.PASS
    assert resumption.error is None
    assert (cluster.journal.outcome, cluster.serving) == (Result.PROMOTED, {uri(2)})


def test_past_its_deadline_the_guard_returns_a_resumed_promotion_too(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 10)
    rewritten(cluster, hand="resumed by ann@laptop", deadline_s=time.time() - 5)
    guarded(cluster.kube, "r2", "", poll_s=POLL_S)
    assert (cluster.journal.outcome, cluster.serving) == (Result.DIED, {uri(1)})


def test_one_that_has_ended_is_told_and_left(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    version = cluster.api.store.version
    assert resume(cluster).outcome is Result.PROMOTED
    assert cluster.api.store.version == version


@pytest.mark.parametrize("missing", ["policy", "deployment"])
def test_a_journal_without_its_documents_is_refused(cluster: Cluster, missing: str) -> None:
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 10)
    rewritten(cluster, **{missing: {}})
    with pytest.raises(ConflictError, match="tidegate abort digits"):
        resume(cluster)
    rewritten(cluster, **{missing: {"name": 1}})
    with pytest.raises(
        DocumentError, match=f"the {missing} in the journal of release r2 is invalid"
    ):
        resume(cluster)
    assert cluster.journal.phase is Phase.PROMOTING


def test_the_command_is_red_when_it_was_not_promoted(cluster: Cluster) -> None:
    """There is no Prometheus here, so the live gate says INVALID."""
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 10)
    done = CliRunner().invoke(app, ["resume", "r2"])
    assert isinstance(done.exception, NotPromotedError)
    assert done.stdout == "ROLLED_BACK\n"
    assert cluster.serving == {uri(1)}
    again = CliRunner().invoke(app, ["resume", "r2"])
    assert (again.exit_code, again.stdout) == (0, "ROLLED_BACK\n")
