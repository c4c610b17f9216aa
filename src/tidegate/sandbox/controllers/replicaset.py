"""A Deployment's template as a ReplicaSet, its pods, and the server that stands for them. Pure."""

import hashlib
import json
import re

from tidegate.sandbox import kserve_command
from tidegate.sandbox.api.kinds import REPLICASETS, Json
from tidegate.sandbox.controllers import components, pods
from tidegate.sandbox.controllers.objects import Wanted, reference
from tidegate.sandbox.controllers.template import ISVC_LABEL, SOURCE
from tidegate.sandbox.interfaces import Program, RevisionSpec

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
        "spec": template["spec"] | pods.containers_for(template["spec"]["containers"], _source(meta)),
    }  # fmt: skip


def server(replicaset: Json, service: str) -> RevisionSpec:
    """What the runtime has to know; `service` is the name of Deployment and Service."""
    meta, template = replicaset["metadata"], replicaset["spec"]["template"]
    container, of_model = next(iter(template["spec"]["containers"])), _has_model(meta["labels"])
    return RevisionSpec(
        namespace=meta["namespace"], name=meta["name"], service=service,
        inferenceservice=meta["labels"].get(ISVC_LABEL, ""), storage_uri=_source(meta),
        labels=meta["labels"], args=pods.own_args(container) if of_model else (),
        format=kserve_command.format_of(str(container.get("image", ""))) if of_model else "",
        memory_bytes=pods.memory_limit(container),
        env={e["name"]: str(e.get("value", "")) for e in container.get("env") or []},
        workload="Deployment", program=_program(template["spec"]["containers"], meta),
    )  # fmt: skip


def _has_model(labels: Json) -> bool:
    return bool(labels.get("component", components.PREDICTOR) == components.PREDICTOR)


def _program(containers: list[Json], meta: Json) -> Program | None:
    if _has_model(meta["labels"]):
        return pods.program(containers)
    return pods.alone(containers[0], _reaches(containers[0], meta))


def _reaches(container: Json, meta: Json) -> set[str]:
    """The Services of its InferenceService that it names: there is none of the InferenceService's own name,
    and a predictor's has `predictor.name` in it."""
    isvc, parts = re.escape(meta["labels"][ISVC_LABEL]), "|".join(components.ALL)
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    words += [str(one.get("value", "")) for one in container.get("env") or []]
    name = re.compile(
        rf"(?<![\w.-]){isvc}(?:-[a-z0-9-]+)?-(?:{parts})\.{re.escape(meta['namespace'])}\b"
    )
    return {found for word in words for found in name.findall(word)}


def _source(meta: Json) -> str:
    return str(meta.get("annotations", {}).get(SOURCE, ""))
