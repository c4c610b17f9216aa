"""Whole releases in Standard mode, over the emulated API and KServe's Standard controllers."""

import contextlib
import itertools
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.steps.traffic.test_promote import Evidence, Judge, promote_, release, stage
from tests.steps.traffic.test_promote import Registry as Champion
from tests.steps.traffic.test_roll_back import Crash, Dying, dies_in_its_roll_back
from tests.steps.traffic.traffic_cluster import (
    NAME,
    POLL_S,
    Cluster,
    policy,
    published,
    staged_at,
    uri,
)
from tidegate.documents import Refusal, Result, Word
from tidegate.errors import ConflictError, UnavailableError
from tidegate.sandbox.interfaces import RevisionStatus
from tidegate.steps.deploy import staged
from tidegate.steps.guard import guarded
from tidegate.steps.stopping import finishing_acts

BLUE, GREEN = "digits-blue-predictor", "digits-green-predictor"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DEAD = RevisionStatus(phase="Failed", reason="CrashLoop", message="signal 11", exit_code=139)


def shares_seen(cluster: Cluster) -> list[dict[str, int]]:
    """Every split that production ever had, by Deployment, repeats left out."""
    named = [
        {server.rpartition("-")[0]: percent for server, percent in table.items()}
        for table in cluster.ingress.seen
    ]
    return [table for table, _ in itertools.groupby(named)]


def acts(cluster: Cluster) -> list[tuple[str, int | None]]:
    return [(act.kind.value, act.percent) for act in cluster.journal.acts]


@pytest.fixture
def serving_1(standard: Cluster) -> Cluster:
    """Version 1 serves everything, as blue."""
    outcome = release(standard, 1, Judge(), Champion())
    assert outcome.result is Result.PROMOTED, outcome
    standard.ingress.seen.clear()
    return standard


def test_a_first_release_is_a_named_predictor_of_its_own_deployment(standard: Cluster) -> None:
    outcome = release(standard, 1, Judge(), Champion())
    assert (outcome.result, outcome.traffic) == (Result.PROMOTED, {BLUE: 100})
    assert standard.journal.mode == "Standard"
    assert standard.serving == {uri(1)}


def test_a_release_goes_dark_then_by_steps_and_then_takes_the_incumbents_place(
    serving_1: Cluster,
) -> None:
    deployment = stage(serving_1, 2)
    assert (deployment.mode, deployment.candidate_revision) == ("Standard", GREEN)
    assert deployment.candidate_host == f"{GREEN}.default.svc.cluster.local"
    assert deployment.incumbent_host == f"{BLUE}.default.svc.cluster.local"
    assert serving_1.traffic == {BLUE: 100}
    servers = {s.name for s in serving_1.runtime.specs.values() if s.service == GREEN}
    outcome = promote_(serving_1, deployment, policy(), Judge())
    assert outcome.result is Result.PROMOTED, outcome
    assert acts(serving_1) == [
        ("STAGE", 0), ("SHIFT", 10), ("SHIFT", 50), ("SHIFT", 100), ("RENAME", 100)
    ]  # fmt: skip
    assert shares_seen(serving_1) == [
        {BLUE: 100}, {BLUE: 90, GREEN: 10}, {BLUE: 50, GREEN: 50}, {GREEN: 100}
    ]  # fmt: skip
    assert serving_1.traffic == {GREEN: 100}
    assert {s.name for s in serving_1.runtime.specs.values() if s.service == GREEN} == servers
    assert not servers & serving_1.runtime.stopped


def test_a_crd_that_describes_no_field_is_asked_by_the_dry_run(serving_1: Cluster) -> None:
    """As kserve-crd-minimal installs it; it says nothing of spec.canary, for or against."""
    crd = f"{CRDS}/inferenceservices.serving.kserve.io"
    bare = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    found = serving_1.kube.request("GET", crd)["spec"]["versions"]
    versions = [{**one, "schema": {"openAPIV3Schema": bare}} for one in found]
    serving_1.kube.request("PATCH", crd, {"spec": {"versions": versions}})
    assert stage(serving_1, 2).candidate_revision == GREEN


def test_releases_alternate_and_the_third_comes_back_to_the_first_name(serving_1: Cluster) -> None:
    assert release(serving_1, 2, Judge(), Champion()).traffic == {GREEN: 100}
    assert release(serving_1, 3, Judge(), Champion()).traffic == {BLUE: 100}
    assert serving_1.serving == {uri(3)}


