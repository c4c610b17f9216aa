"""deploy: up at 0 % and proven, or refused with production as it was."""

import queue
import threading
import time
from typing import Any

import pytest

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
from tidegate.adapters.standard import CONFIG
from tidegate.core.journal import ActKind
from tidegate.documents import (
    Deployment,
    Probe,
    Refusal,
    RepositoryModel,
    Result,
    Tensor,
    Word,
)
from tidegate.sandbox.interfaces import RevisionStatus
from tidegate.steps.deploy import staged
from tidegate.steps.roll_back import returned

TRITON_SAID = "failed to load 'digits' version 2: Invalid argument: unexpected dims"


def stage(
    cluster: Cluster, version: int, release_id: str = "", **changes: Any
) -> Deployment | Refusal:
    release_id = release_id or f"r{version}"
    chosen = policy(**changes)
    return staged(cluster.kube, published(version), chosen, release_id, poll_s=POLL_S)


@pytest.fixture
def serving_1(cluster: Cluster) -> Cluster:
    staged_at(stage(cluster, 1))
    end(cluster)
    return cluster


def end(cluster: Cluster, result: Result = Result.PROMOTED) -> None:
    stored = load_journal(cluster.kube, "default", NAME)
    assert stored
    save_journal(cluster.kube, stored.journal.ended(result, "as the test wants it"), stored)


def refused(result: Deployment | Refusal, word: Word, reason: str) -> Refusal:
    assert isinstance(result, Refusal), result
    assert (result.word, result.step) == (word, "deploy")
    assert reason in result.reason
    return result


def test_a_candidate_is_staged_at_zero_with_hosts_of_its_own(serving_1: Cluster) -> None:
    deployment = staged_at(stage(serving_1, 2))
    assert deployment.candidate_host == "latest-digits-predictor.default.example.com"
    assert deployment.incumbent_host == "prev-digits-predictor.default.example.com"
    assert deployment.production_host == "digits.default.example.com"
    assert deployment.incumbent
    assert (deployment.incumbent.storage_uri, deployment.incumbent.version) == (uri(1), "1")
    assert serving_1.serving == {uri(1)}
    assert [a.kind for a in serving_1.journal.acts if a.confirmed_s] == [ActKind.STAGE]


def test_a_load_test_is_told_how_many_pods_each_revision_has(serving_1: Cluster) -> None:
    deployment = staged_at(stage(serving_1, 2, serving={"min_replicas": 2, "max_replicas": 2}))
    revisions = (deployment.candidate_revision, "digits-predictor-00001")
    assert [deployment.pods[one] for one in revisions] == [2, 1]


def test_production_never_reaches_the_candidate_while_it_is_staged(serving_1: Cluster) -> None:
    before = next(iter(serving_1.traffic))
    staged_at(stage(serving_1, 2))
    assert all(set(shares) == {before} for shares in serving_1.ingress.seen)


def test_a_second_run_of_the_same_deploy_finds_it_done(serving_1: Cluster) -> None:
    first = staged_at(stage(serving_1, 2))
    assert staged_at(stage(serving_1, 2)) == first
    assert len(serving_1.journal.acts) == 1


def test_a_candidate_that_does_not_load_is_taken_back_with_tritons_words(
    serving_1: Cluster,
) -> None:
    serving_1.runtime.fates[uri(2)] = RevisionStatus(
        phase="Failed", reason="ModelLoadFailed", message=TRITON_SAID, exit_code=1
    )
    # the test itself would not live as long as this timeout
    result = stage(serving_1, 2, serving={"ready_timeout_s": 3600})
    refused(result, Word.FAIL, TRITON_SAID)
    assert serving_1.serving == {uri(1)}
    assert serving_1.journal.outcome is Result.ROLLED_BACK
    seen = serving_1.service.look()
    assert seen
    assert seen.storage_uri == uri(1)


def test_after_a_failed_release_the_next_one_works(serving_1: Cluster) -> None:
    fate = RevisionStatus(phase="Failed", reason="ModelLoadFailed", message="no", exit_code=1)
    serving_1.runtime.fates[uri(2)] = fate
    refused(stage(serving_1, 2), Word.FAIL, "no")
    deployment = staged_at(stage(serving_1, 3))
    assert deployment.incumbent
    assert deployment.incumbent.storage_uri == uri(1)
    assert serving_1.serving == {uri(1)}


