"""A dedicated baseline is the incumbent at the candidate's size, and nothing but ours is ever removed."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_first_release import seen
from tidegate.core.claim import claim, holder_refusal
from tidegate.core.dark_service import GONE_S
from tidegate.core.decisions import Act, Done, Prove, Refuse, Wait
from tidegate.core.dedicated_baseline import (
    baseline_name,
    copy_of,
    in_use,
    is_forgotten,
    left_behind,
    next_for_baseline,
    next_for_retirement,
    sized,
    with_baseline,
)
from tidegate.core.journal import ActKind, ActRecord, Copy, Journal
from tidegate.core.load_plan import Production, fairness, plan
from tidegate.core.observation import Observation
from tidegate.documents import Incumbent, Probe, Result, Subject
from tidegate.policy import Load, Policy

URI, NEW = "s3://models/fraud/1/", "s3://models/fraud/2/"
RESOURCES = {"limits": {"cpu": "4", "nvidia.com/gpu": "1"}, "requests": {"cpu": "2"}}
PREDICTOR = {
    "minReplicas": 4, "maxReplicas": 9, "scaleTarget": 8, "scaleMetric": "concurrency",
    "timeout": 60, "canaryTrafficPercent": 100, "serviceAccountName": "models",
    "model": {"storageUri": URI, "runtime": "own", "resources": RESOURCES},
}  # fmt: skip
PROBE = Probe(model="fraud", inputs=(), version="1")
NAME = baseline_name("fraud", "r2")


def policy(**changes: Any) -> Policy:
    serving = {"min_replicas": 2, "max_replicas": 3, "resources": {"limits": {"cpu": "6"}}}
    base: dict[str, Any] = {
        "name": "fraud", "model": {"uri": "models:/fraud/2"}, "serving": serving,
        "load": {"baseline": "dedicated"},
    }  # fmt: skip
    return Policy.model_validate(base | changes)


def journal(**changes: Any) -> Journal:
    incumbent = Incumbent(
        revision="fraud-predictor-00001", storage_uri=URI, predictor=PREDICTOR, probe=PROBE
    )
    subject = Subject(model="fraud", version="2", digest=f"sha256:{0:064d}")
    return Journal(
        release_id="r2", subject=subject, namespace="prod", name="fraud", deadline_s=0,
        incumbent=incumbent, storage_uri=NEW, isvc_uid="real",
    ).model_copy(update=changes)  # fmt: skip


def service(**changes: Any) -> Observation:
    """What serves, with marks of its own and of a GitOps tool."""
    annotations = {
        "autoscaling.knative.dev/window": "30s", "serving.kserve.io/storageSecretName": "s3",
        "tidegate.dev/created-by": "r1", "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "argocd.argoproj.io/tracking-id": "x",
    }  # fmt: skip
    labels = {
        "networking.knative.dev/visibility": "cluster-local", "app.kubernetes.io/instance": "gitops",
    }  # fmt: skip
    return replace(seen(), annotations=annotations, labels=labels, **changes)


def made(mode: str = "Knative") -> Copy:
    return with_baseline(journal(mode=mode), service(), policy()).copies[0]


HELD = journal(copies=(made(),))


def there(**changes: Any) -> Observation:
    return seen(**({"uid": "b", "by": "r2", "uri": URI} | changes))


# -- what it is


def test_it_is_the_incumbents_template_with_the_candidates_replicas_and_resources() -> None:
    predictor = made().manifest["spec"]["predictor"]
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (2, 3)
    assert predictor["model"]["storageUri"] == URI
    limits = predictor["model"]["resources"]["limits"]
    assert limits == {"cpu": "6", "nvidia.com/gpu": "1"}  # what the policy leaves out stays
    same = ("scaleTarget", "scaleMetric", "timeout", "serviceAccountName")
    assert {key: predictor[key] for key in same} == {key: PREDICTOR[key] for key in same}
    assert "canaryTrafficPercent" not in predictor


def test_it_has_the_candidates_gpu() -> None:
    wanted = policy(serving={"gpu": {"kind": "mig", "profile": "1g.10gb"}})
    limits = sized(PREDICTOR, wanted, "Knative")["model"]["resources"]["limits"]
    assert limits["nvidia.com/mig-1g.10gb"] == "1"


def test_in_standard_mode_it_is_one_pod_that_does_not_scale_as_a_canary_at_0_percent_is() -> None:
    manifest = made("Standard").manifest
    predictor = manifest["spec"]["predictor"]
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (1, 1)
    assert "scaleTarget" not in predictor
    annotations = manifest["metadata"]["annotations"]
    assert annotations["serving.kserve.io/autoscalerClass"] == "none"
    assert annotations["serving.kserve.io/deploymentMode"] == "Standard"


def test_it_says_whose_it_is_and_carries_what_runs_a_pod_but_no_tools_mark() -> None:
    metadata = made().manifest["metadata"]
    assert metadata["name"] == NAME
    assert metadata["namespace"] == "prod"
    assert metadata["labels"] == {
        "tidegate.dev/baseline-of": "fraud", "tidegate.dev/release-id": "r2",
        "networking.knative.dev/visibility": "cluster-local",
    }  # fmt: skip
    assert metadata["annotations"] == {
        "autoscaling.knative.dev/window": "30s", "serving.kserve.io/storageSecretName": "s3",
        "serving.kserve.io/deploymentMode": "Knative", "tidegate.dev/created-by": "r2",
        "serving.kserve.io/enable-tag-routing": "true",
    }  # fmt: skip


def test_two_releases_have_two_names_and_one_release_has_one() -> None:
    assert baseline_name("fraud", "r2") == NAME
    assert baseline_name("fraud", "r3") != NAME
    assert NAME.startswith("fraud-base-")
    assert len(NAME) == len("fraud") + 12


def test_a_name_without_room_for_it_is_refused_when_the_policy_is_read() -> None:
    assert policy(name="f" * 34).load.baseline == "dedicated"
    with pytest.raises(ValueError, match=r"shorten it by 1, or write load\.baseline: matched"):
        policy(name="f" * 35)
    assert policy(name="f" * 35, load={}).load.baseline == "matched"


@pytest.mark.parametrize(
    ("held", "chosen"),
    [
        (journal(), policy(load={"baseline": "matched"})),
        (journal(), policy(load={"baseline": "none"})),
        (journal(incumbent=None), policy()),
        (journal(fast_track=True), policy()),
    ],
    ids=["matched", "none", "a first release", "back to an earlier version, without gates"],
)
def test_nobody_gets_one_who_compares_with_nothing_of_the_kind(
    held: Journal, chosen: Policy
) -> None:
    assert with_baseline(held, service(), chosen).copies == ()


def test_one_is_not_taken_for_a_service_to_release_to() -> None:
    found = seen(labels={"tidegate.dev/baseline-of": "fraud"})
    refused = claim(found, policy(name="base"), NEW)
    assert isinstance(refused, Refuse)
    assert "base is the dedicated baseline of fraud" in refused.reason


# -- there and away


def test_it_is_created_asked_and_then_there() -> None:
    copy = HELD.copies[0]
    act = next_for_baseline(None, copy, HELD, 0)
    assert isinstance(act, Act)
    assert (act.kind, act.name) == (ActKind.BASELINE, NAME)
    up = replace(there(), host="b.test")
    asked = next_for_baseline(up, copy, HELD, 0)
    assert isinstance(asked, Prove)
    assert (asked.host, asked.probe) == ("b.test", PROBE)
    proven = HELD.model_copy(update={"proofs": (asked.key,)})
    assert isinstance(next_for_baseline(up, copy, proven, 0), Done)


@pytest.mark.parametrize("by", ["", "r1"])
def test_one_by_somebody_else_is_foreign_and_never_removed(by: str) -> None:
    copy = HELD.copies[0]
    refused = next_for_baseline(there(by=by), copy, HELD, 0)
    assert isinstance(refused, Refuse)
    assert refused.foreign
    assert isinstance(next_for_retirement(there(by=by), copy, 0), Done)


def test_one_that_vanished_is_not_made_again_for_half_its_evidence_is_about_it() -> None:
    known = HELD.with_copy(NAME, uid="b").copies[0]
    assert isinstance(next_for_baseline(None, known, HELD, 0), Refuse)


def test_a_removal_is_seen_through_but_for_finalizers_that_never_end() -> None:
    copy = HELD.copies[0]
    act = next_for_retirement(there(), copy, 0)
    assert isinstance(act, Act)
    assert act.kind is ActKind.RETIRE
    assert isinstance(next_for_retirement(there(deleting=True), copy, 0), Wait)
    assert isinstance(next_for_retirement(there(deleting=True), copy, GONE_S + 1), Done)
    assert isinstance(next_for_retirement(None, copy, 0), Done)


@given(
    uid=st.sampled_from(["", "b", "x"]),
    known=st.sampled_from(["", "b"]),
    by=st.sampled_from(["r2", "r1", ""]),
    uri=st.sampled_from([URI, NEW]),
    ready=st.sampled_from(["True", "False", "Unknown"]),
    deleting=st.booleans(),
    waited_s=st.floats(0, 1000),
)
def test_nothing_is_removed_but_what_the_release_made(
    uid: str, known: str, by: str, uri: str, ready: str, deleting: bool, waited_s: float
) -> None:
    found = there(uid=uid, by=by, uri=uri, ready=ready, deleting=deleting)
    decided = next_for_retirement(found, HELD.with_copy(NAME, uid=known).copies[0], waited_s)
    if isinstance(decided, Act):
        assert (decided.kind, by) == (ActKind.RETIRE, "r2")
        assert known in {"", uid}


# -- what is left


def test_what_is_left_is_told_with_the_command_that_removes_it() -> None:
    assert left_behind(journal()) == ""
    assert f"kubectl -n prod delete inferenceservice {NAME}" in left_behind(HELD)
    assert left_behind(HELD.with_copy(NAME, is_removed=True)) == ""


def test_a_calibrations_copies_keep_a_release_waiting_only_for_as_long_as_they_are_measured() -> (
    None
):
    over = HELD.ended(Result.PROMOTED, "done").with_copy(NAME, until_s=100.0)
    assert in_use(over, 40.0) == 60.0
    refused = holder_refusal(over, "r3", 40.0)
    assert refused
    assert "a calibration measures copies of prod/fraud, for 60 s more at most" in refused.reason
    assert not is_forgotten(over, 40.0)
    assert holder_refusal(over, "r3", 101.0) is None
    assert is_forgotten(over, 101.0)
    assert not is_forgotten(over.with_copy(NAME, is_removed=True), 101.0)


def test_what_is_done_beside_a_release_that_has_ended_is_none_of_its_acts() -> None:
    over = HELD.ended(Result.PROMOTED, "done")
    assert over.intending(ActRecord(kind=ActKind.RETIRE, intended_s=1)) is over


def test_a_copy_of_what_serves_now_is_made_of_the_spec_that_is_there() -> None:
    copy = copy_of(service(), PREDICTOR, journal(), policy(), made_by="calibrate-1", probe=None)
    assert copy.storage_uri == URI
    assert sized(PREDICTOR, policy(), "Knative") == copy.manifest["spec"]["predictor"]


# -- fairness


def fair(others: float | None, replicas: tuple[int, int] = (1, 1), rate: float = 50) -> Any:
    load = Load(rate_rps=rate, pairs=2, block_requests=100, baseline="dedicated")
    nobody = Production(rate_rps=0.0)
    planned = plan(load, has_incumbent=True, production=nobody, replicas=replicas)
    during = Production(rate_rps=others, why="no series")
    return fairness(
        planned, has_incumbent=True, before=nobody, during=during, replicas=replicas,
        dedicated=NAME,
    )  # fmt: skip


def test_both_arms_get_the_same_load_whatever_production_has() -> None:
    found = fair(0.0)
    assert (found.fair, found.candidate_rps, found.baseline_rps) == (True, 50, 50)
    assert f"dedicated baseline {NAME} 50.0 rps (50.0 of load + 0.0 of others)" in found.text


def test_beside_production_twice_as_strong_as_the_load_only_a_dedicated_one_is_fair() -> None:
    load = Load(rate_rps=10, pairs=2, block_requests=20)
    production = Production(rate_rps=20.0)
    planned = plan(load, has_incumbent=True, production=production)
    matched = fairness(planned, has_incumbent=True, before=production, during=production)
    assert not matched.fair
    assert fair(0.0, rate=10).fair


def test_a_baseline_that_somebody_else_sends_to_is_no_yardstick() -> None:
    found = fair(20.0)
    assert not found.fair
    assert "somebody else sends to it" in found.text


def test_what_reached_it_must_be_known() -> None:
    found = fair(None)
    assert not found.fair
    assert f"what reached the dedicated baseline {NAME}" in found.text
    assert "no series" in found.text


@pytest.mark.parametrize("dedicated", [NAME, ""])
def test_arms_that_scaled_differently_are_not_compared(dedicated: str) -> None:
    load = Load(
        rate_rps=50, pairs=2, block_requests=100, baseline="dedicated" if dedicated else "matched"
    )
    nobody = Production(rate_rps=0.0)
    planned = plan(load, has_incumbent=True, production=nobody)
    found = fairness(
        planned, has_incumbent=True, before=nobody, during=nobody, replicas=(2, 1),
        dedicated=dedicated,
    )  # fmt: skip
    assert not found.fair
    assert (
        "they did not scale alike: set serving.min_replicas to serving.max_replicas" in found.text
    )
