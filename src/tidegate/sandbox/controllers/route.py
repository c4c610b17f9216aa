"""Knative's Route: traffic resolved, the ingress programmed, and only then said so in the status.

A client that reads a percent in the status with RoutesReady True finds it in force.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tidegate.sandbox.api.kinds import CONFIGURATIONS, REVISIONS, ROUTES, Json
from tidegate.sandbox.api.metadata import timestamp
from tidegate.sandbox.api.store import Store
from tidegate.sandbox.controllers import conditions, hosts, targets, traffic
from tidegate.sandbox.controllers.conditions import Condition
from tidegate.sandbox.controllers.ingress_table import IngressTable
from tidegate.sandbox.controllers.knative import is_ready
from tidegate.sandbox.controllers.objects import address


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """One Route in one pass; `problem` is why its traffic stays as it was."""

    route: Json
    routed: hosts.Routed
    problem: Condition | None


class RouteController:
    """All Routes -> their part of the ingress table."""

    def __init__(
        self, store: Store, table: IngressTable, clock: Callable[[], float], domain: str
    ) -> None:
        self._store, self._table, self._clock, self._domain = store, table, clock, domain

    @property
    def routed(self) -> set[tuple[str, str]]:
        """The revisions that requests reach now."""
        applied = self._table.applied
        return {(ns, name) for weights in applied.values() for ns, name, _ in weights}

    def reconcile(self, serves: Callable[[str, str], bool]) -> None:
        """Every Route, once."""
        resolutions = [self._resolve(route) for route in self._store.items(ROUTES)]
        asked = hosts.wanted([r.routed for r in resolutions if r.routed.traffic], self._domain)
        self._table.put(hosts.held(asked, self._table.applied, serves))
        applied = self._table.applied
        for resolution in resolutions:
            own = (
                hosts.wanted([resolution.routed], self._domain) if resolution.routed.traffic else {}
            )
            is_applied = all(applied.get(host) == weights for host, weights in own.items())
            status = self._status(resolution, is_applied=is_applied)
            self._store.write_status(ROUTES, *address(resolution.route), status)

    def _resolve(self, route: Json) -> Resolution:
        namespace, name = address(route)
        configuration = self._store.find(CONFIGURATIONS, namespace, name) or {}
        newest = (configuration.get("status") or {}).get("latestReadyRevisionName", "")
        revisions = {r["metadata"]["name"]: r for r in self._store.items(REVISIONS, namespace)}
        ready = {revision: is_ready(item) for revision, item in revisions.items()}
        wanted = targets.from_json(route["spec"]["traffic"])
        found = traffic.resolve(wanted, newest, ready)
        if isinstance(found, str):
            before = targets.from_json((route.get("status") or {}).get("traffic", []))
            routed = hosts.Routed(namespace=namespace, name=name, traffic=before)
            problem = _missing(found, [revisions.get(t.revision or newest) for t in wanted])
            return Resolution(route=route, routed=routed, problem=problem)
        routed = hosts.Routed(namespace=namespace, name=name, traffic=found)
        return Resolution(route=route, routed=routed, problem=None)

    def _status(self, resolution: Resolution, *, is_applied: bool) -> Json:
        route, routed = resolution.route, resolution.routed
        before = route.get("status") or {}
        assigned = resolution.problem or Condition(type="AllTrafficAssigned", status="True")
        parts = [assigned, self._ingress_ready(is_applied=is_applied)]
        every = [*parts, conditions.all_of("Ready", parts)]
        host = hosts.host(routed.name, routed.namespace, self._domain)
        inside = f"http://{routed.name}.{routed.namespace}.svc.cluster.local"
        status: Json = {
            "observedGeneration": route["metadata"]["generation"],
            "conditions": conditions.as_json(every, before, timestamp(self._clock())),
            "url": f"http://{host}",
            "address": {"url": inside},
        }
        if routed.traffic:
            status["traffic"] = targets.as_json(routed, self._domain)
        return status

    def _ingress_ready(self, *, is_applied: bool) -> Condition:
        if is_applied and not self._table.trouble:
            return Condition(type="IngressReady", status="True")
        text = self._table.trouble or "Waiting for a revision that starts from zero."
        return Condition(
            type="IngressReady", status="Unknown", reason="IngressNotConfigured", message=text
        )


def _missing(message: str, wanted: list[Json | None]) -> Condition:
    failed = any(
        r and conditions.find(r.get("status") or {}, "Ready").status == "False" for r in wanted
    )
    return Condition(
        type="AllTrafficAssigned", status="False" if failed else "Unknown",
        reason="RevisionMissing", message=message,
    )  # fmt: skip
