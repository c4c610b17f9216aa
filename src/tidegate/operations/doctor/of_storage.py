"""Whether what a release publishes could be written, and what its runs hand on could be kept."""

from collections.abc import Iterator
from functools import partial

from tidegate.adapters import checkup as reading
from tidegate.adapters.storage import probing, stores
from tidegate.config import settings
from tidegate.core import checkup as judged
from tidegate.core.checkup import Check
from tidegate.core.checkup_storage import claim, one_volume
from tidegate.errors import RejectedError
from tidegate.operations.doctor.findings import made, unset
from tidegate.operations.doctor.wanted import Wanted


def storage(cluster: reading.Cluster, wanted: Wanted) -> Iterator[Check]:
    """The storage of published models, and the claims that are named."""
    uri = settings().storage_uri
    yield from made("storage", partial(_published, uri))
    runs_in = wanted.runs_in or wanted.namespace
    if uri.startswith("pvc://"):
        yield from _of_models(cluster, uri.split("/")[2], wanted.namespace, runs_in)
    if wanted.claim:
        yield from _claim(cluster, f"claim {wanted.claim}", wanted.claim, runs_in)


def _of_models(
    cluster: reading.Cluster, name: str, namespace: str, runs_in: str
) -> Iterator[Check]:
    """One claim that publish writes to and predictors read, or one in either namespace."""
    if runs_in == namespace:
        yield from _claim(cluster, f"claim {name} of models", name, namespace)
        return
    yield from _claim(cluster, f"claim {name} of models in {runs_in}", name, runs_in)
    yield from _claim(
        cluster, f"claim {name} of models in {namespace}", name, namespace, reads_only=True
    )
    yield one_volume(name, namespace, runs_in)


def _claim(
    cluster: reading.Cluster, title: str, name: str, namespace: str, *, reads_only: bool = False
) -> Iterator[Check]:
    yield from made(
        title, lambda: claim(title, cluster.claim(name, namespace), reads_only=reads_only)
    )


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
