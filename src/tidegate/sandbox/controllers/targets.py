"""Traffic blocks between their JSON form in Knative objects and the values of the rules. Pure."""

from collections.abc import Iterable

from tidegate.sandbox.api.kinds import Json
from tidegate.sandbox.controllers.hosts import Routed, host
from tidegate.sandbox.controllers.traffic import Target


def from_json(entries: Iterable[Json]) -> tuple[Target, ...]:
    """A `traffic` block of a spec or a status."""
    return tuple(
        Target(
            percent=entry.get("percent", 0),
            latest=entry.get("latestRevision", False),
            revision=entry.get("revisionName", ""),
            tag=entry.get("tag", ""),
        )
        for entry in entries
    )


def spec_json(wanted: Iterable[Target]) -> list[Json]:
    """A `spec.traffic` block."""
    return [_entry(target) for target in wanted]


def as_json(routed: Routed, domain: str) -> list[Json]:
    """A `status.traffic` block: resolved, with the URL of each tag."""
    found = []
    for target in routed.traffic:
        url = f"http://{host(routed.name, routed.namespace, domain, target.tag)}"
        found.append(_entry(target) | ({"url": url} if target.tag else {}))
    return found


def _entry(target: Target) -> Json:
    entry: Json = {"latestRevision": target.latest, "percent": target.percent}
    entry |= {"revisionName": target.revision} if target.revision else {}
    return entry | ({"tag": target.tag} if target.tag else {})
