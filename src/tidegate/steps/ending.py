"""How a release ends: traffic given back, journal closed, outcome told. For every step that can end one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.core.decisions import Done, Refuse, Wait
from tidegate.core.journal import Journal, Phase
from tidegate.core.readiness import is_safe
from tidegate.core.traffic import rules_of
from tidegate.documents import Outcome, Result, Subject
from tidegate.errors import ConflictError, RollbackFailedError
from tidegate.steps.traffic_driver import Driver

if TYPE_CHECKING:
    from tidegate.core.readiness import Observation


@dataclass(frozen=True)
class Ended:
    """How the release ended, in the step's outputs."""

    outcome: str
    reason: str


def give_back(driver: Driver, why: str, *, result: Result = Result.ROLLED_BACK) -> str:
    """Return production to what served before and close the journal; says how it stands.

    Nothing to do for a journal that has ended. Raises RollbackFailedError with the manual command when
    the incumbent cannot be seen to serve everything, and ConflictError when somebody else has taken over.
    """
    if driver.journal.is_over:
        return driver.journal.reason
    within = driver.journal.return_within_s
    driver.enter(Phase.RETURNING, within + 60, reason=why)
    driver.say(f"returning traffic: {why}")
    decide = rules_of(driver.journal).next_for_return
    closed = driver.drive(decide, within_s=within, heed_signals=False)
    if isinstance(closed, Done):
        reason = f"{why}; {closed.what}"
        driver.end(result, reason)
        return reason
    return _not_repaired(driver, why, closed, result)


def _not_repaired(driver: Driver, why: str, closed: Refuse | Wait, result: Result) -> str:
    """Traffic may be safe all the same; that and the spec are two things."""
    seen, journal = driver.service.look(), driver.journal
    trouble = closed.reason if isinstance(closed, Refuse) else f"still waiting for {closed.what}"
    if isinstance(closed, Refuse) and closed.foreign:
        reason = f"{why}; {trouble}; production now: {_shown(seen)}"
        driver.end(result, reason)
        raise ConflictError(f"{reason}; decide who owns {journal.namespace}/{journal.name}")
    if seen and journal.incumbent and is_safe(seen, journal.incumbent.revision):
        safe = f"traffic is safe on {journal.incumbent.revision}"
        reason = f"{why}; {safe}, but the spec is not repaired: {trouble}"
        driver.end(result, reason)
        return reason
    raise RollbackFailedError(
        f"{journal.namespace}/{journal.name} could not be returned ({trouble}; production now: "
        f"{_shown(seen)}); run: {journal.manual_command}"
    )


def _shown(seen: "Observation | None") -> str:
    if seen is None:
        return "no such InferenceService"
    return ", ".join(f"{name} {percent} %" for name, percent in seen.traffic.items()) or "nothing"


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
