"""Standard mode's objects and patches to the letter, and as KServe's own schema takes them."""

import json
from typing import Any

import pytest

from tests.core.standard_model import serving
from tests.core.test_manifest import FULL, NEW, PLAIN, _applied
from tests.core.test_standard import Run, reach
from tests.crd import KSERVE, complaints
from tests.kserve_judge import read_by_kserve
from tidegate.core.decisions import Act
from tidegate.core.journal import ActKind
from tidegate.core.manifest import predictor
from tidegate.core.standard import patch_of
from tidegate.core.standard_manifest import (
    canary_patch,
    deployment_name,
    entry,
    inference_service,
    other,
    overlaid,
    promoted,
    replicas_at,
)
from tidegate.policy import Policy

OLD = "s3://models/fraud/7/"
CRD = KSERVE / "serving.kserve.io_inferenceservices.yaml"


def test_the_manifest_names_its_predictor_and_says_the_mode() -> None:
    manifest = inference_service(FULL, NEW, "8").as_dict()
    assert manifest["metadata"]["annotations"] == {"serving.kserve.io/deploymentMode": "Standard"}
    assert manifest["spec"]["predictor"]["name"] == "blue"
    assert manifest["spec"]["predictor"]["maxReplicas"] == 4


def test_names_alternate_and_a_service_is_named_after_them() -> None:
    assert [other(name) for name in ("blue", "green", "", "main")] == [
        "green",
        "blue",
        "blue",
        "blue",
    ]
    assert deployment_name("fraud", "blue") == "fraud-blue-predictor"
    assert deployment_name("fraud", "") == "fraud-predictor"


def test_an_entry_counts_its_own_pods_and_scales_by_nothing() -> None:
    staged = entry(predictor(FULL, NEW, "8").as_dict(), "green", percent=0, replicas=1)
    assert (staged["trafficPercent"], staged["predictor"]["minReplicas"]) == (0, 1)
    assert "maxReplicas" not in staged["predictor"]
    assert staged["predictor"]["model"]["storageUri"] == NEW


@pytest.mark.parametrize(
    ("floor", "percent", "pods"),
    [(1, 0, 1), (1, 100, 1), (4, 0, 1), (4, 10, 1), (4, 50, 2), (4, 90, 4)],
)
def test_pods_follow_the_share_and_are_never_none(floor: int, percent: int, pods: int) -> None:
    assert replicas_at({"minReplicas": floor}, percent) == pods


def test_what_is_empty_in_an_entry_leaves_the_stable_field_as_kserve_does() -> None:
    stable = {"timeout": 60, "model": {"args": ["-v"], "storageUri": OLD}, "labels": {"a": "1"}}
    canary = {"timeout": 0, "model": {"args": [], "storageUri": NEW}, "labels": {"b": "2"}}
    assert overlaid(stable, canary) == {
        "timeout": 60,
        "model": {"args": ["-v"], "storageUri": NEW},
        "labels": {"a": "1", "b": "2"},
    }


def test_the_promoted_predictor_is_the_canarys_with_replicas_of_the_policy() -> None:
    stable = {"name": "blue", "minReplicas": 1, "maxReplicas": 1, "model": {"storageUri": OLD}}
    canary = {"name": "green", "minReplicas": 1, "model": {"storageUri": NEW}}
    policy = {"serving": {"min_replicas": 2, "max_replicas": 3}}
    wanted = promoted({**stable, "canary": [canary]}, policy)
    assert wanted == {
        "name": "green", "minReplicas": 2, "maxReplicas": 3, "model": {"storageUri": NEW}
    }  # fmt: skip


def test_an_empty_list_is_taken_away() -> None:
    assert canary_patch([], uid="u")["spec"] == {"canary": None}


def staged_object(policy: Policy) -> dict[str, Any]:
    """A first release with a second one staged beside it."""
    manifest = inference_service(policy, OLD, "7").as_dict()
    wanted = predictor(policy, NEW, "8").as_dict()
    patch = canary_patch([entry(wanted, "green", percent=10, replicas=1)])
    applied: dict[str, Any] = _applied(manifest, patch)
    return json.loads(json.dumps(applied))  # type: ignore[no-any-return]


@pytest.mark.parametrize("policy", [PLAIN, FULL], ids=["the defaults", "everything said"])
def test_kserves_own_models_know_every_field_of_a_staged_object(policy: Policy) -> None:
    staged = staged_object(policy)
    (read,) = read_by_kserve([staged])
    assert read["spec"]["canary"] == staged["spec"]["canary"]


def test_they_refuse_a_field_that_they_do_not_know_in_an_entry_too() -> None:
    staged = staged_object(PLAIN)
    staged["spec"]["canary"][0]["predictor"]["model"]["storageURI"] = NEW
    with pytest.raises(AssertionError, match="does not know \\['storageURI'\\]"):
        read_by_kserve([staged])


@pytest.mark.skipif(not CRD.is_file(), reason="TIDEGATE_SHARED is not set")
def test_the_crd_takes_every_object_that_a_release_passes_through() -> None:
    for policy in (PLAIN, FULL):
        _judged(staged_object(policy))
    run = reach(Run(serving("s3://m/1/")), 101)
    back = Act(kind=ActKind.RESTORE, percent=0, why="")
    patch = patch_of(back, run.cluster.seen(), run.journal, {})
    for spec in (run.cluster.spec, _applied(run.cluster.spec, patch["spec"])):
        _judged({"spec": spec})


def _judged(item: dict[str, Any]) -> None:
    kept = {key: value for key, value in item.items() if key == "spec"}
    for place in (
        [kept["spec"]["predictor"]],
        [c["predictor"] for c in kept["spec"].get("canary", [])],
    ):
        for held in place:
            held["model"].setdefault("modelFormat", {"name": "triton"})
    assert complaints(kept, CRD) == []
