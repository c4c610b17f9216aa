"""sweep: returns the traffic of releases that are past their deadline, whatever became of their run."""

import time
from collections.abc import Callable
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
    from tidegate.core.journal import Journal

Tell = Callable[["Journal", Exception | None], bool]
NOT_RETURNED, NOT_REPAIRED = "not returned", "not repaired"  # what the next run finds again


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
    stops no other. Webhook and MLflow are told of each once. stdout: how many were ended. Exit 6 when
    production of one could not be returned; otherwise the class of the first failure, and 0 when there
    was none.
    """
    from tidegate.adapters.kubernetes import connect
    from tidegate.steps.remembered import tell_of_sweep

    with connect(say=partial(say, "sweep")) as kube:
        return swept(kube, namespace, now_s=time.time(), tell=tell_of_sweep)


def _nobody(_journal: "Journal", _error: Exception | None) -> bool:
    return False


def swept(
    kube: "Kubernetes",
    namespace: str,
    *,
    now_s: float,
    poll_s: float = POLL_S,
    tell: Tell = _nobody,
) -> Swept:
    """One after another; one that fails does not stop the others. Raises the worst failure at the end.

    `tell` gets each finding once, and says whether it could be told.
    """
    from tidegate.adapters.release_lock import list_journals

    failures: list[TidegateError] = []
    stored = list_journals(kube, namespace, unreadable=failures.append)
    dead = [s for s in stored if is_dead(s.journal, now_s)]
    broken = [s for s in stored if s.journal.is_over and s.journal.spec_repaired is False]
    forgotten = [s for s in stored if is_forgotten(s.journal, now_s) and s not in broken]
    say("sweep", f"{len(dead)} of {len(stored)} releases are past their deadline")
    failures += [failure for one in dead if (failure := _ended(kube, one, poll_s, tell))]
    repaired = sum(_repaired(kube, one, poll_s, tell) for one in broken)
    failures += [failure for one in forgotten if (failure := _retired(kube, one, poll_s))]
    if failures:
        raise _together(failures)
    return Swept(returned=len(dead), repaired=repaired)


def _together(failures: list[TidegateError]) -> TidegateError:
    """One error that says them all: of the class of an alarm if there is one, else of the first."""
    alarms = [one for one in failures if isinstance(one, RollbackFailedError)]
    worst = (alarms or failures)[0]
    return type(worst)("; ".join(map(str, failures)))


def _ended(
    kube: "Kubernetes", stored: "StoredJournal", poll_s: float, tell: Tell
) -> TidegateError | None:
    """End one; or why not."""
    driver = _driver(kube, stored, poll_s)
    why = f"past its deadline while {stored.journal.phase}"
    try:
        give_back(driver, why, result=Result.DIED)
    except TidegateError as error:
        say("sweep", str(error))
        if driver.journal.is_over or isinstance(error, RollbackFailedError):
            _tell_once(driver, NOT_RETURNED, tell, error)
        return error
    tell(driver.journal, None)
    return None


def _repaired(kube: "Kubernetes", stored: "StoredJournal", poll_s: float, tell: Tell) -> bool:
    """Traffic is safe, so a repair that fails again is no alarm."""
    driver = _driver(kube, stored, poll_s)
    try:
        driver.say(repair(driver))
    except TidegateError as error:
        driver.say(str(error))
    if driver.journal.spec_repaired is True:
        tell(driver.journal, None)
        return True
    _tell_once(driver, NOT_REPAIRED, tell)
    return False


def _tell_once(driver: Driver, what: str, tell: Tell, error: Exception | None = None) -> None:
    """The next run finds the same again unless its journal says that it was told."""
    if what in driver.journal.told or not tell(driver.journal, error):
        return
    update = {"told": (*driver.journal.told, what)}
    try:
        driver.save(driver.journal.model_copy(update=update))
    except TidegateError as lost:
        say("sweep", f"warning: it may be told again: {lost}")


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
