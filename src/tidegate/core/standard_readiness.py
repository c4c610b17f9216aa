"""Standard mode read into the same typed values: a "revision" is a Deployment, a share a weight. Pure.

`canaryStatuses[].ready` means one available pod of any generation, so the Deployment itself is read.
KServe writes its two HTTPRoutes one after the other; a revision's share is the most that any rule gives
it, so routes that disagree never look like a finished step.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tidegate.core.drift import changes
from tidegate.core.journal import Journal
from tidegate.core.observation import (
    SOURCE_URI,
    Canary,
    Condition,
    Json,
    Observation,
    Revision,
    Share,
    observe,
)
from tidegate.core.observation import condition_of as _condition
from tidegate.core.standard_manifest import deployment_name

ROUTED = "RoutesReady"
ROLLOUT = "deployment.kubernetes.io/revision"


def observe_standard(
    isvc: Json,
    deployments: Iterable[Json] = (),
    routes: Sequence[Json] = (),
    warnings: Iterable[str] = (),
) -> Observation:
    """Read the API's objects: the InferenceService, its Deployments, and both of its HTTPRoutes."""
    base, metadata = observe(isvc, (), warnings), isvc.get("metadata", {})
    name, spec = metadata.get("name", ""), isvc.get("spec", {})
    stable = deployment_name(name, base.predictor.get("name", ""))
    canary = tuple(_canary(entry, isvc.get("status") or {}) for entry in spec.get("canary") or ())
    newest = deployment_name(name, canary[0].name) if canary else stable
    revisions = {one.name: one for one in map(revision_of, deployments)}
    shares = _shares(weights(routes), stable, newest, metadata.get("namespace", ""))
    held = revisions.get(newest)
    changed: dict[str, Any] = {
        "created": newest,
        "ready": newest if held and held.ready.status == "True" else "",
        "rolled_out": stable if shares else "",
        "shares": shares,
        "conditions": {**base.conditions, ROUTED: _routed(routes)},
        "revisions": revisions,
        "canary": canary,
    }
    return replace(base, **changed)


def _canary(entry: Json, status: Json) -> Canary:
    predictor = dict(entry.get("predictor", {}))
    shown = {one.get("name"): one for one in status.get("canaryStatuses") or ()}
    mine = shown.get(predictor.get("name"), {})
    return Canary(
        percent=int(entry.get("trafficPercent", 0)),
        predictor=predictor,
        is_ready=mine.get("ready") is True,
        shown=mine.get("trafficPercent"),
    )


# -- Deployments


def revision_of(deployment: Json) -> Revision:
    """Read a Deployment; its replicas are those that are both of this template and available."""
    metadata, status = deployment.get("metadata", {}), deployment.get("status") or {}
    template = deployment.get("spec", {}).get("template", {}).get("metadata", {})
    available = status.get("availableReplicas") or 0
    return Revision(
        name=metadata.get("name", ""),
        storage_uri=(template.get("annotations") or {}).get(SOURCE_URI, ""),
        ready=_ready(metadata, status),
        replicas=min(available, status.get("updatedReplicas") or 0),
        labels=template.get("labels") or {},
        rollout=(metadata.get("annotations") or {}).get(ROLLOUT, ""),
    )


def _ready(metadata: Json, status: Json) -> Condition:
    said = {c["type"]: _condition(c) for c in status.get("conditions") or ()}
    failing = said.get("ReplicaFailure", Condition())
    stuck, up = said.get("Progressing", Condition()), said.get("Available", Condition())
    if (status.get("observedGeneration") or 0) < metadata.get("generation", 0):
        return Condition(reason="OutOfDate")
    if stuck.status == "False":
        return stuck
    if not status.get("availableReplicas"):
        why = failing if failing.status == "True" else up
        reason = why.reason or "MinimumReplicasUnavailable"
        return Condition(status="False", reason=reason, message=why.message)
    if status.get("replicas") != status.get("updatedReplicas"):
        return Condition(reason="RollingUpdate")
    return Condition(status="True")


# -- HTTPRoutes


def weights(routes: Iterable[Json]) -> dict[str, int]:
    """Service -> the most that any rule of any route gives it, in percent; named at 0 % is 0."""
    found: dict[str, int] = {}
    for rule in _rules(routes):
        refs = rule.get("backendRefs") or ()
        total = sum(_weight(ref) for ref in refs)
        for ref in refs:
            percent = round(100 * _weight(ref) / total) if total else 0
            found[ref["name"]] = max(found.get(ref["name"], 0), percent)
    return found


