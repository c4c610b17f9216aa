"""How a release ends: traffic given back, journal closed, outcome told. For every step that can end one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.core.decisions import Decision, Done, Refuse, Wait
from tidegate.core.dedicated_baseline import left_behind
from tidegate.core.journal import Journal, Phase
from tidegate.core.traffic import rules_of
from tidegate.documents import Outcome, Result, Subject
from tidegate.errors import ConflictError, RejectedError, RollbackFailedError, UnavailableError
from tidegate.steps.dedicated_baseline import retired
from tidegate.steps.first_release import is_kept, taken_back
from tidegate.steps.stopping import take_share_back
from tidegate.steps.traffic_driver import Driver

if TYPE_CHECKING:
    from tidegate.core.observation import Observation


@dataclass(frozen=True)
class Ended:
    """How the release ended, in the step's outputs."""

    outcome: str
    reason: str


def give_back(
    driver: Driver, why: str, *, result: Result = Result.ROLLED_BACK, is_urgent: bool = False
) -> str:
    """Return production to what served before and close the journal; says how it stands.

    Two outcomes, kept apart: traffic safe (all of it on what served before, which answers), at once; and
    spec repaired (the spec asks for what serves), when there is room for a third revision. Nothing to do
    for a journal that has ended. Raises RollbackFailedError with the manual command when traffic cannot be
    made safe, and ConflictError when somebody else has taken over.
    """
    if driver.journal.is_over:
        return driver.journal.reason
    if driver.journal.ends_as:  # decided before: this hand only finishes it
        result, why = driver.journal.ends_as, driver.journal.reason
    driver.say(f"returning traffic: {why}")
    closed = _returned(driver, reason=why, is_urgent=is_urgent or driver.journal.is_urgent)
    if left := left_behind(driver.journal):
        why = f"{why}; {left}"
    if isinstance(closed, Done):
        reason = f"{why}; {closed.what}"
        result = Result.PROMOTED if is_kept(driver) else result
        driver.end(result, reason, traffic_safe=True, spec_repaired=True)
        return reason
    return _not_repaired(driver, why, closed, result)


def repair(driver: Driver) -> str:
    """Try again to repair the spec of a release that has ended with its traffic safe; says how it stands."""
    ended = driver.journal
    assert ended.outcome is not None
    closed = _returned(driver, reason=ended.reason)
    repaired = isinstance(closed, Done)
    said = closed.reason if isinstance(closed, Refuse) else closed.what
    reason = f"{ended.reason}; tried again: {said}"
    driver.end(ended.outcome, reason, spec_repaired=repaired)
    return reason


def _returned(driver: Driver, **noted: object) -> Done | Refuse | Wait:
    """Drive the return; the moment at which traffic is safe is journalled, whatever comes of the repair."""
    within, rules = driver.journal.return_within_s, rules_of(driver.journal)
    try:
        driver.enter(Phase.RETURNING, within + 60, proofs=(), **noted)
    except (UnavailableError, RejectedError):  # what cannot be noted is done later, but for this
        driver.say(take_share_back(driver))
        raise
    if driver.journal.preview:
        return taken_back(driver, within)

    def decide(seen: "Observation | None", journal: Journal, waited_s: float) -> Decision:
        if not journal.traffic_safe and rules.is_traffic_safe(seen, journal):
            driver.save(journal.model_copy(update={"traffic_safe": True}))
            driver.say(f"traffic is safe: {_shown(seen)}")
        return rules.next_for_return(seen, driver.journal, waited_s)

    if not driver.journal.copies_left:
        return driver.drive(decide, within_s=within, returning=True)

    def until_safe(seen: "Observation | None", journal: Journal, waited_s: float) -> Decision:
        decided = decide(seen, journal, waited_s)
        return Done(what="traffic is safe") if driver.journal.traffic_safe else decided

    safe = driver.drive(until_safe, within_s=within, returning=True)
    retired(
        driver
    )  # after the traffic, for nobody waits for it; before the repair, which wants room
    if not isinstance(safe, Done):
        return safe
    return driver.drive(decide, within_s=within, returning=True)


def _not_repaired(driver: Driver, why: str, closed: Refuse | Wait, result: Result) -> str:
    """Traffic may be safe all the same; that and the spec are two things."""
    journal = driver.journal
    trouble = closed.reason if isinstance(closed, Refuse) else f"still waiting for {closed.what}"
    try:
        seen = driver.service.look()
    except UnavailableError as error:  # unknown is never safe
        raise _alarm(driver, trouble, None, "unknown") from error
    is_safe = rules_of(journal).is_traffic_safe(seen, journal)
    if isinstance(closed, Refuse) and closed.foreign:
        reason = f"{why}; {trouble}; production now: {_shown(seen)}"
        driver.end(result, reason, traffic_safe=is_safe)
        raise ConflictError(f"{reason}; decide who owns {journal.namespace}/{journal.name}")
    if is_safe:
        safe = f"traffic is safe on {_shown(seen)}"
        reason = f"{why}; {safe}, but the spec is not repaired: {trouble}; sweep tries it again"
        driver.end(result, reason, traffic_safe=True, spec_repaired=False)
        return reason
    raise _alarm(driver, trouble, seen, _shown(seen))


def _alarm(
    driver: Driver, trouble: str, seen: "Observation | None", shown: str
) -> RollbackFailedError:
    """Somebody has to act: told to the cluster, and to be raised."""
    journal = driver.journal
    alarm = RollbackFailedError(
        f"{journal.namespace}/{journal.name} could not be returned ({trouble}; production now: "
        f"{shown}); run: {rules_of(journal).manual_command(seen, journal)}"
    )
    driver.alarm(str(alarm))
    return alarm


def _shown(seen: "Observation | None") -> str:
    if seen is None:
        return "no such InferenceService"
    return ", ".join(f"{name} {percent} %" for name, percent in seen.traffic.items()) or "nothing"


def told(driver: Driver) -> Outcome:
    """The document of a release that has ended. A last look that fails changes nothing of how it ended; the
    document then does not say what serves."""
    journal = driver.journal
    try:
        seen = driver.service.look()
    except UnavailableError as error:
        driver.say(f"what serves now could not be read: {error}")
        seen = None
    return outcome_of(journal, seen, journal.outcome or Result.ROLLED_BACK, journal.reason)


def outcome_of(
    journal: Journal, seen: "Observation | None", result: Result, reason: str
) -> Outcome:
    """The document for how it ended and how production is served now."""
    return Outcome(
        subject=journal.subject,
        release_id=journal.release_id,
        result=result,
        reason=reason,
        traffic=seen.traffic if seen else {},
        traffic_safe=journal.traffic_safe,
        spec_repaired=journal.spec_repaired,
        steps=journal.steps,
    )


def untouched(subject: Subject, release_id: str, result: Result, reason: str) -> Outcome:
    """The document of a release that never reached the cluster."""
    return Outcome(subject=subject, release_id=release_id, result=result, reason=reason, traffic={})


@contextmanager
def telling_failure(path: Path, subject: Subject, release_id: str) -> Iterator[None]:
    """A roll-back that failed leaves its document too, before it ends the step with exit 6."""
    from tidegate.adapters.files import write

    try:
        yield
    except RollbackFailedError as error:
        write(path, untouched(subject, release_id, Result.ROLLBACK_FAILED, str(error)))
        raise
