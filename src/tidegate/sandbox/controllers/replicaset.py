"""A Deployment's template as a ReplicaSet, its pods, and the server that stands for them. Pure."""

import hashlib
import json

from tidegate.sandbox.api.kinds import REPLICASETS, Json
from tidegate.sandbox.controllers.objects import Wanted, reference
from tidegate.sandbox.controllers.pods import containers_for, memory_limit, own_args, program
from tidegate.sandbox.controllers.template import ISVC_LABEL, SOURCE
from tidegate.sandbox.interfaces import RevisionSpec

HASH = "pod-template-hash"
ROLLOUT = "deployment.kubernetes.io/revision"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # Kubernetes' own: no vowels, so it never spells a word
_LENGTH = 10


def template_hash(deployment: Json) -> str:
    """The same for the same template, whatever the number of replicas."""
    text = json.dumps(deployment["spec"]["template"], sort_keys=True)
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    letters = []
    for _ in range(_LENGTH):
        number, rest = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[rest])
    return "".join(letters)


def wanted(deployment: Json, replicas: int) -> Wanted:
    """The ReplicaSet of the Deployment's template as it is now."""
    meta, template = deployment["metadata"], deployment["spec"]["template"]
    digest = template_hash(deployment)
    labels = template["metadata"]["labels"] | {HASH: digest}
    selector = deployment["spec"]["selector"]["matchLabels"] | {HASH: digest}
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": selector},
        "template": template | {"metadata": template["metadata"] | {"labels": labels}},
    }
    return Wanted(
        kind=REPLICASETS, namespace=meta["namespace"], name=f"{meta['name']}-{digest}",
        owner=deployment, spec=spec, labels=labels,
        annotations=template["metadata"].get("annotations", {}),
    )  # fmt: skip


def pod(replicaset: Json) -> Json:
    """One pod's manifest."""
    meta, template = replicaset["metadata"], replicaset["spec"]["template"]
    inner = template["metadata"]
    return {
        "metadata": {
            "generateName": f"{meta['name']}-", "labels": inner["labels"],
            "annotations": inner.get("annotations", {}), "ownerReferences": [reference(replicaset)],
        },
        "spec": template["spec"] | containers_for(template["spec"]["containers"], _source(meta)),
    }  # fmt: skip


def server(replicaset: Json, service: str) -> RevisionSpec:
    """What the runtime has to know; `service` is the name of Deployment and Service."""
    meta, template = replicaset["metadata"], replicaset["spec"]["template"]
    container = next(iter(template["spec"]["containers"]))
    return RevisionSpec(
        namespace=meta["namespace"], name=meta["name"], service=service,
        inferenceservice=meta["labels"].get(ISVC_LABEL, ""), storage_uri=_source(meta),
        labels=meta["labels"], args=own_args(container),
        memory_bytes=memory_limit(container),
        env={e["name"]: str(e.get("value", "")) for e in container.get("env", [])},
        workload="Deployment", program=program(template["spec"]["containers"]),
    )  # fmt: skip


def _source(meta: Json) -> str:
    return str(meta.get("annotations", {}).get(SOURCE, ""))
