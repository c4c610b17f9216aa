"""The Lease that is held around an act, and the journal ConfigMap beside it; both by compare-and-swap."""

import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from tidegate.adapters.files import first_error
from tidegate.adapters.kubernetes import Kubernetes
from tidegate.adapters.release_history import remembering
from tidegate.core.journal import Journal
from tidegate.core.manifest import RELEASE_ID
from tidegate.errors import (
    ConflictError,
    DocumentError,
    RejectedError,
    TidegateError,
    UsageError,
)

log = logging.getLogger("tidegate")

Json = dict[str, Any]

LEASE_S = 60  # an act is one write; its holder is dead long before
SKEW_S = 10  # clocks of the holder and of ours may differ by this
MANAGED_BY = ("app.kubernetes.io/managed-by", "tidegate")
KEY = "journal.json"
RACES = 3  # lost to somebody who left the journal itself alone


def label_of(release_id: str) -> str:
    """The release id as a label value. Raises UsageError when it is none."""
    if not re.fullmatch(r"[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?", release_id):
        raise UsageError(
            f"release_id {release_id!r} is no label value; use at most 63 letters, digits and - _ ."
        )
    return release_id


# -- lease


class Lease:
    """The lock of one InferenceService."""

    def __init__(self, kube: Kubernetes, namespace: str, name: str, holder: str) -> None:
        self._kube, self._holder, self._name = kube, holder, f"tidegate-{name}"
        self._namespace = namespace
        self._all = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._one = f"{self._all}/{self._name}"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it for one act, whose calls end before it can be taken over."""
        began = time.monotonic()
        self.acquire()
        try:
            with self._kube.until(began + LEASE_S):
                yield
        finally:
            self.release()

    def acquire(self) -> None:
        """Take or renew it. Raises ConflictError naming the holder while somebody else's is alive."""
        found = self._kube.find(self._one)
        if found is None:
            self._kube.request("POST", self._all, self._wanted(None))
            return
        other = found.get("spec", {}).get("holderIdentity") or ""
        if other not in {"", self._holder} and not _expired(found):
            raise ConflictError(
                f"{self._namespace}/{self._name} is held by release {other}; wait until its act is over"
            )
        self._kube.request("PUT", self._one, self._wanted(found))

    def holder(self) -> str:
        """Who is in the middle of an act; '' = nobody."""
        found = self._kube.find(self._one)
        if found is None or _expired(found):
            return ""
        return str(found.get("spec", {}).get("holderIdentity") or "")

    def release(self) -> None:
        """Give it back if it is still ours. Never fails: the act is done, and a lease expires."""
        try:
            try:
                self._give_back()
            except ConflictError:  # somebody wrote in between, a label perhaps
                self._give_back()
        except TidegateError as error:
            log.warning("lease %s/%s was not given back: %s", self._namespace, self._name, error)

    def _give_back(self) -> None:
        found = self._kube.find(self._one)
        if found and found.get("spec", {}).get("holderIdentity") == self._holder:
            free = {**found["spec"], "holderIdentity": ""}
            self._kube.request("PUT", self._one, {**found, "spec": free})

    def _wanted(self, found: Json | None) -> Json:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": self._holder, "leaseDurationSeconds": LEASE_S, "renewTime": now}
        if found is not None:
            return {**found, "spec": {**found.get("spec", {}), **spec}}
        metadata = {"name": self._name, "namespace": self._namespace, "labels": dict([MANAGED_BY])}
        kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        return {**kind, "metadata": metadata, "spec": {**spec, "acquireTime": now}}


def _expired(lease: Json) -> bool:
    spec = lease.get("spec", {})
    try:
        renewed = datetime.fromisoformat(spec["renewTime"])
    except (KeyError, TypeError, ValueError):
        return True  # never renewed: nobody holds it
    age = (datetime.now(UTC) - renewed).total_seconds()
    return age > float(spec.get("leaseDurationSeconds") or LEASE_S) + SKEW_S


# -- journal


@dataclass(frozen=True, slots=True)
class StoredJournal:
    """A journal and the ConfigMap it came from, whose version the next write must match."""

    journal: Journal
    config_map: Json


