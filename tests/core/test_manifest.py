"""The manifest as KServe's own models read it, and the merge-patches to the letter."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kserve_judge import read_by_kserve
from tidegate.core.manifest import (
    difference,
    inference_service,
    predictor,
    restore_patch,
    shift_patch,
    snapshot,
    stage_patch,
)
from tidegate.documents import Incumbent
from tidegate.policy import Policy

NEW, OLD = "s3://models/fraud/8/", "s3://models/fraud/7/"
FULL = Policy.model_validate(
    {
        "name": "fraud",
        "namespace": "prod",
        "model": {"uri": "models:/fraud/8"},
        "serving": {
            "runtime_version": "25.06-py3",
            "min_replicas": 1,
            "max_replicas": 4,
            "service_account": "model-reader",
            "resources": {"limits": {"cpu": "4", "nvidia.com/mig-1g.10gb": "1"}},
            "labels": {"team": "risk"},
            "args": ["--log-verbose=1"],
        },
    }
)
PLAIN = Policy.model_validate({"name": "fraud", "model": {"uri": "models:/fraud/8"}})


@pytest.mark.parametrize("policy", [PLAIN, FULL], ids=["the defaults", "everything said"])
def test_kserves_own_models_accept_the_manifest_and_give_it_back(policy: Policy) -> None:
    manifest = json.loads(json.dumps(inference_service(policy, NEW, "8").as_dict()))
    assert read_by_kserve([manifest]) == [manifest]


def test_the_manifest_says_mode_and_tag_routing_and_no_percent() -> None:
    manifest = inference_service(FULL, NEW, "8").as_dict()
    assert manifest["metadata"]["annotations"] == {
        "serving.kserve.io/deploymentMode": "Knative",
        "serving.kserve.io/enable-tag-routing": "true",
    }
    assert "canaryTrafficPercent" not in manifest["spec"]["predictor"]


def test_the_model_is_triton_over_v2_and_ready_when_its_models_are() -> None:
    model = predictor(FULL, NEW, "8").as_dict()["model"]
    assert (model["modelFormat"], model["protocolVersion"]) == ({"name": "triton"}, "v2")
    assert (model["runtime"], model["runtimeVersion"]) == ("tidegate-triton", "25.06-py3")
    assert model["readinessProbe"] == {"httpGet": {"path": "/v2/health/ready", "port": 8080}}


def test_a_staging_is_one_patch_with_template_version_label_and_0() -> None:
    wanted = predictor(PLAIN, NEW, "8").as_dict()
    patch = stage_patch(wanted, resource_version="123", add_tag_routing=False)
    assert patch["metadata"] == {"resourceVersion": "123"}
    staged = patch["spec"]["predictor"]
    assert (staged["canaryTrafficPercent"], staged["model"]["storageUri"]) == (0, NEW)
    assert staged["labels"] == {"tidegate.dev/model-version": "8"}


def test_tag_routing_comes_with_the_staging_or_it_would_make_a_revision_of_its_own() -> None:
    patch = stage_patch({}, resource_version="1", add_tag_routing=True)
    assert patch["metadata"]["annotations"] == {"serving.kserve.io/enable-tag-routing": "true"}


def test_a_step_is_the_percent_alone() -> None:
    assert shift_patch(10) == {"spec": {"predictor": {"canaryTrafficPercent": 10}}}
    assert shift_patch(10, resource_version="7")["metadata"] == {"resourceVersion": "7"}


def test_a_restore_sends_nulls_for_what_the_incumbent_did_not_have() -> None:
    before: dict[str, Any] = {"minReplicas": 1, "model": {"storageUri": OLD}}
    now = {
        "minReplicas": 1,
        "timeout": 60,
        "canaryTrafficPercent": 50,
        "model": {"storageUri": NEW, "args": ["--log-verbose=1"]},
    }
    incumbent = Incumbent(revision="r1", storage_uri=OLD, predictor=before)
    assert restore_patch(now, incumbent, resource_version="9") == {
        "metadata": {"resourceVersion": "9"},
        "spec": {
            "predictor": {
                "timeout": None,
                "canaryTrafficPercent": 0,
                "model": {"storageUri": OLD, "args": None},
            }
        },
    }


def test_the_snapshot_names_what_serves_not_what_an_unrepaired_spec_says() -> None:
    spec = {"labels": {"tidegate.dev/model-version": "9"}, "model": {"storageUri": "s3://bad/"}}
    kept = snapshot(spec, OLD, {"tidegate.dev/model-version": "7"})
    assert kept["model"]["storageUri"] == OLD
    assert kept["labels"]["tidegate.dev/model-version"] == "7"


JSON = st.recursive(
    st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)


def _applied(target: Any, patch: Any) -> Any:
    """RFC 7386, to the letter."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _applied(result.get(key), value)
    return result


@given(current=OBJECTS, wanted=OBJECTS)
def test_a_difference_applied_is_what_was_wanted(current: Any, wanted: Any) -> None:
    assert _applied(current, difference(current, wanted)) == wanted