@pytest.mark.parametrize("percent", [10, 50, 100])
def test_a_candidate_that_fails_a_live_gate_is_dropped_and_the_incumbent_never_moved(
    serving_1: Cluster, percent: int
) -> None:
    outcome = release(serving_1, 2, Judge(**{f"at_{percent}": Word.FAIL}), Champion())
    assert (outcome.result, outcome.traffic) == (Result.ROLLED_BACK, {BLUE: 100})
    assert (outcome.traffic_safe, outcome.spec_repaired) == (True, True)
    assert acts(serving_1)[-2:] == [("SHIFT", 0), ("UNSTAGE", 0)]
    manifest = serving_1.service.manifest()
    assert manifest
    assert "canary" not in manifest["spec"]
    assert max(table.get(GREEN, 0) for table in shares_seen(serving_1)) == percent


def test_a_candidate_that_dies_while_it_bakes_is_left_at_once(serving_1: Cluster) -> None:
    class Killer(Judge):
        def __call__(self, *given: object, percent: int, since_s: float) -> Evidence:
            serving_1.runtime.fates[uri(2)] = DEAD
            return Evidence(Word.INCONCLUSIVE)

    outcome = release(serving_1, 2, Killer(), Champion())
    assert outcome.result is Result.ROLLED_BACK
    assert "m-green" not in outcome.reason
    assert f"{GREEN} is no longer ready" in outcome.reason
    assert serving_1.serving == {uri(1)}


def test_a_candidate_that_does_not_load_is_refused_and_leaves_nothing(serving_1: Cluster) -> None:
    serving_1.runtime.fates[uri(2)] = DEAD
    chosen = policy(serving={"ready_timeout_s": 4})
    result = staged(serving_1.kube, published(2), chosen, "r2", poll_s=POLL_S)
    assert isinstance(result, Refusal), result
    assert result.word is Word.FAIL
    assert serving_1.traffic == {BLUE: 100}
    assert shares_seen(serving_1) in ([], [{BLUE: 100}])


def test_a_service_whose_predictor_has_no_name_is_adopted(standard: Cluster) -> None:
    model = {"modelFormat": {"name": "triton"}, "storageUri": uri(1)}
    annotations = {"serving.kserve.io/deploymentMode": "Standard"}
    standard.service.create(
        {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {"name": NAME, "namespace": "default", "annotations": annotations},
            "spec": {"predictor": {"model": model}},
        }
    )
    standard.wait(lambda: standard.traffic == {"digits-predictor": 100})
    leave = policy(adopt="allow")
    deployment = staged_at(staged(standard.kube, published(2), leave, "r2", poll_s=POLL_S))
    outcome = promote_(standard, deployment, leave, Judge())
    assert (outcome.result, outcome.traffic) == (Result.PROMOTED, {BLUE: 100})
    assert standard.serving == {uri(2)}


RED = {
    "trafficPercent": 5,
    "predictor": {
        "name": "red",
        "model": {"name": "", "modelFormat": {"name": "triton"}, "storageUri": uri(9)},
    },
}
FOREIGN: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "GitOps takes the entry away": (
        lambda spec: {"canary": None},
        "our entry of spec.canary was removed",
    ),
    "GitOps reverts the percent": (
        lambda spec: {"canary": [{**spec["canary"][0], "trafficPercent": 0}]},
        "trafficPercent was changed to 0",
    ),
    "a second canary": (
        lambda spec: {"canary": [*spec["canary"], RED]},
        "spec.canary names red",
    ),
    "another stable model": (
        lambda spec: {"predictor": {"model": {"storageUri": uri(9)}}},
        "spec.predictor.model.storageUri was changed to s3://models/digits/9/",
    ),
    "another template": (
        lambda spec: {"predictor": {"timeout": 30}},
        "spec.predictor.timeout was changed to 30",
    ),
}


@pytest.mark.parametrize(("edit", "named"), FOREIGN.values(), ids=list(FOREIGN))
def test_a_foreign_edit_stops_the_release_and_is_named(
    serving_1: Cluster, edit: Callable[[dict[str, Any]], dict[str, Any]], named: str
) -> None:
    class Foreigner(Judge):
        def __call__(self, *given: object, percent: int, since_s: float) -> Evidence:
            manifest = serving_1.service.manifest()
            if not self.asked and manifest:
                serving_1.service.patch({"spec": edit(manifest["spec"])})
            self.asked.append(percent)
            return Evidence(Word.INCONCLUSIVE)

    with contextlib.suppress(ConflictError):
        release(serving_1, 2, Foreigner(), Champion())
    assert named in serving_1.journal.reason
    assert serving_1.journal.is_over
    assert uri(2) not in serving_1.serving


