"""Whether what a release publishes could be written, and what its runs hand on could be kept."""

from collections.abc import Iterator
from functools import partial

from tidegate.adapters import checkup as reading
from tidegate.adapters.storage import probing, stores
from tidegate.config import settings
from tidegate.core import checkup as judged
from tidegate.core.checkup import Check
from tidegate.core.checkup_storage import claim
from tidegate.errors import RejectedError
from tidegate.operations.doctor.findings import made, unset
from tidegate.operations.doctor.wanted import Wanted


def storage(cluster: reading.Cluster, wanted: Wanted) -> Iterator[Check]:
    """The storage of published models, and the claims that are named."""
    uri = settings().storage_uri
    yield from made("storage", partial(_published, uri))
    if uri.startswith("pvc://"):
        yield from _claim(cluster, uri.split("/")[2], wanted.namespace)
    if wanted.claim:
        yield from _claim(cluster, wanted.claim, wanted.runs_in or wanted.namespace)


def _claim(cluster: reading.Cluster, name: str, namespace: str) -> Iterator[Check]:
    yield from made(f"claim {name}", lambda: claim(name, cluster.claim(name, namespace)))


def _published(uri: str) -> Check:
    """By writing an object there, reading it back and removing it."""
    if not uri:
        return unset("storage", "storage_uri")
    try:
        probing.tried(stores.named(uri))
    except RejectedError as error:  # what publish would meet, too
        said, _, remedy = str(error).partition("; ")
        return judged.fail("storage", said, remedy)
    return judged.ok("storage", f"{uri} can be listed, written, read and cleaned from here")
