"""A copy of the incumbent for the load test alone (policy `load.baseline: dedicated`). Pure.

The incumbent's own URL also carries production, and its pods have aged with it. So the candidate is compared
with a fresh deployment of what serves, of the candidate's own size: Kayenta's rule for a baseline (Spinnaker,
"Best practices for canary analysis": compare the canary against a baseline, not against production).
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from tidegate.core.dark_service import DarkService, next_for_arrival, next_for_removal
from tidegate.core.decisions import Act, Decision
from tidegate.core.journal import ActKind, Copy, Journal
from tidegate.core.manifest import (
    BASELINE_OF,
    CREATED_BY,
    DEPLOYMENT_MODE,
    PERCENT,
    RELEASE_ID,
    TAG_ROUTING,
    Json,
)
from tidegate.core.observation import Observation
from tidegate.core.standard_manifest import SCALING, overlaid
from tidegate.documents import Probe
from tidegate.policy import Policy

AUTOSCALER = "serving.kserve.io/autoscalerClass"
CARRIED = ("kserve.io", "knative.dev", "istio.io", "prometheus.io")  # what runs or scales a pod


def baseline_name(name: str, made_by: str) -> str:
    """Of the service and of what it is made for, so that nobody else's is ever met under it."""
    return f"{name}-base-{hashlib.sha256(made_by.encode()).hexdigest()[:6]}"


def with_baseline(journal: Journal, seen: Observation | None, policy: Policy) -> Journal:
    """The journal of a release that will have one; as it is, when none is asked for or nothing serves.

    A version that goes back without gates is compared with nothing.
    """
    incumbent = journal.incumbent
    if policy.load.baseline != "dedicated" or incumbent is None or seen is None:
        return journal
    if journal.fast_track:
        return journal
    made_by, probe = journal.release_id, incumbent.probe
    copy = copy_of(seen, incumbent.predictor, journal, policy, made_by=made_by, probe=probe)
    return journal.model_copy(update={"copies": (copy,)})


def copy_of(
    seen: Observation,
    predictor: Mapping[str, Any],
    journal: Journal,
    policy: Policy,
    *,
    made_by: str,
    probe: Probe | None,
    until_s: float = 0.0,
) -> Copy:
    """What would be created for it: this predictor, at the size that the policy gives a candidate.

    It is as visible as the service itself, so that both arms come through the same gateway; the labels by
    which GitOps tools know their own stay behind.
    """
    name, mode = baseline_name(journal.name, made_by), journal.mode
    labels = {BASELINE_OF: journal.name, RELEASE_ID: made_by}
    manifest: Json = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": name,
            "namespace": journal.namespace,
            "annotations": _carried(seen.annotations) | _marks(mode, made_by),
            "labels": _carried(seen.labels) | labels,
        },
        "spec": {"predictor": sized(predictor, policy, mode)},
    }
    return Copy(name=name, made_by=made_by, manifest=manifest, probe=probe, until_s=until_s)


def _marks(mode: str, made_by: str) -> dict[str, str]:
    ways = {
        "Knative": {TAG_ROUTING: "true"},  # the candidate is reached by such a host, too
        "Standard": {AUTOSCALER: "none"},  # the candidate's pods are counted, not scaled
    }
    return {DEPLOYMENT_MODE: mode, CREATED_BY: made_by, **ways[mode]}


def _carried(given: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in given.items() if key.partition("/")[0].endswith(CARRIED)}


def sized(predictor: Mapping[str, Any], policy: Policy, mode: str) -> Json:
    """The predictor with the replicas and the resources of the candidate at 0 %.

    Knative mode: the policy's bounds. Standard mode: one pod, as a canary at 0 % has it. Resources that
    the policy does not name stay as they are, as they do in the candidate's merge-patch.
    """
    serving = policy.serving
    kept = {key: value for key, value in predictor.items() if key != PERCENT}
    bounds = {"minReplicas": serving.min_replicas, "maxReplicas": serving.max_replicas}
    if mode == "Standard":
        kept = {key: value for key, value in kept.items() if key not in SCALING}
        bounds = {"minReplicas": 1, "maxReplicas": 1}
    model = dict(kept.get("model", {}))
    if serving.sizes:
        model["resources"] = overlaid(model.get("resources") or {}, serving.sizes)
    return {**kept, **bounds, "model": model}


# -- there and away


def next_for_baseline(
    seen: Observation | None, copy: Copy, journal: Journal, waited_s: float
) -> Decision:
    """Bring the copy up. No production is touched."""
    why = f"create {copy.name}, a copy of what serves that no client knows"
    create = Act(kind=ActKind.BASELINE, name=copy.name, why=why)
    return next_for_arrival(seen, _dark(copy), journal.as_copy(copy), waited_s, create=create)


def next_for_retirement(seen: Observation | None, copy: Copy, waited_s: float) -> Decision:
    """Remove the copy, and nothing but the one that was made."""
    return next_for_removal(seen, _dark(copy), waited_s, kind=ActKind.RETIRE)


def _dark(copy: Copy) -> DarkService:
    return DarkService(name=copy.name, uid=copy.uid, made_by=copy.made_by)


# -- in words


def left_behind(journal: Journal) -> str:
    """What is still there, and how a person removes it; '' when nothing is."""
    left = journal.copies_left
    if not left:
        return ""
    names = " ".join(copy.name for copy in left)
    return (
        f"{names} could not be removed; sweep tries it again, or: "
        f"kubectl -n {journal.namespace} delete inferenceservice {names}"
    )


def in_use(journal: Journal, now_s: float) -> float:
    """For how long the copies of a calibration are still measured, in s; 0 = nobody does."""
    return max((copy.until_s - now_s for copy in journal.copies_left), default=0.0)


def is_forgotten(journal: Journal, now_s: float) -> bool:
    """The release has ended, or the calibration's time is over, and a copy may still be there."""
    return journal.is_over and bool(journal.copies_left) and in_use(journal, now_s) <= 0
