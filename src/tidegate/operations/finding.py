"""Which release a person means: the name of an InferenceService, or a release id."""

import getpass
import os
import socket
from typing import TYPE_CHECKING

from tidegate.errors import UsageError

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes
    from tidegate.adapters.release_lock import StoredJournal


def found(kube: "Kubernetes", name_or_id: str, namespace: str) -> "StoredJournal":
    """The one journal that is meant; namespace '' = look in all. Raises UsageError for none or several."""
    from tidegate.adapters.release_lock import list_journals

    everything = list_journals(kube, namespace, unreadable=lambda _: None)
    meant = [s for s in everything if name_or_id in {s.journal.name, s.journal.release_id}]
    if len(meant) == 1:
        return meant[0]
    where = f"namespace {namespace}" if namespace else "any namespace"
    if meant:
        places = ", ".join(f"{s.journal.namespace}/{s.journal.name}" for s in meant)
        raise UsageError(f"{name_or_id!r} is in several places ({places}); give --namespace")
    known = ", ".join(_shown(s) for s in everything) or "none"
    raise UsageError(f"no release {name_or_id!r} in {where}; known: {known}")


def _shown(stored: "StoredJournal") -> str:
    journal = stored.journal
    return f"{journal.namespace}/{journal.name} (release {journal.release_id})"


def operator() -> str:
    """Who types, for the journal: user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user has no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
