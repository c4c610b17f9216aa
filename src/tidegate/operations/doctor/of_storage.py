"""Whether what a release publishes could be written, and what its runs hand on could be kept."""

import os
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

from tidegate.adapters import checkup as reading
from tidegate.adapters import storage as storages
from tidegate.config import settings
from tidegate.core import checkup as judged
from tidegate.core.checkup import Check
from tidegate.core.checkup_storage import claim, not_written
from tidegate.operations.doctor.findings import made, unset
from tidegate.operations.doctor.wanted import Wanted

PROBE = ".tidegate-doctor"


def storage(cluster: reading.Cluster, wanted: Wanted) -> Iterator[Check]:
    """The storage of published models, and the claims that are named."""
    uri = settings().storage_uri
    parts = urlsplit(uri)
    yield from made("storage", partial(_published, uri, parts.scheme))
    if parts.scheme == "pvc":
        yield from _claim(cluster, parts.netloc, wanted.namespace)
    if wanted.claim:
        yield from _claim(cluster, wanted.claim, wanted.runs_in or wanted.namespace)


def _claim(cluster: reading.Cluster, name: str, namespace: str) -> Iterator[Check]:
    yield from made(f"claim {name}", lambda: claim(name, cluster.claim(name, namespace)))


def _published(uri: str, scheme: str) -> Check:
    if not uri:
        return unset("storage", "storage_uri")
    if scheme in storages.NOT_BUILT:
        return not_written(scheme, uri)
    return _folder(uri)


def _folder(uri: str) -> Check:
    """By writing a file there, and removing it."""
    folder = storages.local_folder(uri)
    if not folder.is_dir():
        return judged.fail(
            "storage", f"{uri} is no folder here", "mount it, or correct TIDEGATE_STORAGE_URI"
        )
    probe = folder / f"{PROBE}-{os.getpid()}"
    try:
        probe.write_text("written by tidegate doctor\n", encoding="utf-8")
        probe.unlink()
    except OSError as error:
        return judged.fail(
            "storage", f"{uri} cannot be written ({error.strerror})", "allow this user to write"
        )
    return judged.ok("storage", f"{uri} can be written")
