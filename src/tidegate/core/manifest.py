"""What is written to an InferenceService: the manifest from the policy, and each merge-patch. Pure.

Everything in `spec.predictor` but the percent is part of Knative's revision template, so a staging is ONE
patch with template and percent, and a promotion touches the percent alone.
"""

import json
import shlex

from tidegate.core.isvc.components import Component, Explainer, companions, explainer, transformer
from tidegate.core.isvc.predictor import KEEP_WARM, MODEL_VERSION_LABEL, Predictor, predictor
from tidegate.core.isvc.scaling import class_annotations
from tidegate.core.isvc.typed import Json, Typed
from tidegate.documents import Incumbent
from tidegate.policy import Policy

__all__ = [
    "KEEP_WARM",
    "MODEL_VERSION_LABEL",
    "Json",
    "predictor",
]

TAG_ROUTING = "serving.kserve.io/enable-tag-routing"
DEPLOYMENT_MODE = "serving.kserve.io/deploymentMode"
PERCENT = "canaryTrafficPercent"
CREATED_BY = "tidegate.dev/created-by"  # release id; written at creation and never after
PREVIEW_OF = "tidegate.dev/preview-of"
BASELINE_OF = "tidegate.dev/baseline-of"
RELEASE_ID = "tidegate.dev/release-id"


class Metadata(Typed):
    """`metadata`; its annotations are part of the template, so nothing that changes may stand there."""

    name: str
    namespace: str
    annotations: dict[str, str]


class Spec(Typed):
    """`spec`."""

    predictor: Predictor
    transformer: Component | None = None
    explainer: Explainer | None = None


class InferenceService(Typed):
    """The whole object, as the first release creates it."""

    api_version: str = "serving.kserve.io/v1beta1"
    kind: str = "InferenceService"
    metadata: Metadata
    spec: Spec


def inference_service(policy: Policy, storage_uri: str, version: str) -> InferenceService:
    """The object of a first release: tag URLs from the start, the mode stated."""
    return InferenceService(
        metadata=Metadata(
            name=policy.name,
            namespace=policy.namespace,
            annotations={
                DEPLOYMENT_MODE: "Knative",
                TAG_ROUTING: "true",
                **class_annotations(policy.serving.scaling, "Knative"),
            },
        ),
        spec=Spec(
            predictor=predictor(policy, storage_uri, version),
            transformer=transformer(policy),
            explainer=explainer(policy),
        ),
    )


def released_template(policy: Policy) -> Json:
    """All that a release of this policy writes to the service, but for what names the model.

    It goes into the published folder, whose name is its digest: so a change of replicas, resources or a
    transformer alone is another storageUri, which is what KServe wants of a canary (VAL:703-713) and what
    tells a release from the one before.
    """
    made = predictor(policy, "", "").as_dict()
    made["labels"] = policy.serving.labels
    made["model"].pop("storageUri")
    return {"predictor": made, **companions(policy)}


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