def test_a_candidate_that_never_gets_ready_is_refused_at_the_timeout(serving_1: Cluster) -> None:
    serving_1.runtime.fates[uri(2)] = RevisionStatus(phase="Loading")
    result = stage(serving_1, 2, serving={"ready_timeout_s": 4})  # KServe's own part must be over
    refused(result, Word.FAIL, "not ready after 4 s")
    assert serving_1.serving == {uri(1)}


def test_another_version_behind_the_candidates_host_is_refused(serving_1: Cluster) -> None:
    serving_1.answers[uri(2)] = "1"
    refused(stage(serving_1, 2), Word.INVALID, "is answered by version 1, not 2")
    assert serving_1.serving == {uri(1)}


def other(**changes: Any) -> RepositoryModel:
    """A model beside the released one."""
    pixels = Tensor(name="pixels", dtype="FP32", shape=(-1, 64))
    told = {"name": "other", "role": "beside", "backend": "python", "version": "2", "digest": "d"}
    return RepositoryModel.model_validate(
        told | {"source": "code of digits version 2", "inputs": (pixels,)} | changes
    )


def with_other(cluster: Cluster, one: RepositoryModel) -> Deployment | Refusal:
    return staged(cluster.kube, published(2, one), policy(), "r2", poll_s=POLL_S)


def test_a_broken_model_beside_the_candidate_is_refused_by_name_with_production_as_it_was(
    serving_1: Cluster,
) -> None:
    serving_1.broken.add("other")
    result = with_other(serving_1, other())
    refused(result, Word.FAIL, "other, a model beside digits: ")
    assert "other raised KeyError" in refused(result, Word.FAIL, "").reason
    assert serving_1.serving == {uri(1)}
    assert serving_1.journal.outcome is Result.ROLLED_BACK


def test_an_incumbent_whose_neighbour_broke_since_is_still_one_to_return_to(
    cluster: Cluster,
) -> None:
    staged_at(staged(cluster.kube, published(1, other(version="1")), policy(), "r1", poll_s=POLL_S))
    end(cluster)
    cluster.broken.add("other")
    deployment = staged_at(stage(cluster, 2))
    assert deployment.incumbent
    assert deployment.incumbent.probe == Probe(
        model=NAME, version="1", inputs=published(1).repository.inputs
    )


def test_one_that_no_single_request_can_ask_is_left_alone(serving_1: Cluster) -> None:
    serving_1.broken.add("other")
    staged_at(with_other(serving_1, other(unasked="its transactions are decoupled")))


def test_a_second_release_is_refused_and_names_the_holder(serving_1: Cluster) -> None:
    first = staged_at(stage(serving_1, 2))
    refused(
        stage(serving_1, 3), Word.INVALID, "release r2 of digits version 2 holds default/digits"
    )
    assert serving_1.journal.release_id == "r2"
    assert serving_1.journal.candidate_revision == first.candidate_revision


def test_a_second_release_that_waits_begins_when_the_first_has_ended(serving_1: Cluster) -> None:
    staged_at(stage(serving_1, 2))
    waiting = threading.Thread(target=lambda: results.append(stage(serving_1, 3, busy="wait")))
    results: list[Deployment | Refusal] = []
    waiting.start()
    time.sleep(0.3)
    assert serving_1.journal.release_id == "r2"
    returned(serving_1.kube, verdict(published(2), "r2", Word.FAIL), policy(), "r2", poll_s=POLL_S)
    waiting.join(timeout=60)
    assert staged_at(results[0]).release_id == serving_1.journal.release_id == "r3"


def test_a_wait_for_its_turn_ends_and_names_the_holder(serving_1: Cluster) -> None:
    staged_at(stage(serving_1, 2))
    result = stage(serving_1, 3, busy="wait", busy_timeout_s=0.2)
    refused(result, Word.INVALID, "release r2 of digits version 2 holds default/digits")


