"""abort: a running release is ended from outside, and its traffic goes back to what served before."""

import time
from typing import TYPE_CHECKING

from tidegate.core.journal import Journal, Phase
from tidegate.documents import Result
from tidegate.errors import ConflictError, UnavailableError
from tidegate.operations.seizing import PATIENCE_S, holder_name, seized
from tidegate.steps.ending import give_back
from tidegate.steps.traffic_driver import POLL_S, Driver

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes
    from tidegate.adapters.release_lock import StoredJournal


def aborted(
    kube: "Kubernetes",
    stored: "StoredJournal",
    *,
    who: str,
    reason: str = "",
    poll_s: float = POLL_S,
    patience_s: float = PATIENCE_S,
) -> Journal:
    """The journal, ended. One that has ended before, however, is left as it is.

    Raises ConflictError when it was promoted meanwhile or somebody else changed the service,
    RollbackFailedError when traffic could not be made safe, UnavailableError while an act does not end.
    """
    hand = f"aborted by {who}" + (f": {reason}" if reason else "")
    holder, journal = holder_name("abort"), stored.journal
    if not journal.is_over:
        stored = seized(
            kube, stored, holder=holder, poll_s=poll_s, patience_s=patience_s,
            **_decided(journal, hand),
        )  # fmt: skip
    if not stored.journal.is_over:
        stored = _returned(kube, stored, holder, poll_s)
    return _told(stored.journal)


def _decided(journal: Journal, hand: str) -> dict[str, object]:
    """A return that nobody can talk out of it; whoever finishes it ends it as aborted."""
    return {
        "phase": Phase.RETURNING,
        "deadline_s": time.time() + journal.return_within_s + 60,
        "hand": hand,
        "reason": hand,
        "ends_as": journal.outcome or Result.ABORTED,
    }


def _returned(
    kube: "Kubernetes", stored: "StoredJournal", holder: str, poll_s: float
) -> "StoredJournal":
    driver = Driver(kube, stored, step="abort", holder=holder, poll_s=poll_s)
    try:
        give_back(driver, stored.journal.reason)
    except ConflictError:
        if driver.journal.is_over:  # a foreign edit, not a second hand
            raise
        return _followed(kube, driver, poll_s)
    return driver.stored


def _followed(kube: "Kubernetes", driver: Driver, poll_s: float) -> "StoredJournal":
    """The run's own guard, or a second abort, does the same; wait for it to end."""
    from tidegate.adapters.release_lock import load_journal

    journal = driver.journal
    while time.time() < journal.deadline_s:
        now = load_journal(kube, journal.namespace, journal.name)
        if now is None or now.journal.release_id != journal.release_id:
            break
        if now.journal.is_over:
            return now
        time.sleep(poll_s)
    raise UnavailableError(
        f"release {journal.release_id} is being returned by somebody else, and has not ended; "
        "look at tidegate status"
    )


def _told(journal: Journal) -> Journal:
    if journal.outcome is not Result.PROMOTED:
        return journal
    raise ConflictError(
        f"release {journal.release_id} was promoted before; run: tidegate rollback {journal.name} "
        f"--to previous --namespace {journal.namespace}"
    )
