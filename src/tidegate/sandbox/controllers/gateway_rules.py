"""From HTTPRoutes, Ingresses and Services to the hosts of the ingress: who serves what, by path. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tidegate.sandbox.api.kinds import Json
from tidegate.sandbox.interfaces import HostRoute, PathRule, Weights

Serving = Callable[[str, str], str]  # (namespace, app) -> ReplicaSet, or empty
Apps = Mapping[tuple[str, str], str]  # (namespace, Service) -> app
Backends = list[tuple[str, str, int]]  # (namespace, Service, weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of a host; the last one that a host has is for every path."""

    backends: Backends
    path: str = ""  # a regular expression


def service_rules(apps: Apps) -> dict[str, list[Rule]]:
    """A Service's own host."""
    return {
        f"{name}.{namespace}.svc.cluster.local": [Rule(backends=[(namespace, name, 100)])]
        for namespace, name in apps
    }


def ingress_rules(ingress: Json) -> dict[str, list[Rule]]:
    """Of two rules for one host the last one is in force here; a real controller chooses by itself."""
    namespace = ingress["metadata"]["namespace"]
    found = {}
    for rule in ingress["spec"]["rules"]:
        service = rule["http"]["paths"][0]["backend"]["service"]["name"]
        found[rule["host"]] = [Rule(backends=[(namespace, service, 100)])]
    return found


def route_rules(route: Json) -> list[Rule]:
    """An HTTPRoute's, for each of its hosts the same; a match by headers is not looked at."""
    namespace = route["metadata"]["namespace"]
    return [_rule(rule, namespace) for rule in (route.get("spec") or {}).get("rules") or []]


def _rule(rule: Json, namespace: str) -> Rule:
    match: Json = next(iter(rule.get("matches") or []), {})
    backends = [
        (ref.get("namespace", namespace), ref.get("name", ""), ref.get("weight", 1))
        for ref in rule.get("backendRefs") or []
    ]
    return Rule(backends=backends, path=(match.get("path") or {}).get("value", ""))


def host_route(host: str, rules: Sequence[Rule], apps: Apps, serving: Serving) -> HostRoute | None:
    """None of a host that leads to nobody at all."""
    shares = [_shares(rule, apps, serving) for rule in rules]
    if not shares or not shares[-1]:
        return None
    ruled = zip(rules[:-1], shares[:-1], strict=True)
    return HostRoute(
        host=host,
        weights=_weights(shares[-1]),
        rules=tuple(PathRule(regex=rule.path, weights=_weights(to)) for rule, to in ruled),
        answers={server: service for to in shares for _, service, server, _ in to},
    )


_Shares = tuple[tuple[str, str, str, int], ...]  # (namespace, Service, what serves it, percent)


def _shares(rule: Rule, apps: Apps, serving: Serving) -> _Shares:
    """A Service that is gone or has no pods keeps its share of the requests, and they fail."""
    shares = percents([weight for _, _, weight in rule.backends])
    return tuple(
        (namespace, name, serving(namespace, apps.get((namespace, name), "")) or name, share)
        for (namespace, name, _), share in zip(rule.backends, shares, strict=True)
        if share > 0
    )


def _weights(shares: _Shares) -> Weights:
    return tuple((namespace, server, share) for namespace, _, server, share in shares)


def percents(weights: Iterable[int]) -> list[int]:
    """Relative weights as percents that sum to 100; weights that do so already stay as they are."""
    listed = list(weights)
    total = sum(listed)
    if total <= 0:
        return [0 for _ in listed]
    ends = [round(100 * sum(listed[: index + 1]) / total) for index in range(len(listed))]
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
