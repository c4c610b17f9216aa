"""Taking a release from its run: by compare-and-swap of the journal, between two acts, never within one."""

import time
import uuid
from typing import TYPE_CHECKING

from tidegate.errors import ConflictError, UnavailableError, UsageError
from tidegate.steps.progress import say

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes
    from tidegate.adapters.release_lock import StoredJournal

PATIENCE_S = 90.0  # a Lease whose holder died has expired by then; a live act is over long before


def holder_name(verb: str) -> str:
    """A Lease holder that no other process is."""
    return f"{verb}/{uuid.uuid4().hex[:8]}"


def seized(
    kube: "Kubernetes",
    stored: "StoredJournal",
    *,
    holder: str,
    poll_s: float,
    patience_s: float = PATIENCE_S,
    **changes: object,
) -> "StoredJournal":
    """The journal with these changes written; or as it is, when its release has ended meanwhile.

    A run that is in the middle of an act holds the Lease, which is waited for and never stolen. Its next
    look finds the journal changed and stops it. Raises UnavailableError when the wait was in vain.
    """
    started, said = time.monotonic(), ""
    while True:
        try:
            return _swapped(kube, stored, holder, changes)
        except ConflictError as error:
            if time.monotonic() - started > patience_s:
                raise UnavailableError(f"{error} (for {patience_s:g} s now); try again") from error
            if str(error) != said:
                said = str(error)
                say(holder.partition("/")[0], f"waiting: {error}")
        time.sleep(poll_s)


def _swapped(
    kube: "Kubernetes", stored: "StoredJournal", holder: str, changes: dict[str, object]
) -> "StoredJournal":
    from tidegate.adapters.release_lock import Lease, load_journal, save_journal

    before = stored.journal
    with Lease(kube, before.namespace, before.name, holder).held():
        now = load_journal(kube, before.namespace, before.name)
        if now is None or now.journal.release_id != before.release_id:
            held = f"release {now.journal.release_id}" if now else "nobody"
            raise UsageError(
                f"{before.namespace}/{before.name} is held by {held} now; look at tidegate status"
            )
        if now.journal.is_over:
            return now
        return save_journal(kube, now.journal.model_copy(update=changes), now)
