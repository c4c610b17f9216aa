"""The gateway of Standard mode: HTTPRoutes and Ingresses, through Services, to the servers behind them.

A Service's own host (`<name>.<namespace>.svc.cluster.local`) is served by the ingress as well: it is
the only way to a canary that gets no traffic, for Standard mode has no tag URLs. Only objects of an
InferenceService are served; what others create here is kept, and leads nowhere.
"""

from collections.abc import Callable, Iterable, Mapping

from tidegate.sandbox.api.kinds import HTTPROUTES, INGRESSES, SERVICES, Json, Kind
from tidegate.sandbox.api.metadata import timestamp
from tidegate.sandbox.api.store import Store
from tidegate.sandbox.controllers import conditions
from tidegate.sandbox.controllers.conditions import Condition
from tidegate.sandbox.controllers.ingress_table import IngressTable
from tidegate.sandbox.controllers.objects import address
from tidegate.sandbox.controllers.standard_objects import GATEWAY
from tidegate.sandbox.interfaces import Weights

Serving = Callable[[str, str], str]  # (namespace, app) -> ReplicaSet, or empty
Apps = Mapping[tuple[str, str], str]  # (namespace, Service) -> app
_CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"


class GatewayController:
    """HTTPRoutes, Ingresses and Services -> hosts; the HTTPRoutes are told what became of them."""

    def __init__(self, store: Store, table: IngressTable, clock: Callable[[], float]) -> None:
        self._store, self._table, self._clock = store, table, clock

    def reconcile(self, serving: Serving) -> None:
        """All of them, once."""
        apps = {address(s): app for s in self._owned(SERVICES) if (app := _app(s))}
        routes = self._owned(HTTPROUTES)
        table = _service_hosts(apps, serving)
        for ingress in self._owned(INGRESSES):
            table |= _hosts_of(_ingress_backends(ingress), apps, serving)
        for route in routes:
            table |= _hosts_of(_route_backends(route), apps, serving)
        self._table.put("Standard", table)
        for route in routes:
            status = self._status(route, apps)
            self._store.write_status(HTTPROUTES, *address(route), status)

    def _owned(self, kind: Kind) -> list[Json]:
        return [
            item
            for item in self._store.items(kind)
            if any(
                o["kind"] == "InferenceService" for o in item["metadata"].get("ownerReferences", [])
            )
        ]

    def _status(self, route: Json, apps: Apps) -> Json:
        before = (((route.get("status") or {}).get("parents")) or [{}])[0]
        found = [_accepted(self._table.trouble), _resolved(route, apps)]
        listed = conditions.as_json(found, _plain(before), timestamp(self._clock()))
        generation = route["metadata"]["generation"]
        return {
            "parents": [
                {
                    "parentRef": GATEWAY,
                    "controllerName": _CONTROLLER,
                    "conditions": [c | {"observedGeneration": generation} for c in listed],
                }
            ]
        }


def _app(service: Json) -> str:
    selector = (service.get("spec") or {}).get("selector")
    return str((selector or {}).get("app", ""))


def _service_hosts(apps: Apps, serving: Serving) -> dict[str, Weights]:
    return {
        f"{name}.{namespace}.svc.cluster.local": (
            (namespace, serving(namespace, app) or name, 100),
        )
        for (namespace, name), app in apps.items()
    }


Backends = list[tuple[str, str, int]]  # (namespace, Service, weight)


def _ingress_backends(ingress: Json) -> dict[str, Backends]:
    namespace = ingress["metadata"]["namespace"]
    found = {}
    for rule in ingress["spec"]["rules"]:
        service = rule["http"]["paths"][0]["backend"]["service"]["name"]
        found[rule["host"]] = [(namespace, service, 100)]
    return found


def _route_backends(route: Json) -> dict[str, Backends]:
    """One rule is all that KServe writes for a server with one port; other rules are not served."""
    spec, namespace = route.get("spec") or {}, route["metadata"]["namespace"]
    rule: Json = next(iter(spec.get("rules") or []), {})
    backends = [
        (ref.get("namespace", namespace), ref.get("name", ""), ref.get("weight", 1))
        for ref in rule.get("backendRefs") or []
    ]
    return dict.fromkeys(spec.get("hostnames") or [], backends)


def _hosts_of(backends: Mapping[str, Backends], apps: Apps, serving: Serving) -> dict[str, Weights]:
    table = {}
    for host, listed in backends.items():
        shares = percents([weight for _, _, weight in listed])
        pairs = zip(listed, shares, strict=True)
        table[host] = tuple(
            (namespace, _server(namespace, name, apps, serving), share)
            for (namespace, name, _), share in pairs
            if share > 0
        )
    return {host: weights for host, weights in table.items() if weights}


def _server(namespace: str, service: str, apps: Apps, serving: Serving) -> str:
    """A Service that is gone or has no pods keeps its share of the requests, and they fail."""
    return serving(namespace, apps.get((namespace, service), "")) or service


def percents(weights: Iterable[int]) -> list[int]:
    """Relative weights as percents that sum to 100; weights that do so already stay as they are."""
    listed = list(weights)
    total = sum(listed)
    if total <= 0:
        return [0 for _ in listed]
    ends = [round(100 * sum(listed[: index + 1]) / total) for index in range(len(listed))]
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def _accepted(trouble: str) -> Condition:
    if trouble:
        return Condition(type="Accepted", status="False", reason="Pending", message=trouble)
    return Condition(type="Accepted", status="True", reason="Accepted")


def _resolved(route: Json, apps: Apps) -> Condition:
    missing = [
        f"{namespace}/{name}"
        for backends in _route_backends(route).values()
        for namespace, name, _ in backends
        if (namespace, name) not in apps
    ]
    if not missing:
        return Condition(type="ResolvedRefs", status="True", reason="ResolvedRefs")
    text = f"Service {missing[0]} not found"
    return Condition(type="ResolvedRefs", status="False", reason="BackendNotFound", message=text)


def _plain(parent: Json) -> Json:
    entries = parent.get("conditions") or []
    return {
        "conditions": [
            {k: v for k, v in entry.items() if k != "observedGeneration"} for entry in entries
        ]
    }
