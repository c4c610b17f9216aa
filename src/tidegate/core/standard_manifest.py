"""What is written to an InferenceService in Standard mode: its manifest, and `spec.canary` whole each time.

`canary` is an atomic list, and KServe lays an entry over the stable predictor, field by field. Source lines
are of KServe's `components/predictor.go` (PRED) and `inference_service_validation.go` (VAL).
"""

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter

from tidegate.core.isvc.scaling import class_annotations, manifest_fields
from tidegate.core.manifest import (
    DEPLOYMENT_MODE,
    InferenceService,
    Json,
    Metadata,
    Spec,
    difference,
    predictor,
)
from tidegate.core.observation import Canary, Observation
from tidegate.policy import Policy
from tidegate.policy.serving import Scaling

COLOURS = ("blue", "green")
SCALED: TypeAdapter[Scaling] = TypeAdapter(Scaling)
SCALING = ("maxReplicas", "scaleTarget", "scaleMetric", "scaleMetricType", "autoScaling")


def other(name: str) -> str:
    """The name of the next predictor: every promotion renames the stable one."""
    return COLOURS[1] if name == COLOURS[0] else COLOURS[0]


def deployment_name(isvc: str, name: str) -> str:
    """Deployment and Service of a predictor (CONST:802-807)."""
    return f"{isvc}-{name}-predictor" if name else f"{isvc}-predictor"


def inference_service(policy: Policy, storage_uri: str, version: str) -> InferenceService:
    """The object of a first release: named from the start, the mode stated, as a canary needs it."""
    named = predictor(policy, storage_uri, version).model_copy(update={"name": COLOURS[0]})
    metadata = Metadata(
        name=policy.name,
        namespace=policy.namespace,
        annotations={
            DEPLOYMENT_MODE: "Standard",
            **class_annotations(policy.serving.scaling, "Standard"),
        },
    )
    return InferenceService(metadata=metadata, spec=Spec(predictor=named))


def replicas_at(stable: Mapping[str, Any], percent: int) -> int:
    """Pods of a canary for its share: KServe's own `ceil`, but never none (PRED:861-870).

    More than the stable predictor's is refused (VAL:246-256).
    """
    floor = int(stable.get("minReplicas", 1))
    return max(1, math.ceil(floor * percent / 100))


def entry(wanted: Mapping[str, Any], name: str, *, percent: int, replicas: int) -> Json:
    """One entry. Its pods are counted here, so it may not scale by itself (VAL:229-244).

    The CRD wants a name of the model's container here, though not of the stable predictor's; "" is none.
    """
    kept = {key: value for key, value in wanted.items() if key not in SCALING}
    model = {"name": "", **kept.get("model", {})}
    return {
        "trafficPercent": percent,
        "predictor": {**kept, "name": name, "minReplicas": replicas, "model": model},
    }


def entries(
    seen: Observation, name: str, *, percent: int | None = None, replicas: int | None = None
) -> list[Json]:
    """The whole list as it is, with the share or the pods of one entry changed."""
    return [
        _changed(one, percent, replicas) if one.name == name else _same(one) for one in seen.canary
    ]


def _changed(one: Canary, percent: int | None, replicas: int | None) -> Json:
    pods = {} if replicas is None else {"minReplicas": replicas}
    share = one.percent if percent is None else percent
    return {"trafficPercent": share, "predictor": {**one.predictor, **pods}}


def _same(one: Canary) -> Json:
    return {"trafficPercent": one.percent, "predictor": one.predictor}


def overlaid(stable: Mapping[str, Any], canary: Mapping[str, Any]) -> Json:
    """The predictor that KServe runs for an entry: a field of it wins unless it is empty (PRED:902-916)."""
    merged: Json = dict(stable)
    for key, value in canary.items():
        held = merged.get(key)
        if isinstance(value, Mapping) and isinstance(held, Mapping):
            merged[key] = overlaid(held, value)
        elif value:
            merged[key] = value
    return merged


def promoted(
    template: Mapping[str, Any], policy: Mapping[str, Any], gone: Collection[str] = ()
) -> Json:
    """The stable predictor after a promotion: what the canary's pods were made of, so none restarts, and
    the policy's replicas, which are no part of a pod. `template` is the journal's; `gone`: how the release
    before scaled, where the policy no longer says."""
    stable = {key: value for key, value in template.items() if key != "canary"}
    merged = overlaid(stable, template["canary"][0])
    kept = {key: stable[key] for key in ("minReplicas", *SCALING) if key in stable}
    kept = {key: value for key, value in kept.items() if key not in gone}
    merged = {key: value for key, value in merged.items() if key not in gone}
    asked = _replicas(policy)
    if any(
        key in asked for key in SCALING[1:]
    ):  # the policy says how, so what was said before goes
        kept = {key: value for key, value in kept.items() if key not in SCALING[1:]}
        merged = {key: value for key, value in merged.items() if key not in SCALING[1:]}
    return {**merged, **kept, **asked}


def _replicas(policy: Mapping[str, Any]) -> Json:
    serving = policy.get("serving", {})
    asked = {"minReplicas": serving.get("min_replicas"), "maxReplicas": serving.get("max_replicas")}
    bounds = {key: value for key, value in asked.items() if value is not None}
    if not serving.get("scaling"):
        return bounds
    scaling = SCALED.validate_python(serving["scaling"])
    return bounds | manifest_fields(scaling, policy.get("name", ""), policy.get("namespace", ""))


def canary_patch(listed: Iterable[Json], **metadata: str) -> Json:
    """The list alone; the stable predictor is not touched."""
    return {"metadata": dict(metadata), "spec": {"canary": list(listed) or None}}


def rename_patch(current: Mapping[str, Any], wanted: Mapping[str, Any], **metadata: str) -> Json:
    """The canary becomes the stable predictor, in one patch: a new name needs a new model (VAL:703-713)."""
    changed = difference(dict(current), dict(wanted))
    return {"metadata": dict(metadata), "spec": {"predictor": changed, "canary": None}}
