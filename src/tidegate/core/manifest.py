"""What is written to an InferenceService: the manifest from the policy, and each merge-patch. Pure.

Everything in `spec.predictor` but the percent is part of Knative's revision template, so a staging is ONE
patch with template and percent, and a promotion touches the percent alone.
"""

import json
import shlex
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from tidegate.documents import Incumbent
from tidegate.policy import Policy

Json = dict[str, Any]

MODEL_VERSION_LABEL = "tidegate.dev/model-version"
TAG_ROUTING = "serving.kserve.io/enable-tag-routing"
DEPLOYMENT_MODE = "serving.kserve.io/deploymentMode"
PERCENT = "canaryTrafficPercent"
KEEP_WARM = "autoscaling.knative.dev/scale-to-zero-pod-retention-period"
CREATED_BY = "tidegate.dev/created-by"  # release id; written at creation and never after
PREVIEW_OF = "tidegate.dev/preview-of"
BASELINE_OF = "tidegate.dev/baseline-of"
RELEASE_ID = "tidegate.dev/release-id"


class Typed(BaseModel):
    """Base: Python names here, KServe's camelCase in the manifest; what is None is not written."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )

    def as_dict(self) -> Json:
        """The JSON form that KServe reads."""
        return self.model_dump(by_alias=True, exclude_none=True)


class ModelFormat(Typed):
    """Which runtime family reads the repository."""

    name: str = "triton"


class HttpGet(Typed):
    """An HTTP probe."""

    path: str = "/v2/health/ready"
    port: int = 8080


class Probe(Typed):
    """Ready once Triton has loaded the models, not once its port is open."""

    http_get: HttpGet = Field(default_factory=HttpGet)


class ServedModel(Typed):
    """`spec.predictor.model`."""

    model_format: ModelFormat = Field(default_factory=ModelFormat)
    runtime: str
    runtime_version: str | None = None
    protocol_version: str = "v2"
    storage_uri: str
    args: tuple[str, ...] | None = None
    resources: dict[str, dict[str, str]] | None = None
    readiness_probe: Probe = Field(default_factory=Probe)


class Predictor(Typed):
    """`spec.predictor`."""

    name: str | None = None  # Standard mode: half of its Deployment's name
    service_account_name: str | None = None
    min_replicas: int
    max_replicas: int
    timeout: int
    labels: dict[str, str]
    annotations: dict[str, str] | None = None
    model: ServedModel


class Metadata(Typed):
    """`metadata`; its annotations are part of the template, so nothing that changes may stand there."""

    name: str
    namespace: str
    annotations: dict[str, str]


class Spec(Typed):
    """`spec`."""

    predictor: Predictor


class InferenceService(Typed):
    """The whole object, as the first release creates it."""

    api_version: str = "serving.kserve.io/v1beta1"
    kind: str = "InferenceService"
    metadata: Metadata
    spec: Spec


def predictor(policy: Policy, storage_uri: str, version: str) -> Predictor:
    """The predictor that the policy asks for."""
    serving = policy.serving
    return Predictor(
        service_account_name=serving.service_account or None,
        min_replicas=serving.min_replicas,
        max_replicas=serving.max_replicas,
        timeout=serving.timeout_s,
        labels={**serving.labels, MODEL_VERSION_LABEL: version},
        annotations=_annotations(policy),
        model=ServedModel(
            runtime=serving.runtime,
            runtime_version=serving.runtime_version or None,
            storage_uri=storage_uri,
            args=serving.args or None,
            resources=serving.resources or None,
        ),
    )


def _annotations(policy: Policy) -> dict[str, str] | None:
    """On the revision, so it is this one that stays warm when the next release takes its place."""
    kept = policy.traffic.keep_warm_s
    return {KEEP_WARM: f"{kept}s"} if kept else None


def inference_service(policy: Policy, storage_uri: str, version: str) -> InferenceService:
    """The object of a first release: tag URLs from the start, the mode stated."""
    return InferenceService(
        metadata=Metadata(
            name=policy.name,
            namespace=policy.namespace,
            annotations={DEPLOYMENT_MODE: "Knative", TAG_ROUTING: "true"},
        ),
        spec=Spec(predictor=predictor(policy, storage_uri, version)),
    )


def stage_patch(wanted: Json, *, resource_version: str, add_tag_routing: bool) -> Json:
    """Template and 0 % in one patch, refused by the API if anybody wrote in between.

    The tag annotation makes a revision of its own, so an object without it gets it here or never.
    """
    metadata: Json = {"resourceVersion": resource_version}
    if add_tag_routing:
        metadata["annotations"] = {TAG_ROUTING: "true"}
    return {"metadata": metadata, "spec": {"predictor": {**wanted, PERCENT: 0}}}


def shift_patch(percent: int, *, resource_version: str = "") -> Json:
    """The percent alone. With a version the API refuses it if anybody wrote in between; a return to 0
    goes without, because it must not lose a race."""
    fence = {"metadata": {"resourceVersion": resource_version}} if resource_version else {}
    return {**fence, "spec": {"predictor": {PERCENT: percent}}}


def restore_patch(
    current: Json, incumbent: Incumbent, *, resource_version: str, percent: int | None = 0
) -> Json:
    """From the predictor as it is to the incumbent's, warming at 0 %; None keeps the percent of before."""
    wanted = incumbent.predictor if percent is None else {**incumbent.predictor, PERCENT: percent}
    return {
        "metadata": {"resourceVersion": resource_version},
        "spec": {"predictor": difference(current, wanted)},
    }


def difference(current: Json, wanted: Json) -> Json:
    """The merge-patch (RFC 7386) from one object to another: explicit nulls for what must go."""
    patch: Json = {key: None for key in current if key not in wanted}
    for key, value in wanted.items():
        held = current.get(key)
        if isinstance(value, dict) and isinstance(held, dict):
            if inner := difference(held, value):
                patch[key] = inner
        elif key not in current or held != value:
            patch[key] = value
    return patch


def snapshot(spec_predictor: Json, storage_uri: str, labels: dict[str, str]) -> Json:
    """The predictor to come back to: what the spec says, with the URI that really serves.

    They differ after a roll-back whose repair is unfinished: the spec then still names the bad model.
    """
    model = {**spec_predictor.get("model", {}), "storageUri": storage_uri}
    kept = {**spec_predictor, "model": model}
    if MODEL_VERSION_LABEL in labels:
        version = {MODEL_VERSION_LABEL: labels[MODEL_VERSION_LABEL]}
        kept["labels"] = {**spec_predictor.get("labels", {}), **version}
    return kept


def patch_command(namespace: str, name: str, patch: Json) -> str:
    """The merge-patch as a person types it."""
    body = shlex.quote(json.dumps(patch, separators=(",", ":")))
    return f"kubectl -n {namespace} patch inferenceservice {name} --type merge -p {body}"
