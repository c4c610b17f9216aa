"""From Knative Routes to the ingress table: which host goes where, and when it may change. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tidegate.sandbox.controllers.traffic import Target
from tidegate.sandbox.interfaces import HostRoute

Weights = tuple[tuple[str, str, int], ...]
SUFFIX = "-predictor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """One Route with its traffic resolved."""

    namespace: str
    name: str
    traffic: tuple[Target, ...]


def host(name: str, namespace: str, domain: str, tag: str = "") -> str:
    """Knative's default tag and domain templates."""
    return f"{tag}-{name}.{namespace}.{domain}" if tag else f"{name}.{namespace}.{domain}"


def wanted(routes: Iterable[Routed], domain: str) -> dict[str, Weights]:
    """The table that the Routes ask for."""
    table: dict[str, Weights] = {}
    for route in routes:
        weights = _weights(route)
        table[host(route.name, route.namespace, domain)] = weights
        # KServe's own virtual host, without the component's suffix, goes the same way.
        table[host(route.name.removesuffix(SUFFIX), route.namespace, domain)] = weights
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


def as_routes(
    table: Mapping[str, Weights], answers: Mapping[str, str] | None = None
) -> list[HostRoute]:
    """The table in the ingress's words, in a stable order."""
    names = answers or {}
    return [
        HostRoute(host=h, weights=table[h], answers=_named(table[h], names)) for h in sorted(table)
    ]


def _named(weights: Weights, answers: Mapping[str, str]) -> dict[str, str]:
    return {name: answers[name] for _, name, _ in weights if name in answers}
