"""sweep: returns the traffic of releases that are past their deadline, whatever became of their run."""

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tidegate.documents import Result
from tidegate.errors import RollbackFailedError, TidegateError
from tidegate.steps.ending import give_back
from tidegate.steps.progress import say
from tidegate.steps.registry import step
from tidegate.steps.traffic_driver import POLL_S, Driver

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes
    from tidegate.adapters.release_lock import StoredJournal


@dataclass(frozen=True)
class Swept:
    """How many releases were ended."""

    returned: int


@step(takes_refusal=True)
def sweep(namespace: str = "") -> Swept:
    """End every release that is past its deadline; run it periodically."""
    from tidegate.adapters.kubernetes import connect

    with connect(say=partial(say, "sweep")) as kube:
        return Swept(returned=swept(kube, namespace, now_s=time.time()))


def swept(kube: "Kubernetes", namespace: str, *, now_s: float, poll_s: float = POLL_S) -> int:
    """One after another; one that fails does not stop the others. Raises RollbackFailedError at the end."""
    from tidegate.adapters.release_lock import list_journals

    stored = list_journals(kube, namespace)
    dead = [s for s in stored if not s.journal.is_over and s.journal.deadline_s < now_s]
    say("sweep", f"{len(dead)} of {len(stored)} releases are past their deadline")
    failures = [failure for one in dead if (failure := _ended(kube, one, poll_s))]
    if failures:
        raise RollbackFailedError("; ".join(failures))
    return len(dead)


def _ended(kube: "Kubernetes", stored: "StoredJournal", poll_s: float) -> str:
    """End one; '' or why not. Its own holder name: it takes the Lease only once that has expired."""
    journal = stored.journal
    holder = f"sweep/{journal.release_id}"
    driver = Driver(kube, stored, step="sweep", holder=holder, poll_s=poll_s)
    why = f"past its deadline while {journal.phase}"
    try:
        give_back(driver, why, result=Result.DIED)
    except TidegateError as error:
        say("sweep", str(error))
        return str(error)
    return ""