def test_of_two_that_waited_one_goes_first_and_the_other_still_waits(serving_1: Cluster) -> None:
    staged_at(stage(serving_1, 2))
    results: queue.Queue[Deployment | Refusal] = queue.Queue()

    def wait(version: int) -> None:
        results.put(stage(serving_1, version, busy="wait", busy_timeout_s=100))

    waiting = [threading.Thread(target=wait, args=(version,)) for version in (3, 4)]
    for one in waiting:
        one.start()
    returned(serving_1.kube, verdict(published(2), "r2", Word.FAIL), policy(), "r2", poll_s=POLL_S)
    first = staged_at(results.get(timeout=60))
    time.sleep(0.3)
    assert results.empty()
    assert serving_1.journal.release_id == first.release_id
    about = published(int(first.subject.version))
    failed = verdict(about, first.release_id, Word.FAIL)
    returned(serving_1.kube, failed, policy(), first.release_id, poll_s=POLL_S)
    second = staged_at(results.get(timeout=60))
    assert {first.release_id, second.release_id} == {"r3", "r4"}
    for one in waiting:
        one.join()


def test_a_release_of_another_service_does_not_notice(serving_1: Cluster) -> None:
    staged_at(stage(serving_1, 2))
    other = policy(name="letters")
    result = staged(serving_1.kube, published(1), other, "r9", poll_s=POLL_S)
    assert staged_at(result).name == "letters"
    assert serving_1.journal.release_id == "r2"


def test_a_release_past_its_deadline_is_undone_before_the_next_one(serving_1: Cluster) -> None:
    staged_at(stage(serving_1, 2))
    stored = load_journal(serving_1.kube, "default", NAME)
    assert stored
    late = stored.journal.model_copy(update={"deadline_s": time.time() - 1})
    save_journal(serving_1.kube, late, stored)
    deployment = staged_at(stage(serving_1, 3))
    assert deployment.incumbent
    assert deployment.incumbent.storage_uri == uri(1)


def test_an_ended_release_is_not_started_again(serving_1: Cluster) -> None:
    refused(stage(serving_1, 2, "r1"), Word.INVALID, "release r1 has ended")


def test_the_version_in_production_is_unchanged(serving_1: Cluster) -> None:
    refused(stage(serving_1, 1, "again"), Word.UNCHANGED, "already serves s3://models/digits/1/")
    assert serving_1.journal.release_id == "r1"


def test_a_first_release_needs_the_policys_leave(cluster: Cluster) -> None:
    refused(stage(cluster, 1, initial="refuse"), Word.INVALID, "write initial: preview")
    assert cluster.service.look() is None
    assert load_journal(cluster.kube, "default", NAME) is None


def test_a_first_release_that_the_policy_allows_is_live_at_once(cluster: Cluster) -> None:
    deployment = staged_at(stage(cluster, 1))
    assert deployment.initial
    assert deployment.incumbent is None
    assert cluster.serving == {uri(1)}


def test_a_first_release_that_does_not_load_leaves_nothing(cluster: Cluster) -> None:
    fate = RevisionStatus(phase="Failed", reason="ModelLoadFailed", message="no", exit_code=1)
    cluster.runtime.fates[uri(1)] = fate
    result = refused(stage(cluster, 1), Word.FAIL, "no")
    assert "before this release nothing served" in result.reason
    assert cluster.service.look() is None


def test_a_foreign_uri_scheme_is_refused_by_kserves_event_and_taken_back(
    serving_1: Cluster,
) -> None:
    bad = published(2).model_copy(update={"storage_uri": "gopher://models/2/"})
    result = staged(serving_1.kube, bad, policy(), "r2", poll_s=POLL_S)
    refused(result, Word.INVALID, "StorageUri [gopher://models/2/] is not supported")
    assert serving_1.serving == {uri(1)}


def test_standard_mode_is_refused_where_it_cannot_split_and_what_to_enable_is_named(
    cluster: Cluster,
) -> None:
    no_gateway = {"data": {"ingress": '{"enableGatewayApi": false}'}}
    cluster.kube.request("PATCH", CONFIG, no_gateway)
    mode = {"mode": "Standard", "ready_timeout_s": 5}
    refused(stage(cluster, 1, serving=mode), Word.INVALID, "set ingress.enableGatewayApi: true")
    assert load_journal(cluster.kube, "default", NAME) is None


def test_a_policy_that_contradicts_the_recorded_mode_is_refused(serving_1: Cluster) -> None:
    mode = {"mode": "Standard", "ready_timeout_s": 5}
    refused(stage(serving_1, 2, serving=mode), Word.INVALID, "serving.mode is Standard, but digits")