def whole_release(cluster: Cluster, kube: Dying) -> None:
    alive, cluster.kube = cluster.kube, kube
    try:
        promote_(cluster, stage(cluster, 2), policy(traffic=TWO_STEPS), Judge())
    finally:
        cluster.kube = alive


TWO_STEPS = {"steps": [50, 100], "bake_s": 0.01, "max_bake_s": 0.3, "step_timeout_s": 5}
WRITES = 37  # of a release in two steps: per act the Lease twice, journal, object, Event; a dry-run


def test_the_parametrised_writes_reach_the_end_of_a_release(serving_1: Cluster) -> None:
    dying = Dying(serving_1.kube, 1000)
    whole_release(serving_1, dying)
    assert 1000 - dying.left == WRITES


@pytest.mark.parametrize("lives_for", range(WRITES))
def test_after_a_death_at_any_write_guard_returns_the_traffic_and_the_next_release_works(
    serving_1: Cluster, lives_for: int
) -> None:
    with pytest.raises(Crash):
        whole_release(serving_1, Dying(serving_1.kube, lives_for))
    journal = guarded(serving_1.kube, "r2", "", poll_s=POLL_S)
    if journal is None:
        assert serving_1.serving == {uri(1)}
        return
    assert journal.is_over
    wanted = {uri(2)} if journal.outcome is Result.PROMOTED else {uri(1)}
    assert serving_1.serving == wanted
    seen = serving_1.service.look()
    assert seen
    assert ({seen.storage_uri}, seen.canary) == (wanted, ())
    deployment, at_once = stage(serving_1, 3), policy(traffic={"steps": [100], "bake_s": 0.01})
    assert promote_(serving_1, deployment, at_once, Judge()).result is Result.PROMOTED


@pytest.mark.parametrize("percent", [10, 100])
@pytest.mark.parametrize("lives_for", range(9))
def test_after_a_death_in_the_middle_of_a_roll_back_guard_finishes_it(
    serving_1: Cluster, percent: int, lives_for: int
) -> None:
    dies_in_its_roll_back(serving_1, percent, lives_for)


class DyingAfterItsRename(Dying):
    """The candidate is the stable predictor, and nobody knows."""

    def once(self, method: str, path: str, body: Any, query: Any) -> dict[str, Any]:
        answer = super().once(method, path, body, query)
        if method == "PATCH" and "name" in (body or {}).get("spec", {}).get("predictor", {}):
            raise Crash("after the rename")
        return answer


def test_a_release_that_died_after_its_rename_is_returned_to_the_incumbent_made_anew(
    serving_1: Cluster,
) -> None:
    with pytest.raises(Crash):
        whole_release(serving_1, DyingAfterItsRename(serving_1.kube, 1000))
    serving_1.ingress.seen.clear()
    journal = guarded(serving_1.kube, "r2", "", poll_s=POLL_S)
    assert journal
    assert journal.outcome is Result.DIED
    assert acts(serving_1)[-3:] == [("RESTORE", 0), ("SHIFT", 100), ("RENAME", 0)]
    assert serving_1.traffic == {BLUE: 100}
    assert serving_1.serving == {uri(1)}


def test_sigterm_takes_the_share_back_and_leaves_the_entry_to_guard(serving_1: Cluster) -> None:
    deployment = stage(serving_1, 2)

    class Terminator(Judge):
        def __call__(self, *given: object, percent: int, since_s: float) -> Evidence:
            os.kill(os.getpid(), signal.SIGTERM)
            return Evidence(Word.INCONCLUSIVE)

    with finishing_acts(), pytest.raises(UnavailableError, match="the share of the candidate is 0"):
        promote_(serving_1, deployment, policy(), Terminator())
    serving_1.wait(lambda: serving_1.traffic == {BLUE: 100})
    journal = guarded(serving_1.kube, "r2", "", poll_s=POLL_S)
    assert journal
    assert journal.outcome is Result.DIED
    assert acts(serving_1)[-2:] == [("SHIFT", 0), ("UNSTAGE", 0)]
