"""sweep: returns the traffic of releases that are past their deadline, whatever became of their run."""

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tidegate.core.claim import is_dead
from tidegate.core.dedicated_baseline import is_forgotten
from tidegate.documents import Result
from tidegate.errors import RejectedError, RollbackFailedError, TidegateError
from tidegate.steps.dedicated_baseline import retired
from tidegate.steps.ending import give_back, repair
from tidegate.steps.progress import say
from tidegate.steps.registry import step
from tidegate.steps.traffic_driver import POLL_S, Driver

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes
    from tidegate.adapters.release_lock import StoredJournal


@dataclass(frozen=True)
class Swept:
    """How many releases were ended, and how many specs repaired."""

    returned: int
    repaired: int


@step(
    takes_refusal=True, touches="writes the InferenceServices, Leases and journals of dead releases"
)
def sweep(namespace: str = "") -> Swept:
    """End every release that is past its deadline, and repair what a roll-back had no room for.

    Run it every few minutes, as a CronJob or by hand; --namespace '' is every namespace. One that fails
    stops no other. stdout: how many were ended. Exit 6 when production of one could not be returned;
    otherwise the class of the first failure, and 0 when there was none.
    """
    from tidegate.adapters.kubernetes import connect

    with connect(say=partial(say, "sweep")) as kube:
        return swept(kube, namespace, now_s=time.time())


def swept(kube: "Kubernetes", namespace: str, *, now_s: float, poll_s: float = POLL_S) -> Swept:
    """One after another; one that fails does not stop the others. Raises the worst failure at the end."""
    from tidegate.adapters.release_lock import list_journals

    failures: list[TidegateError] = []
    stored = list_journals(kube, namespace, unreadable=failures.append)
    dead = [s for s in stored if is_dead(s.journal, now_s)]
    broken = [s for s in stored if s.journal.is_over and s.journal.spec_repaired is False]
    forgotten = [s for s in stored if is_forgotten(s.journal, now_s) and s not in broken]
    say("sweep", f"{len(dead)} of {len(stored)} releases are past their deadline")
    failures += [failure for one in dead if (failure := _ended(kube, one, poll_s))]
    repaired = sum(_repaired(kube, one, poll_s) for one in broken)
    failures += [failure for one in forgotten if (failure := _retired(kube, one, poll_s))]
    if failures:
        raise _together(failures)
    return Swept(returned=len(dead), repaired=repaired)


def _together(failures: list[TidegateError]) -> TidegateError:
    """One error that says them all: of the class of an alarm if there is one, else of the first."""
    alarms = [one for one in failures if isinstance(one, RollbackFailedError)]
    worst = (alarms or failures)[0]
    return type(worst)("; ".join(map(str, failures)))


def _ended(kube: "Kubernetes", stored: "StoredJournal", poll_s: float) -> TidegateError | None:
    """End one; or why not."""
    driver = _driver(kube, stored, poll_s)
    why = f"past its deadline while {stored.journal.phase}"
    try:
        give_back(driver, why, result=Result.DIED)
    except TidegateError as error:
        say("sweep", str(error))
        return error
    return None


def _repaired(kube: "Kubernetes", stored: "StoredJournal", poll_s: float) -> bool:
    """Traffic is safe, so a repair that fails again is no alarm."""
    driver = _driver(kube, stored, poll_s)
    try:
        driver.say(repair(driver))
    except TidegateError as error:
        driver.say(str(error))
    return driver.journal.spec_repaired is True


def _retired(kube: "Kubernetes", stored: "StoredJournal", poll_s: float) -> TidegateError | None:
    """A dedicated baseline of a release that has ended serves nobody and costs its pods: it is told."""
    driver = _driver(kube, stored, poll_s)
    try:
        left = retired(driver)
    except TidegateError as error:
        return error
    return RejectedError(left) if left else None


def _driver(kube: "Kubernetes", stored: "StoredJournal", poll_s: float) -> Driver:
    """Its own holder name: it takes the Lease only once that has expired."""
    holder = f"sweep/{stored.journal.release_id}"
    return Driver(kube, stored, step="sweep", holder=holder, poll_s=poll_s)
