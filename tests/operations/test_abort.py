"""abort: whatever the run is doing, it stops, and production is where it was before."""

import json
import time

import pytest
from typer.testing import CliRunner

from tests.operations.recording import Recording
from tests.operations.running import Undecided, beside
from tests.operations.test_status import stopped_at
from tests.steps.traffic.test_promote import Judge, Registry, promote_, release, stage
from tests.steps.traffic.traffic_cluster import (
    NAME,
    POLL_S,
    Cluster,
    policy,
    published,
    staged_at,
    uri,
)
from tidegate.adapters.inference_service import InferenceServices
from tidegate.adapters.release_lock import Lease, load_journal, save_journal
from tidegate.cli import app
from tidegate.core.journal import Journal, Phase
from tidegate.documents import Outcome, Result
from tidegate.errors import ConflictError, UnavailableError, UsageError
from tidegate.operations.abort import aborted
from tidegate.operations.finding import found
from tidegate.sandbox.interfaces import RevisionStatus
from tidegate.steps.deploy import staged
from tidegate.steps.guard import guarded

LONG = {"steps": [10, 50, 100], "bake_s": 60, "max_bake_s": 60, "step_timeout_s": 60}


def abort(cluster: Cluster, name: str = NAME, **changes: float) -> Journal:
    stored = found(cluster.kube, name, "")
    return aborted(
        cluster.kube, stored, who="ann@laptop", reason="wrong model", poll_s=POLL_S, **changes
    )


@pytest.mark.parametrize("percent", [10, 100])
def test_a_promotion_that_bakes_is_stopped_and_told_by_whom_and_why(
    cluster: Cluster, percent: int
) -> None:
    release(cluster, 1, Judge(), Registry())
    judge = Undecided(percent)
    short = {**LONG, "bake_s": 0.01}
    cluster.kube = recording = Recording(cluster.kube)

    def run(held: Cluster) -> Outcome:
        return promote_(held, stage(held, 2), policy(traffic=short), judge)

    with beside(cluster, run) as promotion:
        assert judge.baking.wait(60)
        journal = abort(cluster)
    assert isinstance(promotion.error, ConflictError), promotion.result
    assert "release r2 was aborted by ann@laptop: wrong model" in str(promotion.error)
    assert (journal.outcome, journal.phase) == (Result.ABORTED, Phase.ENDED)
    assert journal.reason.startswith("aborted by ann@laptop: wrong model; all traffic is on")
    assert cluster.serving == {uri(1)}
    seen = cluster.service.look()
    assert seen
    assert seen.storage_uri == uri(1)
    assert promotion.kube
    assert (recording.phases + promotion.kube.phases).count("ENDED") == 1


