"""What the server writes into `metadata`: identity at creation, versions at every change. Pure."""

import calendar
import secrets
import time
import uuid

from tidegate.sandbox.api.copies import copied
from tidegate.sandbox.api.errors import Cause, bad_request, conflict, invalid
from tidegate.sandbox.api.kinds import Json, Kind

_SERVER_OWNED = ("uid", "creationTimestamp", "selfLink", "deletionTimestamp", "generation")
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"  # no vowels: a generated name never spells a word


def timestamp(now: float) -> str:
    """RFC 3339, whole seconds, as `metadata` carries it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))


def seconds(stamp: object) -> float | None:
    """Unix time of such a timestamp; None of anything else."""
    try:
        return float(calendar.timegm(time.strptime(str(stamp), "%Y-%m-%dT%H:%M:%SZ")))
    except ValueError:
        return None


def generated_name(prefix: str) -> str:
    """What `generateName` leads to."""
    return prefix + "".join(secrets.choice(_SUFFIX) for _ in range(5))


def for_create(kind: Kind, item: Json, namespace: str, now: float) -> Json:
    """The object as it enters the store, but for its resourceVersion."""
    created = addressed(kind, item, namespace)
    meta = {k: v for k, v in created["metadata"].items() if k not in _SERVER_OWNED}
    if not meta.get("name") and meta.get("generateName"):
        meta["name"] = generated_name(meta["generateName"])
    if not meta.get("name"):
        cause = Cause("metadata.name", "Required value: name or generateName is required")
        raise invalid(kind, "", [cause])
    meta |= {"uid": str(uuid.uuid4()), "creationTimestamp": timestamp(now)}
    if kind.has_status:
        meta["generation"] = 1
        if kind.is_custom:
            created.pop(
                "status", None
            )  # a client cannot create a status where one is a subresource
    return created | {"metadata": meta}


def for_update(kind: Kind, item: Json, old: Json, *, status: bool) -> Json:
    """The object that replaces `old`: identity kept, the other half of it untouched."""
    updated = addressed(kind, item, old["metadata"].get("namespace", ""))
    _check_locks(kind, updated, old)
    if status:
        return old | {"status": updated.get("status", {})}
    if kind.has_status and "status" in old:
        updated["status"] = old["status"]
    elif kind.has_status:
        updated.pop("status", None)
    kept = {k: old["metadata"][k] for k in _SERVER_OWNED if k in old["metadata"]}
    foreign = {k: v for k, v in updated["metadata"].items() if k not in _SERVER_OWNED}
    updated["metadata"] = foreign | kept
    if kind.has_status and _meaning(updated) != _meaning(old):
        updated["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
    return updated


def addressed(kind: Kind, item: Json, namespace: str) -> Json:
    """A copy with apiVersion, kind and namespace made to agree with the address."""
    if not isinstance(item.get("metadata") or {}, dict):
        raise bad_request("metadata: expected an object")
    said = (item.get("apiVersion", kind.api_version), item.get("kind", kind.kind))
    if said != (kind.api_version, kind.kind):
        raise bad_request(
            f"{said[1]} in version {said[0]!r} cannot be handled as a {kind.kind}"
            f" in version {kind.api_version!r}"
        )
    result = copied(item) | {"apiVersion": kind.api_version, "kind": kind.kind}
    result["metadata"] = dict(result.get("metadata") or {})
    if kind.namespaced:
        _check_namespace(result["metadata"].get("namespace"), namespace)
        result["metadata"]["namespace"] = namespace
    return result


def _check_namespace(said: str | None, namespace: str) -> None:
    if said and said != namespace:
        message = (
            "the namespace of the provided object does not match the namespace sent on the request"
        )
        raise bad_request(message)


def _check_locks(kind: Kind, item: Json, old: Json) -> None:
    meta, name = item["metadata"], old["metadata"]["name"]
    if meta.get("name", name) != name:
        raise bad_request(
            f"the name of the object ({meta['name']}) does not match the name on the URL ({name})"
        )
    if (
        meta.get("resourceVersion", old["metadata"]["resourceVersion"])
        != old["metadata"]["resourceVersion"]
    ):
        raise conflict(kind, name)
    if meta.get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
        found = old["metadata"]["uid"]
        raise conflict(
            kind,
            name,
            f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {found}",
        )


def _meaning(item: Json) -> Json:
    """The part whose change is a new generation."""
    return {k: v for k, v in item.items() if k not in {"metadata", "status"}}
