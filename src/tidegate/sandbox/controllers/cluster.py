"""What a cluster with KServe and Knative holds before anybody uses it."""

import json

from tidegate.sandbox import room
from tidegate.sandbox.api import settings
from tidegate.sandbox.api.errors import ApiError
from tidegate.sandbox.api.kinds import (
    ALL,
    CLUSTERSERVINGRUNTIMES,
    CONFIGMAPS,
    CRDS,
    DEPLOYMENTS,
    INFERENCESERVICES,
    NAMESPACES,
    NODES,
    Json,
    Kind,
)  # fmt: skip
from tidegate.sandbox.api.store import Store
from tidegate.sandbox.controllers import runtimes

KSERVE_IMAGE = "kserve/kserve-controller:v0.21.0"  # the first with weights in HTTPRoutes
ROUTER_IMAGE = "kserve/router:v0.21.0"
TRITON = "nvcr.io/nvidia/tritonserver"
OUR_TRITON = (
    f"{TRITON}:24.10-py3"  # the release of the server that runs here, whatever is asked for
)
KSERVES_TRITON = f"{TRITON}:23.05-py3"  # config/runtimes/kserve-tritonserver.yaml of KServe 0.21
# Format -> image and declared version (config/runtimes/kserve-*server.yaml of KServe 0.21).
KSERVES = {
    "sklearn": ("kserve/sklearnserver:v0.21.0", "1"),
    "xgboost": ("kserve/xgbserver:v0.21.0", "2"),
    "lightgbm": ("kserve/lgbserver:v0.21.0", "4"),
}


def populate(store: Store, domain: str, mode: str) -> None:
    """What clients look for before they act: CRDs, KServe's controller, its ConfigMap, runtimes."""
    for namespace in ("kserve", "knative-serving"):
        _create(store, NAMESPACES, {"metadata": {"name": namespace}, "status": {"phase": "Active"}})
    ready = [{"type": "Ready", "status": "True"}]
    status = {"conditions": ready, "allocatable": room.allocatable()}
    _create(store, NODES, {"metadata": {"name": "sandbox"}, "status": status})
    for kind in ALL:
        if kind.is_custom:
            _create(store, CRDS, crd(kind))
    _create(store, DEPLOYMENTS, _controller(), settings.NAMESPACE)
    _create(store, CLUSTERSERVINGRUNTIMES, runtimes.triton(KSERVES_TRITON))
    _create(store, CLUSTERSERVINGRUNTIMES, runtimes.pinned(OUR_TRITON))
    for name, (image, version) in KSERVES.items():
        _create(store, CLUSTERSERVINGRUNTIMES, runtimes.kserves(image, name, version))
    documents = _documents(domain, mode)
    _configmap(store, settings.NAMESPACE, settings.NAME, documents)
    _configmap(store, "knative-serving", "config-domain", {domain: ""})


def _documents(domain: str, mode: str) -> dict[str, str]:
    """KServe's configuration: the mode, the Gateway API, which a split needs, and a graph's router."""
    ingress = {
        "enableGatewayApi": True,
        "kserveIngressGateway": "kserve/kserve-ingress-gateway",
        "ingressDomain": domain,
        "domainTemplate": "{{ .Name }}.{{ .Namespace }}.{{ .IngressDomain }}",
        "urlScheme": "http",
    }
    return {
        "deploy": json.dumps({"defaultDeploymentMode": mode}),
        "ingress": json.dumps(ingress),
        "router": json.dumps({"image": ROUTER_IMAGE}),
    }


def crd(kind: Kind) -> Json:
    """A kind's CRD, whose schema says no more than that `spec.canary` is known."""
    schema: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    if kind == INFERENCESERVICES:
        open_ended = schema | {"properties": {"canary": {"type": "array", "items": schema}}}
        schema = schema | {"properties": {"spec": open_ended}}
    version = {"name": kind.version, "served": True, "storage": True}
    names = {"plural": kind.plural, "singular": kind.kind.lower(), "kind": kind.kind}
    spec: Json = {
        "group": kind.group,
        "names": names | {"shortNames": list(kind.short_names)},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "versions": [version | {"schema": {"openAPIV3Schema": schema}}],
    }
    established = {"conditions": [{"type": "Established", "status": "True"}]}
    return {"metadata": {"name": kind.resource}, "spec": spec, "status": established}


def _controller() -> Json:
    """KServe's controller, by whose image clients tell the version."""
    labels = {"control-plane": "kserve-controller-manager"}
    pod = {"containers": [{"name": "manager", "image": KSERVE_IMAGE}]}
    spec: Json = {"replicas": 1, "selector": {"matchLabels": labels}}
    spec["template"] = {"metadata": {"labels": labels}, "spec": pod}
    available = {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1, "updatedReplicas": 1}
    meta = {"name": "kserve-controller-manager", "labels": labels}
    return {"metadata": meta, "spec": spec, "status": available | {"observedGeneration": 1}}


def _configmap(store: Store, namespace: str, name: str, data: dict[str, str]) -> None:
    _create(store, CONFIGMAPS, {"metadata": {"name": name}, "data": data}, namespace)


def _create(store: Store, kind: Kind, item: Json, namespace: str = "") -> None:
    try:
        store.create(kind, item, namespace)
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise
