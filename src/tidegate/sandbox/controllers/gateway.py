"""The gateway of Standard mode: HTTPRoutes and Ingresses, through Services, to the servers behind them.

A Service's own host (`<name>.<namespace>.svc.cluster.local`) is served by the ingress as well: it is
the only way to a canary that gets no traffic, for Standard mode has no tag URLs. Only objects of an
InferenceService are served; what others create here is kept, and leads nowhere.
"""

from collections.abc import Callable

from tidegate.sandbox.api.kinds import HTTPROUTES, INGRESSES, SERVICES, Json, Kind
from tidegate.sandbox.api.metadata import timestamp
from tidegate.sandbox.api.store import Store
from tidegate.sandbox.controllers import conditions
from tidegate.sandbox.controllers.conditions import Condition
from tidegate.sandbox.controllers.gateway_rules import (
    Apps,
    Serving,
    host_route,
    ingress_rules,
    route_rules,
    service_rules,
)
from tidegate.sandbox.controllers.ingress_table import IngressTable
from tidegate.sandbox.controllers.objects import address
from tidegate.sandbox.controllers.standard_routes import GATEWAY

_CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"


class GatewayController:
    """HTTPRoutes, Ingresses and Services -> hosts; the HTTPRoutes are told what became of them."""

    def __init__(self, store: Store, table: IngressTable, clock: Callable[[], float]) -> None:
        self._store, self._table, self._clock = store, table, clock

    def reconcile(self, serving: Serving) -> None:
        """All of them, once."""
        apps = {address(s): app for s in self._owned(SERVICES) if (app := _app(s))}
        routes = self._owned(HTTPROUTES)
        rules = service_rules(apps)
        for ingress in self._owned(INGRESSES):
            rules |= ingress_rules(ingress)
        for route in routes:
            rules |= dict.fromkeys(
                (route.get("spec") or {}).get("hostnames") or [], route_rules(route)
            )
        found = (host_route(host, rules[host], apps, serving) for host in sorted(rules))
        self._table.put_routes([one for one in found if one is not None])
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


def _accepted(trouble: str) -> Condition:
    if trouble:
        return Condition(type="Accepted", status="False", reason="Pending", message=trouble)
    return Condition(type="Accepted", status="True", reason="Accepted")


def _resolved(route: Json, apps: Apps) -> Condition:
    missing = [
        f"{namespace}/{name}"
        for rule in route_rules(route)
        for namespace, name, _ in rule.backends
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
