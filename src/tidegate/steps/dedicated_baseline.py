"""Carries out what `core.dedicated_baseline` decides: the copy comes up for the load test, and goes again.

A copy that does not go keeps nobody from anything: it is tried again at the end of the release, by guard, by
sweep and by the next release, and every one of them says so.
"""

from functools import partial
from typing import TYPE_CHECKING

from tidegate.core.decisions import Decision, Done, Refuse, Wait
from tidegate.core.dedicated_baseline import (
    left_behind,
    next_for_baseline,
    next_for_retirement,
)
from tidegate.core.journal import Journal, Phase
from tidegate.core.observation import own_host
from tidegate.documents import DedicatedBaseline, Word
from tidegate.errors import RejectedError, UnavailableError
from tidegate.policy import Policy
from tidegate.steps.traffic_driver import GRACE_S, Driver

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes
    from tidegate.adapters.release_lock import StoredJournal
    from tidegate.core.observation import Observation

RETIRE_S = 30.0  # for one removal at a time; who comes later tries again


# -- there


def brought_up(driver: Driver, within_s: float) -> Refuse | None:
    """Every copy that the journal names is up and answers; or why the comparison cannot be had.

    That is INVALID whatever the reason, for it says nothing of the candidate.
    """
    for copy in driver.journal.copies_left:
        with driver.facing(copy.name):
            if refusal := _up(driver, copy.name, within_s):
                return refusal
    return None


def _up(driver: Driver, name: str, within_s: float) -> Refuse | None:
    driver.known_warnings = frozenset(driver.service.warnings())
    closed = driver.drive(partial(_arriving, name=name), within_s=within_s)
    if isinstance(closed, Refuse):
        reason = f"the dedicated baseline does not come up: {closed.reason}"
        return Refuse(word=Word.INVALID, reason=reason, foreign=closed.foreign)
    if isinstance(closed, Wait):
        waited = f"{name} is not ready after {within_s:g} s, still waiting for {closed.what}"
        reason = f"the dedicated baseline does not come up: {waited}"
        return Refuse(word=Word.INVALID, reason=reason)
    driver.save(driver.journal.with_copy(name, uid=_seen(driver, name).uid))
    return None


def _arriving(
    seen: "Observation | None", journal: Journal, waited_s: float, *, name: str
) -> Decision:
    return next_for_baseline(seen, journal.copy_named(name), journal, waited_s)


def _seen(driver: Driver, name: str) -> "Observation":
    seen = driver.service.look()
    if seen is None:
        raise UnavailableError(f"{name} vanished as it came up; run guard")
    return seen


def measured(driver: Driver) -> tuple[tuple[DedicatedBaseline, ...], dict[str, int]]:
    """The copies as a load test finds them, and the pods of each revision."""
    found: list[DedicatedBaseline] = []
    pods: dict[str, int] = {}
    for copy in driver.journal.copies_left:
        with driver.facing(copy.name):
            seen = _seen(driver, copy.name)
        host = own_host(seen)
        found.append(DedicatedBaseline(name=copy.name, revision=seen.created, host=host))
        pods |= seen.pods
    return tuple(found), pods


# -- away


def made_room(driver: Driver, policy: Policy) -> None:
    """The gate has spoken: what it compared with is not needed any more, and production wants the room."""
    if driver.journal.copies_left:
        driver.enter(Phase.PROMOTING, policy.traffic.step_timeout_s + GRACE_S)
        retired(driver)


def retired(driver: Driver) -> str:
    """Remove every copy that may be there; what is left in words, and '' when nothing is.

    Raises ConflictError when somebody else has taken the release over: it is theirs to remove.
    """
    for copy in driver.journal.copies_left:
        try:
            _retire(driver, copy.name)
        except (RejectedError, UnavailableError) as error:
            driver.say(f"{copy.name} could not be removed: {error}")
    return left_behind(driver.journal)


def _retire(driver: Driver, name: str) -> None:
    """Remove one, and note it as what was seen; a race for the journal that nobody won is run again."""

    def leaving(seen: "Observation | None", journal: Journal, waited_s: float) -> Decision:
        decided = next_for_retirement(seen, journal.copy_named(name), waited_s)
        if isinstance(decided, Done):
            driver.save(driver.journal.with_copy(name, is_removed=True))
        return decided

    with driver.facing(name):
        closed = driver.drive(leaving, within_s=RETIRE_S, returning=True)
    if not isinstance(closed, Done):
        trouble = closed.reason if isinstance(closed, Refuse) else f"waiting for {closed.what}"
        driver.say(f"{name} could not be removed: {trouble}")


def cleared(
    kube: "Kubernetes", stored: "StoredJournal", *, step: str, holder: str, poll_s: float
) -> "StoredJournal | Refuse":
    """The journal of a release that has ended, once nothing of it is left; or what does not go.

    A new release writes its own journal over it, and then nobody would know any more.
    """
    if not stored.journal.copies_left:
        return stored
    driver = Driver(kube, stored, step=step, holder=holder, poll_s=poll_s)
    if left := retired(driver):
        before = f"of release {driver.journal.release_id}"
        return Refuse(word=Word.INVALID, reason=f"{before}, {left}")
    return driver.stored
