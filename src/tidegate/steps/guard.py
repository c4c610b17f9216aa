"""guard: whatever a release left half-way is undone; the exit handler of every run."""

import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING

from tidegate.core.dedicated_baseline import is_forgotten
from tidegate.core.takeover import resumed_by
from tidegate.documents import Result
from tidegate.errors import TidegateError
from tidegate.steps.dedicated_baseline import retired
from tidegate.steps.ending import Ended, give_back
from tidegate.steps.progress import say
from tidegate.steps.registry import OutPage, step
from tidegate.steps.traffic_driver import POLL_S, Driver

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes
    from tidegate.core.journal import Journal


@step(takes_refusal=True, touches="writes the InferenceService, the Lease and the journal")
def guard(release_id: str, page: OutPage, namespace: str = "") -> Ended:
    """Return the traffic of a release that died, and write its page from the journal."""
    from tidegate.adapters.files import write_text
    from tidegate.adapters.kubernetes import connect

    with connect(say=partial(say, "guard")) as kube:
        try:
            journal = guarded(kube, release_id, namespace)
        except TidegateError as error:
            with contextlib.suppress(TidegateError):  # what ended the guard is what must be told
                write_text(page, _page(_journal(kube, release_id, namespace), release_id, error))
            raise
    write_text(page, _page(journal, release_id))
    if journal is None:
        return Ended(outcome="", reason=f"release {release_id} left nothing in the cluster")
    if not journal.is_over:
        return Ended(outcome="", reason=f"release {release_id} was {journal.hand}")
    return Ended(outcome=(journal.outcome or Result.DIED).value, reason=journal.reason)


def _page(journal: "Journal | None", release_id: str, error: Exception | None = None) -> str:
    from tidegate.steps.remembered import nothing, tell

    return tell(journal, error) if journal else nothing(release_id)


def _journal(kube: "Kubernetes", release_id: str, namespace: str) -> "Journal | None":
    from tidegate.adapters.release_lock import list_journals

    found = list_journals(kube, namespace, release_id=release_id)
    return found[0].journal if found else None


def guarded(
    kube: "Kubernetes", release_id: str, namespace: str, *, poll_s: float = POLL_S
) -> "Journal | None":
    """The release's journal, ended or left to whoever resumed it; None when it never had one."""
    from tidegate.adapters.release_lock import list_journals

    found = list_journals(kube, namespace, release_id=release_id)
    if not found:  # a list may lag behind
        time.sleep(poll_s)
        found = list_journals(kube, namespace, release_id=release_id)
    if not found:
        say("guard", f"release {release_id} left nothing in the cluster")
        return None
    driver = Driver(kube, found[0], step="guard", poll_s=poll_s)
    if driver.journal.is_over:
        if is_forgotten(driver.journal, time.time()):
            retired(driver)
        say("guard", f"release {release_id} has ended: {driver.journal.outcome}")
        return driver.journal
    if hand := resumed_by(driver.journal, time.time()):
        say("guard", f"release {release_id} was {hand}, who goes on with it; nothing is returned")
        return driver.journal
    give_back(driver, f"the run died while {driver.journal.phase}", result=Result.DIED)
    return driver.journal
