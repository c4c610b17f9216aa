"""The objects, their versions and their history; one lock, shared by the API and the controllers.

Stored objects are never changed in place and copies go out, so a reader may keep what it was given.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tidegate.sandbox.api import errors, metadata
from tidegate.sandbox.api.copies import copied
from tidegate.sandbox.api.kinds import ALL, NAMESPACES, Json, Kind

HISTORY = 4096  # changes kept for watches; an older watch is told 410 and lists again
Admission = Callable[[Kind, Json, Json | None], Json]  # (kind, new, old) -> admitted, or raises
_Key = tuple[Kind, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One step of history; `old` or `new` is None at creation and deletion."""

    version: int
    kind: Kind
    namespace: str
    old: Json | None
    new: Json | None


def _as_is(_kind: Kind, item: Json, _old: Json | None) -> Json:
    return item


class Store:
    """Every object of the cluster, thread-safe."""

    def __init__(
        self, *, admit: Admission = _as_is, clock: Callable[[], float] = time.time,
        history: int = HISTORY,
    ) -> None:  # fmt: skip
        self._lock = threading.RLock()
        self._objects: dict[_Key, Json] = {}
        self._changes: deque[Change] = deque(maxlen=history)
        self._version = 0
        self._listeners: list[Callable[[Change], None]] = []
        self._admit, self._clock = admit, clock

    @property
    def version(self) -> int:
        """The newest resourceVersion."""
        return self._version

    # -- reading

    def find(self, kind: Kind, namespace: str, name: str) -> Json | None:
        """A copy of the object, or None."""
        with self._lock:
            return copied(self._objects.get(_key(kind, namespace, name)))

    def get(self, kind: Kind, namespace: str, name: str) -> Json:
        """A copy of the object; 404 when absent."""
        found = self.find(kind, namespace, name)
        if found is None:
            raise errors.not_found(kind, name)
        return found

    def items(self, kind: Kind, namespace: str = "") -> list[Json]:
        """Copies of all objects of a kind, in one namespace or in all of them."""
        return self.snapshot(kind, namespace)[0]

    def snapshot(self, kind: Kind, namespace: str = "") -> tuple[list[Json], int]:
        """The list and the version that a watch can go on from."""
        with self._lock:
            chosen = {
                key: item
                for key, item in self._objects.items()
                if key[0] is kind and namespace in {"", key[1]}
            }
            found = [copied(chosen[key]) for key in sorted(chosen, key=lambda key: key[1:])]
            return found, self._version

    def changes_since(self, version: int) -> tuple[list[Change], int]:
        """What happened after a version; 410 when that is no longer known."""
        with self._lock:
            oldest = self._changes[0].version if self._changes else self._version + 1
            if version < oldest - 1 and version < self._version:
                raise errors.gone(version, oldest)
            return [change for change in self._changes if change.version > version], self._version

    # -- writing

    def create(self, kind: Kind, item: Json, namespace: str = "", *, dry_run: bool = False) -> Json:
        """Add an object; 409 when its name is taken, 404 when its namespace does not exist."""
        with self._lock:
            admitted = self._admit(kind, item, None)
            made = metadata.for_create(kind, admitted, namespace, self._clock())
            key = _key(kind, namespace, made["metadata"]["name"])
            if kind.namespaced and (NAMESPACES, "", namespace) not in self._objects:
                raise errors.not_found(NAMESPACES, namespace)
            if key in self._objects:
                raise errors.already_exists(kind, key[2])
            made = self._commit(key, made, dry_run=dry_run)
            if not dry_run and self._is_orphan(made):
                self.delete(*key)
            return made

    def update(
        self, kind: Kind, item: Json, namespace: str, name: str, *, status: bool = False,
        dry_run: bool = False,
    ) -> Json:  # fmt: skip
        """Replace an object or its status; 409 when `item` carries another resourceVersion."""
        return self.edit(kind, namespace, name, lambda _: item, status=status, dry_run=dry_run)

    def edit(
        self, kind: Kind, namespace: str, name: str, change: Callable[[Json], Json], *,
        status: bool = False, dry_run: bool = False,
    ) -> Json:  # fmt: skip
        """Read, change and replace under the lock: what a patch does."""
        with self._lock:
            old = self.get(kind, namespace, name)
            wanted = change(copied(old))
            if not status:
                wanted = self._admit(kind, wanted, old)
            return self._commit(
                _key(kind, namespace, name),
                metadata.for_update(kind, wanted, old, status=status),
                dry_run=dry_run,
            )

    def write_status(self, kind: Kind, namespace: str, name: str, status: Json) -> None:
        """Set the whole status, whatever the version; for the one controller that owns it."""
        with self._lock:
            if (kind, namespace, name) in self._objects:
                self.edit(
                    kind, namespace, name, lambda item: item | {"status": status}, status=True
                )

    def delete(
        self, kind: Kind, namespace: str, name: str, *, uid: str = "", version: str = "",
        cascade: bool = True, dry_run: bool = False,
    ) -> Json:  # fmt: skip
        """Remove an object and, unless told otherwise, what it owns; 409 on a failed precondition."""
        with self._lock:
            old = self.get(kind, namespace, name)
            _check_preconditions(kind, old, uid=uid, version=version)
            if dry_run:
                return old
            if old["metadata"].get("finalizers"):
                return self._mark_deleted(kind, old)
            return self._remove(_key(kind, namespace, name), cascade=cascade)

    # -- change feed

    def subscribe(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call `listener` after each change, under the lock: it must only wake somebody."""
        with self._lock:
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self._lock:
                self._listeners.remove(listener)

        return unsubscribe

    # -- inside the lock

    def _commit(self, key: _Key, item: Json, *, dry_run: bool) -> Json:
        old = self._objects.get(key)
        version = self._version + 1
        if old is not None:
            item["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
            if item == old:
                return copied(old)  # as the real server: no change, no new version
        item["metadata"] = item["metadata"] | {"resourceVersion": str(version)}
        if dry_run:
            return item
        if item["metadata"].get("deletionTimestamp") and not item["metadata"].get("finalizers"):
            return self._remove(key, cascade=True)
        self._objects[key] = item
        self._announce(key, old, item)
        return copied(item)

    def _mark_deleted(self, kind: Kind, old: Json) -> Json:
        stamp = metadata.timestamp(self._clock())
        marked = old | {"metadata": {"deletionTimestamp": stamp} | old["metadata"]}
        key = _key(kind, old["metadata"].get("namespace", ""), old["metadata"]["name"])
        return self._commit(key, marked, dry_run=False)

    def _remove(self, key: _Key, *, cascade: bool) -> Json:
        old = self._objects.pop(key)
        # The last version of a deleted object is the version of its deletion.
        gone = old | {"metadata": old["metadata"] | {"resourceVersion": str(self._version + 1)}}
        self._announce(key, gone, None)
        if cascade:
            for dependent in self._dependents(key, old["metadata"]["uid"]):
                if dependent in self._objects:
                    self._remove(dependent, cascade=True)
        return copied(gone)

    def _dependents(self, owner: _Key, uid: str) -> list[_Key]:
        """What dies with an object: what it owns; for a namespace, what is in it."""
        return [
            key
            for key, item in self._objects.items()
            if any(o.get("uid") == uid for o in item["metadata"].get("ownerReferences", []))
            or (owner[0] == NAMESPACES and key[1] == owner[2])
        ]

    def _is_orphan(self, item: Json) -> bool:
        """Made for owners who are all gone: a controller had read one before it was deleted.

        The garbage collector removes it; an owner of a kind that is not served counts as alive.
        """
        owners = item["metadata"].get("ownerReferences") or []
        living = {held["metadata"]["uid"] for held in self._objects.values()} if owners else set()
        return bool(owners) and all(
            _is_served(owner) and owner.get("uid") not in living for owner in owners
        )

    def _announce(self, key: _Key, old: Json | None, new: Json | None) -> None:
        self._version += 1
        change = Change(version=self._version, kind=key[0], namespace=key[1], old=old, new=new)
        self._changes.append(change)
        for listener in self._listeners:
            listener(change)


def _key(kind: Kind, namespace: str, name: str) -> _Key:
    return (kind, namespace if kind.namespaced else "", name)


def _is_served(owner: Json) -> bool:
    said = (owner.get("apiVersion"), owner.get("kind"))
    return any((kind.api_version, kind.kind) == said for kind in ALL)


def _check_preconditions(kind: Kind, old: Json, *, uid: str, version: str) -> None:
    meta = old["metadata"]
    for said, held, what in (
        (uid, meta["uid"], "UID"),
        (version, meta["resourceVersion"], "ResourceVersion"),
    ):
        if said and said != held:
            why = f"Precondition failed: {what} in precondition: {said}, {what} in object meta: {held}"
            raise errors.conflict(kind, meta["name"], why)