def load_journal(kube: Kubernetes, namespace: str, name: str) -> StoredJournal | None:
    """The journal of an InferenceService; None when there never was one. Raises DocumentError."""
    found = kube.find(f"{_journals(namespace)}/tidegate-{name}")
    return _parsed(found) if found else None


def reload_journal(kube: Kubernetes, stored: StoredJournal) -> StoredJournal | None:
    """The journal as it is now; an answer that is older than what we hold is asked for again."""
    journal, since = stored.journal, stored.config_map["metadata"].get("resourceVersion", "")
    found = kube.find(f"{_journals(journal.namespace)}/tidegate-{journal.name}", since=str(since))
    return _parsed(found) if found else None


def list_journals(
    kube: Kubernetes,
    namespace: str = "",
    *,
    release_id: str = "",
    unreadable: Callable[[DocumentError], None] | None = None,
) -> list[StoredJournal]:
    """Every journal, or those of one release; '' = every namespace.

    A journal that cannot be read raises DocumentError, or is handed to `unreadable` and left out.
    """
    selector = "=".join(MANAGED_BY)
    if release_id:
        selector += f",{RELEASE_ID}={label_of(release_id)}"
    path = _journals(namespace) if namespace else "/api/v1/configmaps"
    items = kube.request("GET", path, query={"labelSelector": selector})["items"]
    found = []
    for item in (item for item in items if KEY in (item.get("data") or {})):
        try:
            found.append(_parsed(item))
        except DocumentError as error:
            if unreadable is None:
                raise
            unreadable(error)
    return found


def save_journal(kube: Kubernetes, journal: Journal, stored: StoredJournal | None) -> StoredJournal:
    """Write it over what was read. Raises ConflictError when somebody else wrote in between.

    A refusal alone does not say that: the answer of our own write may have been lost, and a controller
    that only labels the ConfigMap changes its version too. So what is there now decides.
    """
    for _ in range(RACES):
        try:
            return StoredJournal(journal, _put(kube, journal, stored))
        except ConflictError:
            now = load_journal(kube, journal.namespace, journal.name)
            if now is not None and now.journal == journal:
                return now
            if (now and now.journal) != (stored and stored.journal):
                raise
            stored = now
    return StoredJournal(journal, _put(kube, journal, stored))


def _put(kube: Kubernetes, journal: Journal, stored: StoredJournal | None) -> Json:
    """Whoever deleted the ConfigMap has not taken the release over: without it nobody would own its share."""
    everything = _journals(journal.namespace)
    wanted = _config_map(journal, stored.config_map if stored else None)
    if stored is not None:
        one = f"{everything}/tidegate-{journal.name}"
        try:
            return kube.request("PUT", one, wanted)
        except RejectedError:
            if kube.find(one) is not None:
                raise
            wanted = _config_map(journal, None, stored.config_map)  # the one of before is gone
    return kube.request("POST", everything, wanted)


def _journals(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def _config_map(journal: Journal, over: Json | None, known: Json | None = None) -> Json:
    """Over an object that is there, whatever else it holds; `known` lends a new one its data."""
    name = {"name": f"tidegate-{journal.name}", "namespace": journal.namespace}
    metadata: Json = {**(over["metadata"] if over else {}), **name}
    ours = {**dict([MANAGED_BY]), RELEASE_ID: label_of(journal.release_id)}
    metadata["labels"] = {**(metadata.get("labels") or {}), **ours}
    before = (over or known or {}).get("data") or {}
    data = {**before, KEY: journal.model_dump_json(indent=1), **remembering(before, journal)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _parsed(config_map: Json) -> StoredJournal:
    metadata = config_map["metadata"]
    what = f"ConfigMap {metadata['namespace']}/{metadata['name']}"
    try:
        journal = Journal.model_validate_json((config_map.get("data") or {}).get(KEY, ""))
    except (ValidationError, json.JSONDecodeError) as error:
        if isinstance(error, ValidationError):
            raise first_error(error, what=what) from error
        raise DocumentError(f"{what} is no journal; delete it") from error
    return StoredJournal(journal, config_map)