def test_a_candidate_that_is_still_loading_is_left(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    cluster.runtime.fates[uri(2)] = RevisionStatus(phase="Loading")
    slow = policy(serving={"ready_timeout_s": 60})

    def deploying(held: Cluster) -> object:
        return staged(held.kube, published(2), slow, "r2", poll_s=POLL_S)

    with beside(cluster, deploying) as deployment:
        cluster.wait(lambda: created(cluster) == "digits-predictor-00002")
        journal = abort(cluster)
    assert isinstance(deployment.error, ConflictError)
    assert "was aborted by ann@laptop" in str(deployment.error)
    assert (journal.outcome, cluster.serving) == (Result.ABORTED, {uri(1)})


def created(cluster: Cluster) -> str:
    seen = cluster.service.look()
    return seen.created if seen else ""


def test_a_staged_release_is_ended_and_cannot_be_promoted_after(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    deployment = stage(cluster, 2)
    assert abort(cluster, "r2").outcome is Result.ABORTED
    outcome = promote_(cluster, deployment, policy(), Judge())
    assert outcome.result is Result.ABORTED
    assert cluster.serving == {uri(1)}


def test_a_first_release_is_taken_back(cluster: Cluster) -> None:
    stage(cluster, 1)
    assert abort(cluster).outcome is Result.ABORTED
    assert cluster.service.look() is None


def test_a_first_release_that_is_judged_as_a_preview_leaves_nothing(cluster: Cluster) -> None:
    dark = policy(initial="preview")
    staged_at(staged(cluster.kube, published(1), dark, "r1", poll_s=POLL_S))
    assert abort(cluster).outcome is Result.ABORTED
    preview = InferenceServices(cluster.kube, "default", f"{NAME}-preview")
    assert (cluster.service.look(), preview.look()) == (None, None)


def test_a_second_abort_changes_nothing(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stage(cluster, 2)
    first = abort(cluster)
    version = cluster.api.store.version
    assert abort(cluster) == first
    assert cluster.api.store.version == version


def test_what_was_promoted_is_not_aborted_but_rolled_back(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    release(cluster, 2, Judge(), Registry())
    version = cluster.api.store.version
    with pytest.raises(ConflictError, match="tidegate rollback digits --to previous"):
        abort(cluster)
    assert cluster.api.store.version == version


def test_the_run_of_an_act_is_waited_for(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 10)
    lease = Lease(cluster.kube, "default", NAME, "r2")
    lease.acquire()
    with beside(cluster, abort) as ending:
        time.sleep(0.2)
        assert cluster.journal.phase is Phase.PROMOTING
        lease.release()
    assert ending.error is None
    assert cluster.journal.outcome is Result.ABORTED


def test_a_lease_that_stays_held_is_not_stolen(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 10)
    before = cluster.traffic
    with (
        Lease(cluster.kube, "default", NAME, "r2").held(),
        pytest.raises(UnavailableError, match="is held by release r2"),
    ):
        abort(cluster, patience_s=0.2)
    assert cluster.traffic == before
    assert cluster.journal.phase is Phase.PROMOTING


def test_the_lease_of_a_dead_act_is_taken_once_it_has_expired(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 10)
    Lease(cluster.kube, "default", NAME, "r2").acquire()
    path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/tidegate-digits"
    spec = {"renewTime": "2020-01-01T00:00:00.000000Z"}
    cluster.kube.request("PATCH", path, {"spec": spec})
    assert abort(cluster).outcome is Result.ABORTED


def test_a_guard_that_comes_meanwhile_ends_it_as_aborted_and_once(cluster: Cluster) -> None:
    """The run's own exit handler begins as soon as the run has been stopped."""
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 50)
    cluster.runtime.fates[uri(1)] = RevisionStatus(phase="Loading")  # the return has to wait
    cluster.kube = recording = Recording(cluster.kube)
    with beside(cluster, abort) as ending:
        cluster.wait(lambda: cluster.journal.phase is Phase.RETURNING)
        with beside(cluster, lambda held: guarded(held.kube, "r2", "", poll_s=POLL_S)) as exit_:
            time.sleep(0.3)
            del cluster.runtime.fates[uri(1)]
    assert cluster.journal.outcome is Result.ABORTED
    assert cluster.journal.reason.startswith("aborted by ann@laptop: wrong model")
    assert cluster.serving == {uri(1)}
    assert ending.error is None
    assert exit_.error is None or isinstance(exit_.error, ConflictError)
    assert ending.kube
    assert exit_.kube
    told = recording.phases + ending.kube.phases + exit_.kube.phases
    assert told.count("ENDED") == 1


def test_an_abort_that_died_is_finished_by_guard_as_an_abort(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 10)
    stored = load_journal(cluster.kube, "default", NAME)
    assert stored
    hand = {"hand": "aborted by ann", "reason": "aborted by ann", "ends_as": Result.ABORTED}
    save_journal(
        cluster.kube, stored.journal.model_copy(update={"phase": Phase.RETURNING, **hand}), stored
    )
    ended = guarded(cluster.kube, "r2", "", poll_s=POLL_S)
    assert ended
    assert (ended.outcome, cluster.serving) == (Result.ABORTED, {uri(1)})
    assert ended.reason.startswith("aborted by ann; all traffic is on")


def test_after_an_abort_the_next_release_works(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 50)
    abort(cluster)
    assert release(cluster, 3, Judge(), Registry()).result is Result.PROMOTED


def test_an_unknown_release_is_refused_with_what_is_known(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    with pytest.raises(UsageError, match=r"known: default/digits \(release r1\)"):
        abort(cluster, "nonsense")


def test_the_command_says_the_word_and_the_journal_says_who(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 10)
    done = CliRunner().invoke(app, ["abort", NAME, "--reason", "wrong model"])
    assert (done.exit_code, done.stdout) == (0, "ABORTED\n")
    assert "wrong model; all traffic is on" in done.stderr
    written = json.loads(cluster.journal.model_dump_json())
    assert "@" in written["hand"]
    assert "wrong model" in written["hand"]
