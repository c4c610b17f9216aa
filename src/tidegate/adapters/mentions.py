"""The text of every object of the cluster that can name a storage URI, in all namespaces."""

import json

from tidegate.adapters.kubernetes import Kubernetes
from tidegate.adapters.release_lock import MANAGED_BY

# Services by spec and status; what Knative and KServe made of each; journals with their histories.
LISTS = (
    ("/apis/serving.kserve.io/v1beta1/inferenceservices", ""),
    ("/apis/serving.knative.dev/v1/revisions", ""),
    ("/apis/apps/v1/deployments", "serving.kserve.io/inferenceservice"),
    ("/api/v1/configmaps", "=".join(MANAGED_BY)),
)
MAY_BE_MISSING = "/apis/serving.knative.dev/v1/revisions"  # Standard mode needs no Knative


def mentioned(kube: Kubernetes) -> str:
    """All of it. Raises RejectedError when one kind may not be listed: what is unseen could name anything."""
    return "\n".join(_text(kube, path, selector) for path, selector in LISTS)


def _text(kube: Kubernetes, path: str, selector: str) -> str:
    if path == MAY_BE_MISSING:
        found = kube.find(path)
    else:
        found = kube.request("GET", path, query={"labelSelector": selector} if selector else None)
    return json.dumps((found or {}).get("items", []))
