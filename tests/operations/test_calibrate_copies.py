"""calibrate with a dedicated baseline: two copies of what serves, and none of them afterwards."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.steps.traffic.test_dedicated_baseline import dedicated, left, let_lease_expire
from tests.steps.traffic.test_promote import Judge, Registry, release, stage
from tests.steps.traffic.test_roll_back import Crash, Dying
from tests.steps.traffic.traffic_cluster import POLL_S, Cluster, published, uri
from tidegate.documents import Refusal, Result
from tidegate.errors import ConflictError, UnavailableError
from tidegate.operations.against_a_copy import between_copies
from tidegate.sandbox.interfaces import RevisionStatus
from tidegate.steps.deploy import staged
from tidegate.steps.guard import guarded
from tidegate.steps.sweep import swept


@pytest.fixture
def serving_1(cluster: Cluster) -> Cluster:
    release(cluster, 1, Judge(), Registry())
    return cluster


def calibrate(cluster: Cluster, tree: Path, kube: Any = None, **changes: Any) -> Any:
    return between_copies(
        kube or cluster.kube, dedicated(**changes), tree / "golden.npz", "c", poll_s=POLL_S
    )


class WatchedError(Exception):
    """The load test began."""


def look_while_measured(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tree: Path
) -> tuple[list[str], Any]:
    """What there is when the load test begins, and the deployment it is given; then it ends."""
    seen: list[Any] = []

    def begins(deployed: Any, *_: object) -> None:
        seen.extend((left(cluster), deployed))
        raise WatchedError

    monkeypatch.setattr("tidegate.steps.load_session.run", begins)
    with pytest.raises(WatchedError):
        calibrate(cluster, tree)
    return seen[0], seen[1]


def test_two_copies_of_what_serves_are_the_arms_and_production_is_neither(
    serving_1: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = serving_1.service.manifest()
    names, deployed = look_while_measured(serving_1, monkeypatch, tmp_path)
    assert len(names) == 2
    assert {
        deployed.baseline.name,
        deployed.candidate_revision.removesuffix("-predictor-00001"),
    } == {*names}
    assert deployed.candidate_host != deployed.as_measured.incumbent_host
    assert deployed.incumbent.revision == "digits-predictor-00001"  # whom the guard watches
    assert left(serving_1) == []
    assert serving_1.service.manifest() == before
    assert serving_1.serving == {uri(1)}


def test_the_last_releases_journal_is_as_it_was_but_for_copies_that_are_gone(
    serving_1: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = serving_1.journal
    look_while_measured(serving_1, monkeypatch, tmp_path)
    after = serving_1.journal
    assert after.copies_left == ()
    assert after.model_copy(update={"copies": (), "proofs": before.proofs}) == before
    look_while_measured(serving_1, monkeypatch, tmp_path)  # and again
    assert len(serving_1.journal.copies) == 2


@pytest.mark.parametrize("lives_for", range(0, 16, 3))
def test_a_calibration_that_dies_holds_releases_up_only_for_its_time_and_is_swept(
    serving_1: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lives_for: int
) -> None:
    def begins(*_: object) -> None:
        raise Crash

    monkeypatch.setattr("tidegate.steps.load_session.run", begins)
    monkeypatch.setattr("tidegate.operations.against_a_copy.retired", lambda _: "")
    with pytest.raises(Crash):
        calibrate(serving_1, tmp_path, Dying(serving_1.kube, lives_for))
    if lives_for:
        refused = staged(serving_1.kube, published(2), dedicated(), "r2", poll_s=POLL_S)
        assert isinstance(refused, Refusal)
        assert "a calibration measures copies of default/digits" in refused.reason
        with pytest.raises(ConflictError, match="a calibration measures copies"):
            calibrate(serving_1, tmp_path)
        swept(serving_1.kube, "", now_s=time.time(), poll_s=POLL_S)
        assert serving_1.journal.copies_left != ()  # still measured, for all that sweep can know
    let_lease_expire(serving_1)
    swept(serving_1.kube, "", now_s=time.time() + 1e6, poll_s=POLL_S)
    assert left(serving_1) == []
    assert serving_1.journal.outcome is Result.PROMOTED
    assert serving_1.serving == {uri(1)}


def test_guard_of_the_last_release_leaves_a_calibration_alone(
    serving_1: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def begins(*_: object) -> None:
        guarded(serving_1.kube, "r1", "", poll_s=POLL_S)
        assert len(left(serving_1)) == 2
        raise WatchedError

    monkeypatch.setattr("tidegate.steps.load_session.run", begins)
    with pytest.raises(WatchedError):
        calibrate(serving_1, tmp_path)


def test_copies_that_do_not_come_up_are_removed_and_told(
    serving_1: Cluster, tmp_path: Path
) -> None:
    crashed = RevisionStatus(phase="Failed", reason="CrashLoop", message="no GPU", exit_code=1)
    serving_1.runtime.fates_of_new[uri(1)] = crashed
    with pytest.raises(UnavailableError, match="no GPU"):
        calibrate(serving_1, tmp_path)
    assert left(serving_1) == []


def test_nothing_is_calibrated_beside_a_release_or_after_one_that_was_not_promoted(
    serving_1: Cluster, tmp_path: Path
) -> None:
    stage(serving_1, 2)
    with pytest.raises(ConflictError, match="release r2 of digits version 2 holds"):
        calibrate(serving_1, tmp_path)
    guarded(serving_1.kube, "r2", "", poll_s=POLL_S)
    with pytest.raises(ConflictError, match="ended DIED"):
        calibrate(serving_1, tmp_path)
    assert left(serving_1) == []


def test_in_standard_mode_the_copies_are_single_pods_of_known_number(
    standard: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    release(standard, 1, Judge(), Registry())
    names, deployed = look_while_measured(standard, monkeypatch, tmp_path)
    assert deployed.pods == {f"{name}-blue-predictor": 1 for name in names}
    assert left(standard) == []
