"""status: what the journal says beside what the cluster shows, and what to type next."""

import json
import time
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.operations.recording import Recording
from tests.operations.running import beside
from tests.steps.traffic.test_promote import Evidence, Judge, Registry, promote_, release, stage
from tests.steps.traffic.traffic_cluster import (
    NAME,
    POLL_S,
    Cluster,
    policy,
    published,
    uri,
    verdict,
)
from tidegate.adapters.release_lock import Lease, load_journal, save_journal
from tidegate.cli import app
from tidegate.core.journal import Phase
from tidegate.core.manifest import inference_service
from tidegate.core.status import ReleaseStatus
from tidegate.documents import Result, Word
from tidegate.errors import UnavailableError
from tidegate.operations.status import lines, statuses
from tidegate.sandbox.interfaces import RevisionStatus
from tidegate.steps.deploy import staged
from tidegate.steps.roll_back import returned


def status(cluster: Cluster, **changes: Any) -> ReleaseStatus:
    (only,), broken = statuses(cluster.kube, NAME, "default", **changes)
    assert not broken
    return only


def stopped_at(cluster: Cluster, percent: int) -> None:
    """A release of version 2 whose run died while it baked at this share."""

    class Stop(Judge):
        def __call__(self, *given: object, percent: int, since_s: float) -> Evidence:
            if percent == stop:
                raise UnavailableError("the run died")
            return Evidence(Word.PASS)

    stop = percent
    with pytest.raises(UnavailableError):
        promote_(cluster, stage(cluster, 2), policy(), Stop())


def shares(found: ReleaseStatus) -> dict[str, int | None]:
    return {served.version: served.percent for served in found.traffic}


def test_a_cluster_without_releases_says_so_in_one_line(cluster: Cluster) -> None:
    done = CliRunner().invoke(app, ["status"])
    assert (done.exit_code, done.stdout) == (0, "no release so far\n")
    done = CliRunner().invoke(app, ["status", "unknown"])
    assert (done.exit_code, done.stdout) == (0, "no release 'unknown' is in the cluster\n")


def test_a_first_release_that_is_judged_as_a_preview_has_no_production_to_be_unsafe(
    cluster: Cluster,
) -> None:
    staged(cluster.kube, published(1), policy(initial="preview"), "r1", poll_s=POLL_S)
    found = status(cluster)
    assert (found.phase, found.traffic, found.drift) == (Phase.STAGED, (), "")
    assert found.traffic_safe
    cluster.service.create(inference_service(policy(), uri(9), "9").as_dict())
    assert status(cluster).drift == "digits was created by somebody else"


