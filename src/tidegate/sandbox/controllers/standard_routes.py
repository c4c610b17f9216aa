"""The hosts of one InferenceService in Standard mode: HTTPRoutes, or one Ingress. Pure.

The weights of `spec.canary` stand on every rule of the routes `{isvc}` and `{isvc}-predictor`
(HR:689-743), though an entry has a predictor alone: its share of what a transformer takes, and of
`:explain`, goes to the canary's predictor as it came. A later KServe weighs the predictor's own rules
alone (kserve#5944); then a canary behind a transformer gets nothing of the service's host at all.
"""

from collections.abc import Iterable, Sequence

from tidegate.sandbox.api.kinds import HTTPROUTES, INGRESSES, Json
from tidegate.sandbox.controllers import canary, components, hosts
from tidegate.sandbox.controllers.components import EXPLAINER, PREDICTOR, TRANSFORMER
from tidegate.sandbox.controllers.objects import Wanted
from tidegate.sandbox.controllers.standard_objects import HTTP_PORT
from tidegate.sandbox.controllers.virtual_service import EXPLAIN

GATEWAY = {
    "group": "gateway.networking.k8s.io",
    "kind": "Gateway",
    "namespace": "kserve",
    "name": "kserve-ingress-gateway",
}
WHOLE = "InferenceService"
Shares = Sequence[tuple[str, int]]  # (Service, weight), the stable predictor's first
_ANY = "^/.*$"
_TIMEOUT_S = 60


def names(isvc: Json) -> dict[str, str]:
    """What KServe calls a route -> its name, without `predictor.name`, so that it outlives a promotion."""
    name = isvc["metadata"]["name"]
    parts = {one.capitalize(): components.service_name(name, one) for one in components.of(isvc)}
    return parts | {WHOLE: name}


def needs(isvc: Json, what: str) -> tuple[str, ...]:
    """The components that must be ready before this route is written (HR:260-265, 505-565)."""
    return components.of(isvc) if what == WHOLE else (what.lower(),)


def http_route(isvc: Json, what: str, shares: Shares, domain: str) -> Wanted:
    """One of `names`."""
    meta, name = isvc["metadata"], names(isvc)[what]
    rules = list(_whole(isvc, shares) if what == WHOLE else _own(isvc, what.lower(), shares))
    host = hosts.host(name, meta["namespace"], domain)
    return Wanted(
        kind=HTTPROUTES, namespace=meta["namespace"], name=name, owner=isvc,
        spec={"parentRefs": [GATEWAY], "hostnames": [host], "rules": rules},
        labels=dict(meta.get("labels") or {}),
    )  # fmt: skip


def _whole(isvc: Json, shares: Shares) -> Iterable[Json]:
    """`:explain` to the explainer, all else to the front; the canaries beside each (HR:525-611, 689-743)."""
    if EXPLAINER in components.of(isvc):
        yield _rule(isvc, EXPLAINER, shares, EXPLAIN)
    yield _rule(isvc, components.front(isvc), shares)


def _own(isvc: Json, component: str, shares: Shares) -> Iterable[Json]:
    """Only the predictor's has weights (HR:332-334)."""
    yield _rule(isvc, component, shares if component == PREDICTOR else shares[:1])


def _rule(isvc: Json, component: str, shares: Shares, path: str = _ANY) -> Json:
    """The first share is the component's: its Service stands where the stable predictor's would."""
    meta = isvc["metadata"]
    (stable, rest), *canaries = shares
    own = components.service_name(meta["name"], component)
    to = [(stable if component == PREDICTOR else own, rest), *canaries]
    limit = isvc["spec"][component].get("timeout") or _TIMEOUT_S
    return {
        "matches": [{"path": {"type": "RegularExpression", "value": path}}],
        "filters": [_identity(meta["name"], meta["namespace"])],
        "backendRefs": list(_backends(meta["namespace"], to)),
        "timeouts": {"request": f"{limit}s"},
    }


def _identity(name: str, namespace: str) -> Json:
    headers = [
        {"name": "KServe-Isvc-Name", "value": name},
        {"name": "KServe-Isvc-Namespace", "value": namespace},
    ]
    return {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": headers}}


def _backends(namespace: str, weights: Shares) -> Iterable[Json]:
    """One backend alone carries the API's default weight of 1, not 100."""
    for name, weight in weights:
        yield {
            "group": "", "kind": "Service", "name": name, "namespace": namespace, "port": HTTP_PORT,
            "weight": weight if len(weights) > 1 else 1,
        }  # fmt: skip


def ingress_needs(isvc: Json) -> tuple[str, ...]:
    """The components that must be ready before the Ingress is written: beside a transformer the explainer
    is not looked at (kube_ingress_reconciler.go:266-313)."""
    parts = components.of(isvc)
    return parts[:2] if TRANSFORMER in parts else parts


def ingress(isvc: Json, domain: str) -> Wanted:
    """Without the Gateway API: hosts without weights and without `:explain`, the predictor's with
    `predictor.name` in it, unlike an HTTPRoute's."""
    meta = isvc["metadata"]
    stable = canary.service_name(meta["name"], isvc["spec"]["predictor"].get("name", ""))
    listed = [*_fronts(isvc, stable), (stable, stable)]
    named = [(hosts.host(name, meta["namespace"], domain), to) for name, to in listed]
    return Wanted(
        kind=INGRESSES, namespace=meta["namespace"], name=meta["name"], owner=isvc,
        spec={"rules": [_path(host, to) for host, to in named]},
    )  # fmt: skip


def _fronts(isvc: Json, stable: str) -> Iterable[tuple[str, str]]:
    """(host, Service) by kube_ingress_reconciler.go:277-334, faults included: beside a transformer the
    explainer's rule has the transformer's host, and the transformer's own host leads to the predictor."""
    name, parts = isvc["metadata"]["name"], components.of(isvc)
    transformer, explainer = (components.service_name(name, p) for p in (TRANSFORMER, EXPLAINER))
    if TRANSFORMER in parts:
        if EXPLAINER in parts:
            yield transformer, explainer
        yield name, transformer
        yield transformer, stable
        return
    yield name, stable
    if EXPLAINER in parts:
        yield explainer, explainer


def _path(host: str, service: str) -> Json:
    backend = {"service": {"name": service, "port": {"number": HTTP_PORT}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return {"host": host, "http": {"paths": [path]}}
