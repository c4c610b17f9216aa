"""From Knative Routes to the ingress table: which host goes where, and when it may change. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tidegate.sandbox.controllers.traffic import Target
from tidegate.sandbox.interfaces import HostRoute, PathRule, Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """One Route with its traffic resolved."""

    namespace: str
    name: str
    traffic: tuple[Target, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualHost:
    """A host that goes where others do; `rules` are (regex of the path, host), before `backend`."""

    backend: str
    rules: tuple[tuple[str, str], ...] = ()


def inside(name: str, namespace: str) -> str:
    """The name of a service for clients in the cluster."""
    return f"{name}.{namespace}.svc.cluster.local"


def host(name: str, namespace: str, domain: str, tag: str = "") -> str:
    """Knative's default tag and domain templates."""
    return f"{tag}-{name}.{namespace}.{domain}" if tag else f"{name}.{namespace}.{domain}"


def wanted(routes: Iterable[Routed], domain: str) -> dict[str, Weights]:
    """The table that the Routes ask for."""
    table: dict[str, Weights] = {}
    for route in routes:
        weights = _weights(route)
        table[host(route.name, route.namespace, domain)] = weights
        table[inside(route.name, route.namespace)] = weights
        for target in route.traffic:
            if target.tag:
                alone = ((route.namespace, target.revision, 100),)
                table[host(route.name, route.namespace, domain, target.tag)] = alone
    return table


def _weights(route: Routed) -> Weights:
    shares: dict[str, int] = {}
    for target in route.traffic:
        shares[target.revision] = shares.get(target.revision, 0) + target.percent
    return tuple((route.namespace, name, share) for name, share in shares.items() if share > 0)


def held(
    asked: Mapping[str, Weights], applied: Mapping[str, Weights], serves: Callable[[str, str], bool]
) -> dict[str, Weights]:
    """The table to program now: a host changes only when all its new revisions serve.

    A revision that sleeps for want of requests serves too: the activator holds them. One that nothing
    referred to has no pods though it may not be without any; Knative's activator would hold its requests
    too, and here the host stays on its old target until a pod is up. This also covers the moment in which a
    server is Ready to us and its process has just died: a table that is in force already is left alone, so
    such requests fail, as they should.
    """
    table: dict[str, Weights] = {}
    for name, weights in asked.items():
        if all(serves(namespace, revision) for namespace, revision, _ in weights):
            table[name] = weights
        elif name in applied:
            table[name] = applied[name]
    return table


def as_routes(table: Mapping[str, Weights]) -> list[HostRoute]:
    """The table in the ingress's words, in a stable order."""
    return [HostRoute(host=host, weights=table[host]) for host in sorted(table)]


def as_virtual_routes(
    virtual: Mapping[str, VirtualHost], table: Mapping[str, Weights]
) -> list[HostRoute]:
    """Virtual hosts with the weights that their backends have now; one without a backend is left out."""
    return [
        HostRoute(host=name, weights=table[to.backend], rules=tuple(_rules(to, table)))
        for name, to in sorted(virtual.items())
        if to.backend in table
    ]


def _rules(to: VirtualHost, table: Mapping[str, Weights]) -> Iterable[PathRule]:
    return (PathRule(regex=regex, weights=table.get(backend, ())) for regex, backend in to.rules)
