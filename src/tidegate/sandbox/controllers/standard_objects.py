"""The objects that one InferenceService leads to in Standard mode. Pure: values in, manifests out."""

from collections.abc import Iterable, Sequence

from tidegate.sandbox.api.kinds import DEPLOYMENTS, HTTPROUTES, INGRESSES, SERVICES, Json
from tidegate.sandbox.controllers import hosts, template
from tidegate.sandbox.controllers.canary import service_name
from tidegate.sandbox.controllers.objects import Wanted

APP = "app"
GATEWAY = {
    "group": "gateway.networking.k8s.io",
    "kind": "Gateway",
    "namespace": "kserve",
    "name": "kserve-ingress-gateway",
}
_DEADLINE_S = 600
_HTTP, _CONTAINER = 80, 8080


def app_label(service: str) -> str:
    """The `app` label of a Deployment's pods (CONST:758-760)."""
    return f"isvc.{service}"


def deployment(isvc: Json, predictor: Json, runtime: Json, replicas: int) -> Wanted:
    """The Deployment of one predictor; its template is all that a rollout depends on."""
    name = service_name(isvc["metadata"]["name"], predictor.get("name", ""))
    labels = template.component_labels(isvc, predictor) | {APP: app_label(name)}
    annotations = template.component_annotations(isvc, predictor, runtime)
    pod: Json = {"containers": template.containers(predictor, runtime)}
    if account := predictor.get("serviceAccountName"):
        pod["serviceAccountName"] = account
    made = {"metadata": {"labels": labels, "annotations": annotations}, "spec": pod}
    spec = _rollout(predictor) | {"replicas": replicas, "template": made}
    return Wanted(
        kind=DEPLOYMENTS, namespace=isvc["metadata"]["namespace"], name=name, owner=isvc,
        spec=spec | {"selector": {"matchLabels": {APP: app_label(name)}}},
        labels=labels, annotations=annotations,
    )  # fmt: skip


def _rollout(predictor: Json) -> Json:
    """KServe's defaults; only the strategy is the predictor's to choose."""
    share = {"maxSurge": "25%", "maxUnavailable": "25%"}
    usual = {"type": "RollingUpdate", "rollingUpdate": share}
    return {
        "strategy": predictor.get("deploymentStrategy") or usual,
        "progressDeadlineSeconds": _DEADLINE_S,
        "revisionHistoryLimit": 10,
    }


def service(isvc: Json, of: Wanted) -> Wanted:
    """The Service before a Deployment, of the same name and labels."""
    port = {"name": of.name, "port": _HTTP, "targetPort": _CONTAINER, "protocol": "TCP"}
    spec = {"type": "ClusterIP", "selector": {APP: app_label(of.name)}, "ports": [port]}
    return Wanted(
        kind=SERVICES, namespace=of.namespace, name=of.name, owner=isvc, spec=spec,
        labels=of.labels, annotations=of.annotations,
    )  # fmt: skip


def http_routes(isvc: Json, weights: Sequence[tuple[str, int]], domain: str) -> list[Wanted]:
    """`{isvc}-predictor` and `{isvc}`: named and hosted without `predictor.name`, so they outlive it."""
    meta = isvc["metadata"]
    names = (service_name(meta["name"]), meta["name"])
    return [_http_route(isvc, name, weights, domain) for name in names]


def _http_route(
    isvc: Json, name: str, weights: Sequence[tuple[str, int]], domain: str
) -> Wanted:  # fmt: skip
    meta = isvc["metadata"]
    rule = {
        "matches": [{"path": {"type": "RegularExpression", "value": "^/.*$"}}],
        "filters": [_identity(meta["name"], meta["namespace"])],
        "backendRefs": list(_backends(meta["namespace"], weights)),
        "timeouts": {"request": "60s"},
    }
    host = hosts.host(name, meta["namespace"], domain)
    spec = {"parentRefs": [GATEWAY], "hostnames": [host], "rules": [rule]}
    return Wanted(
        kind=HTTPROUTES, namespace=meta["namespace"], name=name, owner=isvc, spec=spec,
        labels=dict(meta.get("labels") or {}),
    )  # fmt: skip


def _identity(name: str, namespace: str) -> Json:
    headers = [
        {"name": "KServe-Isvc-Name", "value": name},
        {"name": "KServe-Isvc-Namespace", "value": namespace},
    ]
    return {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": headers}}


def _backends(namespace: str, weights: Sequence[tuple[str, int]]) -> Iterable[Json]:
    """One backend alone carries the API's default weight of 1, not 100."""
    for name, weight in weights:
        yield {
            "group": "", "kind": "Service", "name": name, "namespace": namespace, "port": _HTTP,
            "weight": weight if len(weights) > 1 else 1,
        }  # fmt: skip


def ingress(isvc: Json, domain: str) -> Wanted:
    """Without the Gateway API: two hosts, both at the stable Service alone.

    The second host has `predictor.name` in it, unlike an HTTPRoute's.
    """
    meta = isvc["metadata"]
    stable = service_name(meta["name"], isvc["spec"]["predictor"].get("name", ""))
    named = [hosts.host(name, meta["namespace"], domain) for name in (meta["name"], stable)]
    return Wanted(
        kind=INGRESSES, namespace=meta["namespace"], name=meta["name"], owner=isvc,
        spec={"rules": [_rule(host, stable) for host in named]},
    )  # fmt: skip


def _rule(host: str, stable: str) -> Json:
    backend = {"service": {"name": stable, "port": {"number": _HTTP}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return {"host": host, "http": {"paths": [path]}}
