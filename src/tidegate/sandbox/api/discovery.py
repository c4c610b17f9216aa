"""Discovery documents, plain and aggregated, made from the table of kinds. Pure."""

from tidegate.sandbox.api.kinds import ALL, Json, Kind

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
VERSION: Json = {
    "major": "1", "minor": "33", "gitVersion": "v1.33.0+tidegate-sandbox", "gitCommit": "",
    "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none",
    "compiler": "none", "platform": "emulated",
}  # fmt: skip
_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_STATUS_VERBS = ["get", "patch", "update"]


def groups() -> dict[str, list[str]]:
    """Versions by named group, preferred first."""
    found: dict[str, list[str]] = {}
    for kind in ALL:
        versions = found.setdefault(kind.group, [])
        if kind.version not in versions:
            versions.append(kind.version)
    return {group: versions for group, versions in found.items() if group}


def core_versions() -> Json:
    """`/api`."""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def group_list() -> Json:
    """`/apis`."""
    listed = [group(name) for name in groups()]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


def group(name: str) -> Json:
    """`/apis/<group>`."""
    versions = [{"groupVersion": f"{name}/{v}", "version": v} for v in groups()[name]]
    return {
        "kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": versions,
        "preferredVersion": versions[0],
    }  # fmt: skip


def resource_list(group_name: str, version: str) -> Json:
    """`/api/v1`, `/apis/<group>/<version>`."""
    resources: list[Json] = []
    for kind in _kinds(group_name, version):
        resources.append(_resource(kind))
        if kind.has_status:
            resources.append(_status(kind))
    full = f"{group_name}/{version}" if group_name else version
    return {
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": full, "resources": resources,
    }  # fmt: skip


def aggregated(group_names: list[str]) -> Json:
    """What `/api` and `/apis` answer to a client that accepts the aggregated form."""
    items = [_aggregated_group(name) for name in group_names]
    kind = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2"}
    return kind | {"metadata": {}, "items": items}


def _kinds(group_name: str, version: str) -> list[Kind]:
    return [k for k in ALL if (k.group, k.version) == (group_name, version)]


def _resource(kind: Kind) -> Json:
    return {
        "name": kind.plural, "singularName": kind.kind.lower(), "namespaced": kind.namespaced,
        "kind": kind.kind, "verbs": _VERBS, "shortNames": list(kind.short_names),
        "categories": list(kind.categories),
    }  # fmt: skip


def _status(kind: Kind) -> Json:
    return {
        "name": f"{kind.plural}/status", "singularName": "", "namespaced": kind.namespaced,
        "kind": kind.kind, "verbs": _STATUS_VERBS,
    }  # fmt: skip


def _aggregated_group(name: str) -> Json:
    versions = groups()[name] if name else ["v1"]
    return {
        "metadata": {"name": name, "creationTimestamp": None},
        "versions": [
            {
                "version": version, "freshness": "Current",
                "resources": [_aggregated_resource(kind) for kind in _kinds(name, version)],
            }
            for version in versions
        ],
    }  # fmt: skip


def _aggregated_resource(kind: Kind) -> Json:
    response = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    found: Json = {
        "resource": kind.plural, "responseKind": response,
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.kind.lower(), "verbs": _VERBS,
        "shortNames": list(kind.short_names), "categories": list(kind.categories),
    }  # fmt: skip
    if kind.has_status:
        status = {"subresource": "status", "responseKind": response, "verbs": _STATUS_VERBS}
        found["subresources"] = [status]
    return found
