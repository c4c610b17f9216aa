"""Standard mode is refused with what to enable, before anything is written."""

from dataclasses import replace
from typing import Any

import pytest

from tests.core.standard_model import serving
from tidegate.core.observation import Canary, Observation
from tidegate.core.standard_claim import ClusterSupport, standard_refusal, untaken
from tidegate.documents import Word
from tidegate.policy import Policy

POLICY = Policy.model_validate({"name": "m", "model": {"uri": "models:/m/2"}})
ABLE = ClusterSupport(canary=True, gateway_api=True, http_routes=True, kserve=(0, 21))
ANNOTATED = {"serving.kserve.io/deploymentMode": "Standard"}
OLD = "s3://m/1/"


def seen(**changes: Any) -> Observation:
    """A service that could have a canary, but for these."""
    return replace(serving(OLD).seen(), **{"annotations": ANNOTATED, **changes})


def predictor(**changes: Any) -> dict[str, Any]:
    return {"name": "blue", "minReplicas": 1, "model": {"storageUri": OLD}} | changes


def scaled_by(kind: str) -> dict[str, str]:
    return ANNOTATED | {"serving.kserve.io/autoscalerClass": kind}


def test_a_cluster_and_an_object_that_can_are_not_refused() -> None:
    assert standard_refusal(seen(), POLICY, ABLE) is None
    assert standard_refusal(None, POLICY, ABLE) is None


def test_what_the_cluster_does_not_let_us_read_is_left_to_the_dry_run() -> None:
    unread = replace(ABLE, canary=None, kserve=None, gateway_api=None)
    assert standard_refusal(seen(), POLICY, unread) is None


@pytest.mark.parametrize(
    ("cluster", "enable"),
    [
        (replace(ABLE, canary=False), "install KServe 0.21 or newer with its CRDs"),
        (replace(ABLE, kserve=(0, 20)), "KServe 0.20 does not split traffic in this mode"),
        (replace(ABLE, http_routes=False), "install the Gateway API and a gateway"),
        (replace(ABLE, gateway_api=False), "set ingress.enableGatewayApi: true"),
        (ClusterSupport(), "let the role get configmaps in kserve and httproutes"),
    ],
    ids=["an old CRD", "an old controller", "no Gateway API", "not enabled", "nothing readable"],
)
def test_a_cluster_that_cannot_split_is_refused_with_what_to_enable(
    cluster: ClusterSupport, enable: str
) -> None:
    refusal = standard_refusal(None, POLICY, cluster)
    assert refusal is not None
    assert refusal.word is Word.INVALID
    assert refusal.reason.startswith("m runs in Standard mode, and there can be no canary: ")
    assert enable in refusal.reason


@pytest.mark.parametrize(
    ("observation", "named"),
    [
        (seen(annotations={}), "lacks the annotation serving.kserve.io/deploymentMode: Standard"),
        (
            seen(companions={"transformer": {"containers": [{}]}}),
            "run it beside the model in the predictor's pod, or use Knative mode under a new name",
        ),
        (
            seen(companions={"explainer": {"containers": [{}]}}),
            "spec.explainer is set, and an explainer asks the stable predictor's Service alone",
        ),
        (seen(predictor=predictor(workerSpec={"tensorParallelSize": 2})), "workerSpec is set"),
        (seen(predictor=predictor(model={})), "storageUri is empty"),
        (seen(predictor=predictor(minReplicas=0)), "minReplicas is 0"),
        (
            seen(annotations=scaled_by("keda")),
            "a ScaledObject without triggers, which the API refuses",
        ),
        (
            seen(annotations=scaled_by("external"), predictor=predictor(minReplicas=2)),
            "nobody would scale the canary",
        ),
        (
            seen(canary=(Canary(percent=5, predictor={"name": "red"}),)),
            "spec.canary already names red at 5 %",
        ),
        (
            seen(predictor=predictor(model={"storageUri": "s3://m/9/"})),
            "m-blue-predictor still serves s3://m/1/ though the spec names s3://m/9/",
        ),
    ],
    ids=[
        "the mode is recorded only",
        "a transformer",
        "an explainer",
        "several nodes",
        "no model",
        "scaled to zero",
        "KEDA",
        "scaled from outside",
        "a canary already",
        "a rollout under way",
    ],
)
def test_an_object_that_cannot_have_a_canary_is_refused_by_the_field(
    observation: Observation, named: str
) -> None:
    refusal = standard_refusal(observation, POLICY, ABLE)
    assert refusal is not None
    assert named in refusal.reason


def test_one_pod_scaled_from_outside_is_no_obstacle() -> None:
    assert standard_refusal(seen(annotations=scaled_by("external")), POLICY, ABLE) is None


def test_a_schema_that_drops_the_entry_is_named() -> None:
    assert "the API drops spec.canary: install KServe 0.21 or newer" in untaken(POLICY).reason
