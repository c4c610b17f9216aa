"""Which kind, namespace, object and subresource a URL path names. Pure."""

from dataclasses import dataclass

from tidegate.sandbox.api import errors
from tidegate.sandbox.api.kinds import Kind, find


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One request's target; `name` is empty for a collection, `namespace` for all of them."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def parse(path: str) -> Address:
    """Read `/api/v1/...` or `/apis/<group>/<version>/...`; 404 for anything else."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"]:
        return _resource("", parts[1:])
    if parts[:1] == ["apis"] and len(parts) > 2:
        return _resource(parts[1], parts[2:])
    raise errors.no_such_path()


def _resource(group: str, parts: list[str]) -> Address:
    version, rest = parts[0] if parts else "", parts[1:]
    namespace = ""
    # `/namespaces/x/pods` is in namespace x; `/namespaces/x` and `/namespaces/x/status` is x itself
    if len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in {"status", "finalize"}:
        namespace, rest = rest[1], rest[2:]
    kind = find(group, version, rest[0]) if rest else None
    if kind is None or len(rest) > 3 or (namespace and not kind.namespaced):
        raise errors.no_such_path()
    name, subresource = [*rest[1:], "", ""][:2]
    return Address(kind=kind, namespace=namespace, name=name, subresource=subresource)
