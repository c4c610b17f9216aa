"""Standard mode: an InferenceService with its Deployments and HTTPRoutes, and what the cluster offers."""

import json
import re
from collections.abc import Iterable
from typing import Any

from tidegate.adapters.kubernetes import Kubernetes
from tidegate.core.observation import Observation
from tidegate.core.standard_claim import ClusterSupport
from tidegate.core.standard_readiness import observe_standard
from tidegate.errors import RejectedError

Json = dict[str, Any]
CONFIG = "/api/v1/namespaces/kserve/configmaps/inferenceservice-config"
CONTROLLER = "/apis/apps/v1/namespaces/kserve/deployments/kserve-controller-manager"
CRD = (
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"
    "inferenceservices.serving.kserve.io"
)  # fmt: skip
GATEWAY = "/apis/gateway.networking.k8s.io/v1"


def observed(
    kube: Kubernetes, isvc: Json, warnings: Iterable[str] = ()
) -> tuple[Observation, list[Json]]:
    """The InferenceService with its Deployments and its two routes; and those Deployments."""
    name, namespace = isvc["metadata"]["name"], isvc["metadata"]["namespace"]
    deployments = _deployments(kube, isvc)
    routes = f"{GATEWAY}/namespaces/{namespace}/httproutes"
    found = [kube.find(f"{routes}/{one}") for one in (name, f"{name}-predictor")]
    routed = [route for route in found if route]
    return observe_standard(isvc, deployments, routed, warnings), deployments


def _deployments(kube: Kubernetes, isvc: Json) -> list[Json]:
    name, namespace = isvc["metadata"]["name"], isvc["metadata"]["namespace"]
    mine = f"serving.kserve.io/inferenceservice={name},component=predictor"
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    found: list[Json] = kube.request("GET", path, query={"labelSelector": mine})["items"]
    return found


def support(kube: Kubernetes) -> ClusterSupport:
    """What the cluster offers for a canary in Standard mode, as far as it lets us read that."""
    return ClusterSupport(
        canary=_has_canary(kube),
        gateway_api=_writes_routes(kube),
        http_routes=_serves_routes(kube),
        kserve=_version(kube),
    )


def _read(kube: Kubernetes, path: str) -> Json | None:
    """The object; None when it is not there, or not for us to read."""
    try:
        return kube.find(path)
    except RejectedError:
        return None


def _has_canary(kube: Kubernetes) -> bool | None:
    versions = (_read(kube, CRD) or {}).get("spec", {}).get("versions", ())
    served = next((v for v in versions if v.get("name") == "v1beta1"), None)
    if served is None:
        return None
    schema = served.get("schema", {}).get("openAPIV3Schema", {})
    spec = schema.get("properties", {}).get("spec", {}).get("properties")
    return None if spec is None else "canary" in spec  # kserve-crd-minimal describes no field


def _writes_routes(kube: Kubernetes) -> bool | None:
    found = _read(kube, CONFIG)
    if found is None:
        return None
    try:
        ingress = json.loads(found.get("data", {}).get("ingress", "{}"))
    except ValueError:
        return None
    return ingress.get("enableGatewayApi") is True


def _serves_routes(kube: Kubernetes) -> bool | None:
    try:
        found = kube.find(GATEWAY)
    except RejectedError:
        return None
    served = (found or {}).get("resources", ())
    return any(one.get("name") == "httproutes" for one in served)


def _version(kube: Kubernetes) -> tuple[int, int] | None:
    """By the controller's image; a tag that is no version, or a digest, says nothing."""
    spec = (_read(kube, CONTROLLER) or {}).get("spec", {}).get("template", {}).get("spec", {})
    images = " ".join(str(one.get("image", "")) for one in spec.get("containers", ()))
    tag = re.search(r"kserve-controller:v?(\d+)\.(\d+)\.", images)
    return (int(tag[1]), int(tag[2])) if tag else None