def _rules(routes: Iterable[Json]) -> Iterable[Json]:
    return (rule for route in routes for rule in route.get("spec", {}).get("rules") or ())


def _weight(ref: Json) -> int:
    """One reference alone carries no weight, which means 1."""
    return int(ref.get("weight", 1))


def _routed(routes: Sequence[Json]) -> Condition:
    """True when each of the two routes, as it is now, is taken by every gateway it names."""
    if len(routes) < 2:  # `{isvc}` and `{isvc}-predictor`
        return Condition(reason="RouteMissing")
    said = [why for route in routes if (why := _untaken(route))]
    return Condition(reason=said[0]) if said else Condition(status="True")


def _untaken(route: Json) -> str:
    metadata, parents = route.get("metadata", {}), (route.get("status") or {}).get("parents") or ()
    if not parents:
        return "NoGateway"
    for parent in parents:
        said = {c["type"]: c for c in parent.get("conditions") or ()}
        for name in ("Accepted", "ResolvedRefs"):
            held = said.get(name, {})
            if held.get("status") != "True":
                return f"{name}: {held.get('reason', 'unknown')}"
            if (held.get("observedGeneration") or 0) < metadata.get("generation", 0):
                return "OutOfDate"
    return ""


def _shares(
    found: Mapping[str, int], stable: str, newest: str, namespace: str
) -> tuple[Share, ...]:
    """By the Service's own host, which is the only way to a revision without a share."""
    named = {**({stable: 0, newest: 0} if found else {}), **found}
    return tuple(
        Share(
            revision=service,
            percent=percent,
            latest=service == newest,
            tag="prev" if service == stable and stable != newest else "",
            host=f"{service}.{namespace}.svc.cluster.local",
        )
        for service, percent in named.items()
    )


# -- predicates


def is_alone(seen: Observation, revision: str) -> bool:
    """All of production is on the revision, and every gateway has taken that."""
    return seen.traffic == {revision: 100} and seen.is_true(ROUTED)


def service_host(seen: Observation, revision: str) -> str:
    """The host of a revision's own Service; '' while no route is there."""
    return next((share.host for share in seen.shares if share.revision == revision), "")


def is_only(seen: Observation, revision: str) -> bool:
    """Alone, and no route names another even at 0 %: KServe has acted on a spec without canaries."""
    return is_alone(seen, revision) and {share.revision for share in seen.shares} == {revision}


def is_up(seen: Observation, canary: Canary, revision: str, storage_uri: str) -> bool:
    """The Deployment serves the URI on as many pods as the entry asks for, and KServe knows."""
    held = seen.revisions.get(revision)
    return (
        held is not None
        and held.storage_uri == storage_uri
        and seen.is_healthy(revision)
        and held.replicas >= max(1, canary.replicas)
        and canary.is_ready
    )


def is_share(seen: Observation, canary: Canary, *, candidate: str, stable: str) -> bool:
    """The entry's percent is in the spec, in the status and in the routes, as one split."""
    wanted = {candidate: canary.percent, stable: 100 - canary.percent}
    return (
        canary.shown == canary.percent
        and canary.is_ready
        and seen.traffic == {name: share for name, share in wanted.items() if share}
        and seen.is_true(ROUTED)
    )


def edits_between(ours: Mapping[str, Any], theirs: Mapping[str, Any], path: str) -> str:
    """Every field that is not as we wrote it, by its path. What is empty is as good as absent: KServe's
    webhook fills such fields in."""
    found = changes(_trimmed(ours), _trimmed(theirs), path)
    return "; ".join(f"{where} was changed to {value}" for where, value in found)


def _trimmed(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    kept = {key: _trimmed(inner) for key, inner in value.items()}
    return {key: inner for key, inner in kept.items() if inner not in (None, "", {}, [], ())}


def edits_of_stable(seen: Observation, ours: Mapping[str, Any]) -> str:
    """What somebody changed in `spec.predictor`."""
    held = {key: value for key, value in ours.items() if key != "canary"}
    return edits_between(held, seen.predictor, "spec.predictor")


def edits_of_canary(canary: Canary, journal: Journal) -> str:
    """What somebody changed in our entry; its pods are ours to count, from 1 on."""
    if canary.replicas < 1:
        return f"spec.canary[0].predictor.minReplicas was changed to {canary.replicas}"
    ours = {k: v for k, v in journal.template["canary"][0].items() if k != "minReplicas"}
    theirs = {k: v for k, v in canary.predictor.items() if k != "minReplicas"}
    return edits_between(ours, theirs, "spec.canary[0].predictor")
