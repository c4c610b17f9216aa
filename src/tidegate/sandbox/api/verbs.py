"""The verbs, once for all kinds: an address, a query and a body in, a status code and an object out."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate.sandbox.api import errors, metadata, patches, selectors
from tidegate.sandbox.api.addresses import Address
from tidegate.sandbox.api.admission import Admission
from tidegate.sandbox.api.kinds import JOBS, LEASES, Json, Kind
from tidegate.sandbox.api.store import Store

_PATCHES = (patches.JSON_PATCH, patches.MERGE_PATCH, patches.STRATEGIC, patches.APPLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """The query parameters of one request."""

    values: Mapping[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A parameter, or empty."""
        return self.values.get(name, "")

    def flag(self, name: str) -> bool:
        """A boolean parameter; absent is false."""
        return self.text(name).lower() in {"1", "true"}

    @property
    def dry_run(self) -> bool:
        """`dryRun=All`; any other value is refused."""
        if self.text("dryRun") not in {"", "All"}:
            said = self.text("dryRun")
            raise errors.bad_request(
                f'dryRun: Unsupported value: "{said}": supported values: "All"'
            )
        return self.text("dryRun") == "All"

    @property
    def matches(self) -> selectors.Predicate:
        """The request's label and field selectors."""
        return selectors.both(self.text("labelSelector"), self.text("fieldSelector"))


class Verbs:
    """get, list, create, replace, patch and delete on the store."""

    def __init__(self, store: Store, admission: Admission) -> None:
        self._store, self._admission = store, admission

    def get(self, at: Address) -> Json:
        """One object."""
        return self._store.get(at.kind, at.namespace, at.name)

    def collection(self, at: Address, query: Query) -> Json:
        """A List; `limit` is allowed to be ignored by a server, and is."""
        found, version = self._store.snapshot(at.kind, at.namespace)
        return {
            "kind": f"{at.kind.kind}List",
            "apiVersion": at.kind.api_version,
            "metadata": {"resourceVersion": str(version)},
            "items": list(filter(query.matches, found)),
        }

    def create(self, at: Address, query: Query, body: Any) -> Json:
        """POST to a collection."""
        if at.name or (at.kind.namespaced and not at.namespace):
            raise errors.method_not_allowed()
        item = _object(body)
        self._check_fields(at.kind, query, item)
        return self._store.create(at.kind, item, at.namespace, dry_run=query.dry_run)

    def replace(self, at: Address, query: Query, body: Any) -> Json:
        """PUT."""
        item = _object(body)
        self._check_fields(at.kind, query, item)
        locked = at.kind.is_custom or at.kind == LEASES  # these take no unconditional update
        if locked and not (item.get("metadata") or {}).get("resourceVersion"):
            text = "Invalid value: 0x0: must be specified for an update"
            cause = errors.Cause("metadata.resourceVersion", text)
            raise errors.invalid(at.kind, at.name, [cause])
        return self._store.update(
            at.kind, item, at.namespace, at.name,
            status=at.subresource == "status", dry_run=query.dry_run,
        )  # fmt: skip

    def patch(self, at: Address, query: Query, body: Any, media: str) -> tuple[int, Json]:
        """PATCH in any of the four formats; apply creates what is absent."""
        accepted = [m for m in _PATCHES if not (at.kind.is_custom and m == patches.STRATEGIC)]
        if media not in accepted:
            raise errors.unsupported_media(accepted)
        if media == patches.APPLY and self._store.find(at.kind, at.namespace, at.name) is None:
            return 201, self._apply_new(at, query, body)

        def change(old: Json) -> Json:
            new = _patched(at.kind, query, old, body, media)
            self._check_fields(at.kind, query, new)
            return new

        return 200, self._store.edit(
            at.kind, at.namespace, at.name, change,
            status=at.subresource == "status", dry_run=query.dry_run,
        )  # fmt: skip

    def delete(self, at: Address, query: Query, options: Any) -> Json:
        """DELETE one object; the answer is a Status."""
        chosen = options if isinstance(options, dict) else {}
        locks = chosen.get("preconditions") or {}
        policy = chosen.get("propagationPolicy") or query.text("propagationPolicy")
        if not policy and at.kind == JOBS:
            policy = "Orphan"  # for Jobs alone: pkg/registry/batch/job/strategy.go, for back compatibility
        removed = self._store.delete(
            at.kind, at.namespace, at.name,
            uid=locks.get("uid", ""), version=locks.get("resourceVersion", ""),
            cascade=policy != "Orphan",
            dry_run=query.dry_run or chosen.get("dryRun") == ["All"],
        )  # fmt: skip
        details = {"name": at.name, "kind": at.kind.plural, "uid": removed["metadata"]["uid"]}
        details |= {"group": at.kind.group} if at.kind.group else {}
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        return status | {"details": details}

    def delete_all(self, at: Address, query: Query, options: Any) -> Json:
        """DELETE a collection: what the selectors match."""
        found = self.collection(at, query)
        for item in found["items"]:
            meta = item["metadata"]
            one = Address(kind=at.kind, namespace=meta.get("namespace", ""), name=meta["name"])
            if self._store.find(one.kind, one.namespace, one.name):  # an owner may have taken it
                self.delete(one, query, options)
        return found

    def warnings(self, at: Address, query: Query, item: Json) -> list[str]:
        """What `fieldValidation=Warn`, the default, says beside the answer."""
        if query.text("fieldValidation") in {"Ignore", "Strict"}:
            return []
        return [f'unknown field "{f}"' for f in self._admission.unknown_fields(at.kind, item)]

    def _check_fields(self, kind: Kind, query: Query, item: Json) -> None:
        if query.text("fieldValidation") != "Strict":
            return
        unknown = self._admission.unknown_fields(kind, item)
        if unknown:
            listed = ", ".join(f'unknown field "{f}"' for f in unknown)
            raise errors.bad_request(
                f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}:'
                f" strict decoding error: {listed}"
            )

    def _apply_new(self, at: Address, query: Query, body: Any) -> Json:
        if at.subresource:
            raise errors.not_found(at.kind, at.name)
        blank: Json = {"metadata": {"name": at.name}}
        item = _patched(at.kind, query, blank, body, patches.APPLY)
        self._check_fields(at.kind, query, item)
        return self._store.create(at.kind, item, at.namespace, dry_run=query.dry_run)


def _object(body: Any) -> Json:
    if not isinstance(body, dict):
        raise errors.bad_request("the body of the request is no object")
    return body


def _patched(kind: Kind, query: Query, old: Json, body: Any, media: str) -> Json:
    if media == patches.JSON_PATCH:
        return patches.operations(old, body)
    wanted = _object(body)
    if media == patches.MERGE_PATCH:
        merged: Json = patches.merge(old, wanted)
        return merged
    if media == patches.STRATEGIC:
        plain: Json = patches.merge(old, patches.without_directives(wanted))
        return plain
    return _applied(kind, query, old, wanted)


def _applied(kind: Kind, query: Query, old: Json, wanted: Json) -> Json:
    manager = query.text("fieldManager")
    if not manager:
        message = 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'  # noqa: E501 - the server's sentence
        raise errors.ApiError(422, "Invalid", message)
    if (wanted.get("apiVersion"), wanted.get("kind")) != (kind.api_version, kind.kind):
        raise errors.bad_request("invalid object type: apiVersion and kind are required for apply")
    return patches.apply(old, wanted, manager, metadata.timestamp(time.time()))