def test_a_staged_candidate_has_nothing_and_the_incumbent_everything(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stage(cluster, 2)
    found = status(cluster)
    assert (found.phase, found.release_id, found.traffic_safe) == (Phase.STAGED, "r2", True)
    assert shares(found) == {"1": 100}
    assert found.incumbent
    assert (found.incumbent.version, found.candidate.version) == ("1", "2")
    assert found.candidate.percent == 0
    assert found.spec_repaired is None
    assert found.drift == ""
    assert found.next_command.startswith("tidegate abort digits --namespace default")


def test_a_promotion_shows_its_shares_its_acts_and_how_to_go_on(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 50)
    found = status(cluster)
    assert (found.phase, found.traffic_safe, found.drift) == (Phase.PROMOTING, True, "")
    assert shares(found) == {"1": 50, "2": 50}
    assert [(a.kind, a.percent) for a in found.acts] == [("STAGE", 0), ("SHIFT", 10), ("SHIFT", 50)]
    assert all(act.confirmed_s for act in found.acts)
    assert found.remaining_s is not None
    assert found.remaining_s > 0
    assert found.next_command.startswith("tidegate resume digits --namespace default")


def test_a_release_past_its_deadline_is_for_sweep(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 10)
    found = status(cluster, now_s=time.time() + 1e6)
    assert found.remaining_s is not None
    assert found.remaining_s < 0
    assert found.next_command == "tidegate sweep --namespace default"
    assert any("past by" in line for line in lines(found))


def test_a_promoted_release_needs_nothing(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    release(cluster, 2, Judge(), Registry())
    found = status(cluster)
    assert (found.outcome, found.deadline_s, found.next_command) == (Result.PROMOTED, None, "")
    assert (found.traffic_safe, found.spec_repaired, found.drift) == (True, None, "")
    assert shares(found) == {"2": 100}


def test_a_rolled_back_release_is_safe_and_repaired(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    bad = verdict(stage(cluster, 2), "r2", Word.FAIL)
    returned(cluster.kube, bad, policy(), "r2", poll_s=POLL_S)
    found = status(cluster)
    assert (found.outcome, found.traffic_safe, found.spec_repaired) == (
        Result.ROLLED_BACK, True, True,
    )  # fmt: skip
    assert (found.drift, found.next_command) == ("", "")


def test_a_candidate_that_still_loads_is_staging_and_its_incumbent_safe(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    cluster.runtime.fates[uri(2)] = RevisionStatus(phase="Loading")
    slow = policy(serving={"ready_timeout_s": 60})

    def deploying(held: Cluster) -> object:
        return staged(held.kube, published(2), slow, "r2", poll_s=POLL_S)

    with beside(cluster, deploying) as deployment:
        cluster.wait(lambda: status(cluster).acts != () and status(cluster).release_id == "r2")
        found = status(cluster)
        del cluster.runtime.fates[uri(2)]
    assert deployment.error is None
    assert (found.phase, found.traffic_safe, found.drift) == (Phase.STAGING, True, "")
    assert shares(found) == {"1": 100}
    assert found.candidate.revision == ""


def test_what_one_can_roll_back_to_is_named(cluster: Cluster) -> None:
    for version in (1, 2, 3):
        release(cluster, version, Judge(), Registry())
    assert status(cluster).earlier == ("2", "1")
    assert "  earlier    version 2, version 1" in lines(status(cluster))


def test_a_return_that_is_half_way_is_neither_repaired_nor_over(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stage(cluster, 2)
    stored = load_journal(cluster.kube, "default", NAME)
    assert stored
    returning = stored.journal.model_copy(update={"phase": Phase.RETURNING})
    save_journal(cluster.kube, returning, stored)
    found = status(cluster)
    assert (found.traffic_safe, found.spec_repaired) == (True, False)
    assert found.next_command.startswith("tidegate resume digits")


def test_a_foreign_edit_is_named_as_drift(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 10)
    cluster.service.patch({"spec": {"predictor": {"canaryTrafficPercent": 70}}})
    assert status(cluster).drift == "canaryTrafficPercent was changed to 70"


def test_an_edit_after_the_promotion_is_drift_too(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    cluster.service.patch({"spec": {"predictor": {"timeout": 30}}})
    assert "spec.predictor.timeout was changed to 30" in status(cluster).drift


def test_a_deleted_inferenceservice_is_drift_and_not_safe(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    seen = cluster.service.look()
    assert seen
    cluster.service.delete(seen.uid)
    found = status(cluster)
    assert (found.drift, found.traffic_safe) == ("the InferenceService is gone", False)


def test_who_is_in_the_middle_of_an_act_is_named(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    assert status(cluster).lease_holder == ""
    with Lease(cluster.kube, "default", NAME, "r2").held():
        assert status(cluster).lease_holder == "r2"


def test_status_only_reads(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 10)
    version, recording = cluster.api.store.version, Recording(cluster.kube)
    statuses(recording, "", "")
    assert {method for method, _, _ in recording.asked} == {"GET"}
    assert cluster.api.store.version == version


def test_the_command_prints_a_fact_a_line_or_json(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 10)
    shown = CliRunner().invoke(app, ["status", NAME]).stdout
    assert "default/digits: PROMOTING, release r2 of digits version 2" in shown
    assert "digits-predictor-00002 (version 2) 10 %" in shown
    assert "tidegate resume digits --namespace default" in shown
    asked = CliRunner().invoke(app, ["status", "--json"]).stdout
    (told,) = json.loads(asked)
    assert ReleaseStatus.model_validate_json(json.dumps(told)).candidate.storage_uri == uri(2)


def test_a_journal_that_cannot_be_read_is_named_and_the_others_are_shown(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stored = load_journal(cluster.kube, "default", NAME)
    assert stored
    labels = stored.config_map["metadata"]["labels"]
    spoilt = {
        "metadata": {"name": "tidegate-other", "namespace": "default", "labels": labels},
        "data": {"journal.json": "{"},
    }
    cluster.kube.request("POST", "/api/v1/namespaces/default/configmaps", spoilt)
    done = CliRunner().invoke(app, ["status"])
    assert done.exit_code == 0
    assert "ConfigMap default/tidegate-other" in done.stderr
    assert "default/digits: PROMOTED" in done.stdout
