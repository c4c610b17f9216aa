"""What of an InferenceService becomes the template of its pods: a change here is new pods. Pure.

Knative makes a revision of a changed template, a Deployment rolls it out. The scaling fields are part
of Knative's template and not of a Deployment's.
"""

import re
from collections.abc import Mapping
from typing import Any

from tidegate.sandbox.api.kinds import Json

SOURCE = "internal.serving.kserve.io/storage-initializer-sourceuri"
TAG_ROUTING = "serving.kserve.io/enable-tag-routing"
ISVC_LABEL = "serving.kserve.io/inferenceservice"
ROLLOUT = "serving.knative.dev/rollout-duration"  # moves to the ksvc: no new revision
MIN_SCALE = "autoscaling.knative.dev/min-scale"
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_DISALLOWED = {
    MIN_SCALE,
    "autoscaling.knative.dev/max-scale",
    SOURCE,
    "kubectl.kubernetes.io/last-applied-configuration",
    "modelFormat",
}
_SCHEMES = {
    "gs", "s3", "pvc", "file", "https", "http", "hdfs", "webhdfs", "oci", "oci+native", "oci+fetch",
    "hf", "modelscope",
}  # fmt: skip
_RUNTIME_ONLY = {
    "modelFormat", "runtime", "runtimeVersion", "protocolVersion", "storageUri", "storageUris",
    "storage", "confidential", "args", "env", "name",
}  # fmt: skip


def canary_percent(isvc: Json, component: str) -> int | None:
    """`canaryTrafficPercent` of one component."""
    found: int | None = isvc["spec"][component].get("canaryTrafficPercent")
    return found


def model(isvc: Json) -> Json:
    """The predictor's model, empty for a custom predictor."""
    return isvc["spec"]["predictor"].get("model") or {}


def storage_refusal(uri: str) -> str:
    """Why KServe refuses a storage URI; a text without a scheme is taken for a local path."""
    scheme, separator, _ = uri.partition("://")
    if not separator or scheme in _SCHEMES:
        return ""
    listed = "://, ".join(sorted(_SCHEMES))
    return f"storageUri, must be one of: [{listed}://] or match https://<account>.blob.core.windows.net/<path>, or be an absolute or relative local path. StorageUri [{uri}] is not supported."  # noqa: E501 - KServe's sentence


def pod_refusal(isvc: Json, component: str) -> str:
    """Why Knative's webhook refuses the pod; its message has value and path the wrong way round
    (knative/serving pkg/apis/serving/k8s_validation.go, ValidatePodSpec)."""
    account = str(isvc["spec"][component].get("serviceAccountName") or "")
    if not account or _SUBDOMAIN.fullmatch(account):
        return ""
    return f"invalid value: serviceAccountName: spec.template.spec.{account}"


def revision_template(isvc: Json, runtime: Json) -> Json:
    """The Knative revision template of the predictor."""
    predictor = isvc["spec"]["predictor"]
    annotations = component_annotations(isvc, predictor, runtime)
    return _template(isvc, "predictor", annotations, containers(isvc, predictor, runtime))


def component_template(isvc: Json, component: str, containers: list[Json]) -> Json:
    """Likewise of a transformer or an explainer, with these containers."""
    return _template(isvc, component, inherited(isvc, isvc["spec"][component]), containers)


def _template(
    isvc: Json, component: str, inherited: dict[str, str], containers: list[Json]
) -> Json:
    part = isvc["spec"][component]
    annotations = inherited | _scaling(part)
    annotations.pop(ROLLOUT, None)
    labels = component_labels(isvc, part, component)
    spec = {"containers": containers} | _knative_only(part)
    return {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec}


def component_labels(isvc: Json, part: Json, component: str = "predictor") -> dict[str, str]:
    """The labels of all that one component leads to."""
    meta = isvc["metadata"]
    identity = {ISVC_LABEL: meta["name"], "component": component}
    return _strings(meta.get("labels")) | _strings(part.get("labels")) | identity


def inherited(isvc: Json, part: Json) -> dict[str, str]:
    """A component's annotations: the InferenceService's annotations below the component's own."""
    whole = _strings(isvc["metadata"].get("annotations")).items()
    return {k: v for k, v in whole if k not in _DISALLOWED} | _strings(part.get("annotations"))


def component_annotations(isvc: Json, predictor: Json, runtime: Json) -> dict[str, str]:
    """A predictor's annotations, the source of the model among them."""
    found = _strings(runtime["spec"].get("annotations")) | inherited(isvc, predictor)
    uri = (predictor.get("model") or {}).get("storageUri")
    return found | ({SOURCE: uri} if uri else {})


def _strings(values: Any) -> dict[str, str]:
    return dict(values or {})


def _scaling(predictor: Json) -> dict[str, str]:
    """Replicas and scaling targets are annotations of the template: changing them is a revision."""
    low = predictor.get("minReplicas")
    found = {MIN_SCALE: str(1 if low is None else low)}
    fields = {"maxReplicas": "max-scale", "scaleTarget": "target", "scaleMetric": "metric"}
    for field, key in fields.items():
        if predictor.get(field):
            found[f"autoscaling.knative.dev/{key}"] = str(predictor[field])
    return found


def containers(isvc: Json, predictor: Json, runtime: Json) -> list[Json]:
    """The predictor's own containers, or the runtime's with the model's fields on top and what is beside."""
    own: list[Json] = predictor.get("containers") or []
    model = predictor.get("model")
    return [_container(isvc, model or {}, runtime), *own] if model or not own else own


def _knative_only(predictor: Json) -> Json:
    kept = {"serviceAccountName": "serviceAccountName", "containerConcurrency": "containerConcurrency",
            "timeout": "timeoutSeconds"}  # fmt: skip
    return {new: predictor[old] for old, new in kept.items() if old in predictor}


def _container(isvc: Json, model: Json, runtime: Json) -> Json:
    """A runtime's arguments are templates of the InferenceService's metadata (kserve ReplacePlaceholders)."""
    base: Json = next(iter(runtime["spec"].get("containers") or []), {})
    image = model.get("image") or base.get("image", "")
    if version := model.get("runtimeVersion"):
        image = f"{image.rpartition(':')[0] or image}:{version}"
    overlay = {k: v for k, v in model.items() if k not in _RUNTIME_ONLY}
    return (
        base
        | overlay
        | {
            "name": "kserve-container",
            "image": image,
            "args": [
                one.replace("{{.Name}}", isvc["metadata"]["name"])
                for one in (*base.get("args", []), *model.get("args", []))
            ],
            "env": _environment(base.get("env", []), model.get("env", [])),
        }
    )


def _environment(base: list[Json], overlay: list[Json]) -> list[Json]:
    merged: Mapping[str, Json] = {entry["name"]: entry for entry in (*base, *overlay)}
    return list(merged.values())
