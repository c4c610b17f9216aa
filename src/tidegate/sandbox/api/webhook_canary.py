"""What KServe's validating webhook refuses of `spec.canary` and of a renamed predictor. Pure.

VAL:183-266 and VAL:703-713. A schema that is enforced refuses a percent out of range before this.
"""

from collections.abc import Iterator
from typing import Any

from tidegate.sandbox.api.defaults import MODE, SHORTHANDS
from tidegate.sandbox.api.kinds import Json

IMPLEMENTATIONS = ("model", *SHORTHANDS)
_FIXED = ("scaleTarget", "scaleMetric", "autoScaling")


def complaints(item: Json) -> Iterator[str]:
    """Every reason to refuse the canaries, in the webhook's order."""
    spec = item["spec"]
    entries = spec.get("canary") or []
    if not entries:
        return
    if (item["metadata"].get("annotations") or {}).get(MODE) != "Standard":
        yield "canary is only supported in Standard deployment mode"
    stable, names = spec["predictor"], set[str]()
    for index, entry in enumerate(entries):
        yield from _name(index, entry["predictor"].get("name"), stable, names)
        yield from _entry(entry, stable)
    total = sum(entry["trafficPercent"] for entry in entries)
    if total > 100:
        yield f"sum of canary trafficPercent values ({total}) must be <= 100"


def implementation(predictor: Json) -> Iterator[str]:
    """One server alone: a container beside it counts when it has the server's name (predictor.go:168-196)."""
    used = [key for key in IMPLEMENTATIONS if predictor.get(key) is not None]
    named = [one.get("name") for one in predictor.get("containers") or []]
    used += ["containers"] * (named.count("kserve-container") or int(not used and bool(named)))
    if len(used) != 1:
        listed = ", ".join((*IMPLEMENTATIONS, "containers"))
        yield f"exactly one of [{listed}] must be specified in PredictorSpec, found {used}"


def name_change(new: Json, old: Json | None) -> Iterator[str]:
    """A renamed predictor must be another model: the old Deployment is deleted at once."""
    if old is None:
        return
    before, after = old["spec"]["predictor"], new["spec"]["predictor"]
    if before.get("name", "") != after.get("name", "") and _uri(before) == _uri(after):
        yield "predictor.name change requires a model change (e.g. storageUri)"


def _name(index: int, name: Any, stable: Json, names: set[str]) -> Iterator[str]:
    if not name:
        yield f"canary[{index}] predictor.name is required"
    elif name in names:
        yield f'canary predictor.name "{name}" is duplicated'
    elif name == stable.get("name"):
        yield f'canary predictor.name "{name}" conflicts with stable predictor name'
    names.add(str(name))


def _entry(entry: Json, stable: Json) -> Iterator[str]:
    predictor, percent = entry["predictor"], entry["trafficPercent"]
    name = predictor.get("name")
    if not 0 <= percent <= 100:
        yield f'canary "{name}" trafficPercent must be between 0 and 100, got {percent}'
    for complaint in implementation(predictor):
        yield f'canary "{name}" predictor: {complaint}'
    if predictor.get("workerSpec") is not None:
        yield (
            f'canary "{name}" must not set workerSpec (multi-node is not yet supported for canary)'
        )
    set_fields = [key for key in _FIXED if predictor.get(key) is not None]
    set_fields = ["maxReplicas"] * ((predictor.get("maxReplicas") or 0) > 0) + set_fields
    for field in set_fields:
        yield f'canary "{name}" must not set {field} (canary uses fixed replicas)'
    yield from _replicas(str(name), predictor.get("minReplicas"), stable.get("minReplicas"))


def _replicas(name: str, own: int | None, stable: int | None) -> Iterator[str]:
    most = 1 if stable is None else stable
    if own is not None and own < 0:
        yield f'canary "{name}" predictor: MinReplicas cannot be less than 0'
    if own is not None and own > most:
        yield (
            f'canary "{name}" minReplicas ({own}) must not exceed stable predictor minReplicas ({most})'
        )


def _uri(predictor: Json) -> str:
    return str((predictor.get("model") or {}).get("storageUri", ""))
