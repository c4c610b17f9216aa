"""What is refused at the door: webhook rules, field types, and CRD schemas where they are at hand."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tidegate.sandbox.api import defaults, webhook

from .running_api import ISVCS, LEASES, Api, isvc, running

SHARED = os.environ.get("TIDEGATE_SHARED")
CRDS = Path(SHARED or "unset") / "data" / "crds"
MODE = "serving.kserve.io/deploymentMode"


@pytest.fixture(scope="module")
def shared() -> Iterator[Api]:
    with running() as started:
        yield started


@pytest.fixture
def api(shared: Api) -> Api:
    shared.delete(ISVCS)
    shared.delete(LEASES)
    return shared


@pytest.fixture(scope="module")
def strict() -> Iterator[Api]:
    with running(crd_dir=CRDS) as started:
        yield started


def annotated(**annotations: str) -> dict[str, Any]:
    body = isvc()
    body["metadata"]["annotations"] = {k.replace("__", "/"): v for k, v in annotations.items()}
    return body


MODEL = isvc()["spec"]["predictor"]["model"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (isvc("1digits"), "must start with alphabetical"),
        (isvc("dig.its"), "must start with alphabetical"),
        (isvc(sklearn={"storageUri": "s3://b/1/"}), "exactly one of"),
        (isvc(model=None), "exactly one of"),
        (isvc(minReplicas=3, maxReplicas=2), "MinReplicas cannot be greater than MaxReplicas"),
        (isvc(minReplicas=-1), "MinReplicas cannot be less than 0"),
        (isvc(maxReplicas=-1), "MaxReplicas cannot be less than 0"),
        (isvc(containerConcurrency=-1), "cannot be less than 0"),
        (isvc(model=MODEL | {"name": "x"}), "must be empty"),
        (isvc(model=MODEL | {"storage": {"path": "p"}}), "storageUri and storage.path"),
        (isvc(model=MODEL | {"storageUris": [{}]}), "storageUri and storageUris"),
        (isvc(scaleMetric="cpu"), "[cpu] is not a supported metric"),
        (isvc(logger={"mode": "some"}), "invalid logger type"),
        (isvc(deploymentStrategy={}), "deploymentStrategy"),
        (annotated(serving_kserve_io="x") | {"spec": {"predictor": {}}}, "exactly one of"),
        (annotated(**{"serving.kserve.io/autoscalerClass": "kpa"}), "[kpa] is not a supported"),
    ],
)
def test_the_webhook_refuses_in_its_own_words(api: Api, body: dict[str, Any], said: str) -> None:
    refused = api.post(ISVCS, body, 403)
    assert refused["message"].startswith(f'admission webhook "{webhook.NAME}" denied the request: ')
    assert said in refused["message"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("minReplicas", "two"), ("canaryTrafficPercent", 1.5), ("maxReplicas", True), ("model", [])],
)
def test_a_field_of_a_wrong_type_is_invalid_without_any_crd(
    api: Api, field: str, value: Any
) -> None:
    refused = api.post(ISVCS, isvc(**{field: value}), 422)
    assert refused["details"]["causes"][0]["field"] == f"spec.predictor.{field}"


def test_an_update_is_judged_like_a_creation(api: Api) -> None:
    api.post(ISVCS, isvc())
    api.merge(f"{ISVCS}/digits", {"spec": {"predictor": {"model": {"storageUri": 5}}}}, 422)
    api.merge(f"{ISVCS}/digits", {"spec": {"predictor": {"maxReplicas": -1}}}, 403)
    assert api.get(f"{ISVCS}/digits")["metadata"]["generation"] == 1


def test_a_shorthand_becomes_a_model(api: Api) -> None:
    body = isvc()
    body["spec"]["predictor"] = {"triton": {"storageUri": "s3://b/1/"}}
    stored = api.post(ISVCS, body)
    model = stored["spec"]["predictor"]["model"]
    assert (model["modelFormat"], model["protocolVersion"]) == ({"name": "triton"}, "v2")
    assert stored["metadata"]["annotations"] == {"modelFormat": "triton"}


def test_an_old_mode_name_is_rewritten(api: Api) -> None:
    stored = api.post(ISVCS, annotated(**{MODE: "Serverless"}))
    assert stored["metadata"]["annotations"][MODE] == "Knative"


def test_defaulting_twice_is_defaulting_once() -> None:
    once = defaults.defaulted(isvc())
    assert defaults.defaulted(once) == once


def test_nulls_are_not_stored(api: Api) -> None:
    body = isvc(minReplicas=None)
    body["metadata"] |= {"annotations": None, "labels": None}
    stored = api.post(ISVCS, body)
    assert "minReplicas" not in stored["spec"]["predictor"]
    assert "labels" not in stored["metadata"]


def test_everybody_may_do_everything(api: Api) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert api.post(path, {"spec": {}})["status"]["allowed"] is True


@pytest.mark.parametrize("spec", [{"leaseDurationSeconds": 0}, {"leaseTransitions": -1}])
def test_a_lease_with_impossible_numbers_is_invalid(api: Api, spec: dict[str, int]) -> None:
    api.post(LEASES, {"metadata": {"name": "l"}, "spec": spec}, 422)


needs_crds = pytest.mark.skipif(not CRDS.is_dir(), reason="TIDEGATE_SHARED names no CRDs")


@needs_crds
def test_a_crd_names_every_wrong_field(strict: Api) -> None:
    body = isvc(minReplicas="two", timeout="x")
    refused = strict.post(ISVCS, body, 422)
    fields = {cause["field"] for cause in refused["details"]["causes"]}
    assert fields == {"spec.predictor.minReplicas", "spec.predictor.timeout"}
    assert "must be of type integer" in refused["message"]


@needs_crds
def test_an_unknown_field_is_pruned_or_refused_as_asked(strict: Api) -> None:
    body = isvc(modle={})
    refused = strict.post(ISVCS, body, 400, fieldValidation="Strict")
    assert 'unknown field "spec.predictor.modle"' in refused["message"]
    assert "modle" not in strict.post(ISVCS, body)["spec"]["predictor"]
    strict.delete(f"{ISVCS}/digits")


@needs_crds
def test_quantities_may_be_numbers_or_texts(strict: Api) -> None:
    resources = {"limits": {"cpu": 1, "memory": "2Gi"}}
    body = isvc("sized", model=MODEL | {"resources": resources})
    stored = strict.post(ISVCS, body)
    assert stored["spec"]["predictor"]["model"]["resources"] == resources
