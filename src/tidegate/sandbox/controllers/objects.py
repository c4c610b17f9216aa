"""How a reconciler writes an object that it owns: created when absent, its wanted parts replaced."""

from dataclasses import dataclass, field

from tidegate.sandbox.api.kinds import Json, Kind
from tidegate.sandbox.api.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The parts of an object that its controller decides."""

    kind: Kind
    namespace: str
    name: str
    owner: Json  # the owning object
    spec: Json
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)


def ensure(store: Store, wanted: Wanted) -> Json:
    """Create or update; writing what is already there is no change to the store."""
    meta = {"labels": wanted.labels, "annotations": wanted.annotations}
    if store.find(wanted.kind, wanted.namespace, wanted.name) is None:
        born = meta | {"name": wanted.name, "ownerReferences": [reference(wanted.owner)]}
        return store.create(wanted.kind, {"metadata": born, "spec": wanted.spec}, wanted.namespace)

    def change(item: Json) -> Json:
        return item | {"metadata": item["metadata"] | meta, "spec": wanted.spec}

    return store.edit(wanted.kind, wanted.namespace, wanted.name, change)


def reference(owner: Json) -> Json:
    """An ownerReference: deleting the owner deletes what carries it."""
    return {
        "apiVersion": owner["apiVersion"], "kind": owner["kind"],
        "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
        "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip


def address(item: Json) -> tuple[str, str]:
    """(namespace, name)."""
    return item["metadata"]["namespace"], item["metadata"]["name"]
