"""What a cluster with KServe and Knative holds before anybody uses it."""

import json

from tidegate.sandbox.api import settings
from tidegate.sandbox.api.errors import ApiError
from tidegate.sandbox.api.kinds import (
    CLUSTERSERVINGRUNTIMES,
    CONFIGMAPS,
    NAMESPACES,
    NODES,
    Json,
    Kind,
)  # fmt: skip
from tidegate.sandbox.api.store import Store
from tidegate.sandbox.controllers import runtimes

TRITON_IMAGE = "nvcr.io/nvidia/tritonserver:24.10-py3"  # the release of the server that runs here


def populate(store: Store, domain: str, mode: str) -> None:
    """Namespaces, a node, the Triton runtime and the ConfigMaps that clients read their mode from."""
    for namespace in ("kserve", "knative-serving"):
        _create(store, NAMESPACES, {"metadata": {"name": namespace}, "status": {"phase": "Active"}})
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    _create(store, NODES, {"metadata": {"name": "sandbox"}, "status": ready})
    _create(store, CLUSTERSERVINGRUNTIMES, runtimes.triton(TRITON_IMAGE))
    deploy = json.dumps({"defaultDeploymentMode": mode})
    ingress = json.dumps(
        {
            "enableGatewayApi": True,
            "kserveIngressGateway": "kserve/kserve-ingress-gateway",
            "ingressDomain": domain,
            "domainTemplate": "{{ .Name }}.{{ .Namespace }}.{{ .IngressDomain }}",
            "urlScheme": "http",
        }
    )
    documents = {"deploy": deploy, "ingress": ingress}
    _configmap(store, settings.NAMESPACE, settings.NAME, documents)
    _configmap(store, "knative-serving", "config-domain", {domain: ""})


def _configmap(store: Store, namespace: str, name: str, data: dict[str, str]) -> None:
    _create(store, CONFIGMAPS, {"metadata": {"name": name}, "data": data}, namespace)


def _create(store: Store, kind: Kind, item: Json, namespace: str = "") -> None:
    try:
        store.create(kind, item, namespace)
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise
