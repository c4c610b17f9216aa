"""IngressReady of an InferenceService in Standard mode: what became of its routes. Pure."""

from collections.abc import Mapping

from tidegate.sandbox.api.kinds import Json
from tidegate.sandbox.controllers import standard_routes
from tidegate.sandbox.controllers.conditions import Condition

INGRESS = "IngressReady"
Routes = Mapping[str, Json | None] | None  # by KServe's name for each; None without the Gateway API


def ready(isvc: Json, routes: Routes, parts: Mapping[str, Condition]) -> Condition:
    """True when every HTTPRoute is accepted; routes of an earlier day count (HR:1032-1100).

    `parts` are the components' own conditions. Without the Gateway API nothing but those is looked at.
    """
    if routes is None:
        return _without_gateway(isvc, parts)
    for what, route in routes.items():
        if route is None:
            return _not(f"{what} Deployment NotReady", f"{what} HTTPRoute not created")
        if problem := _problem(route):
            reason, message = problem
            return _not(reason, f"{what} {message}")
    return Condition(type=INGRESS, status="True")


def _without_gateway(isvc: Json, parts: Mapping[str, Condition]) -> Condition:
    needed = standard_routes.ingress_needs(isvc)
    late = next((one for one in needed if not parts[one].is_true), None)
    if late is None:
        return Condition(type=INGRESS, status="True")
    return _not(f"{late.capitalize()} ingress not created")


def _problem(route: Json) -> tuple[str, str] | None:
    parents = (route.get("status") or {}).get("parents") or []
    if not parents:
        return "ParentStatusNotAvailable", "HttpRouteNotReady"
    said = [entry for parent in parents for entry in parent.get("conditions") or []]
    return next((_words(entry) for entry in said if entry["status"] == "False"), None)


def _words(entry: Json) -> tuple[str, str]:
    return str(entry.get("reason", "")), str(entry.get("message", ""))


def _not(reason: str, message: str = "") -> Condition:
    return Condition(type=INGRESS, status="False", reason=reason, message=message)
