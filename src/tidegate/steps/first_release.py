"""Carries out a first release by preview: what promote and whoever ends a release share of it."""

from tidegate.core.decisions import Done, Refuse, Wait
from tidegate.core.first_release import (
    is_proven,
    next_for_discard,
    next_for_judged,
    next_for_live,
    next_for_withdrawal,
)
from tidegate.core.journal import Phase
from tidegate.errors import UnavailableError
from tidegate.policy import Policy
from tidegate.steps.traffic_driver import GRACE_S, Driver

ALIAS_LEFT = "the registry alias was not moved, for the run died before that"


# -- forward


def went_live(driver: Driver, policy: Policy) -> Refuse | None:
    """Create the real InferenceService from a preview that has passed, and prove it; None: it serves.

    Nothing to do without a preview. Every part may run again after a death.
    """
    if not driver.journal.preview:
        return None
    ready, step = policy.serving.ready_timeout_s, policy.traffic.step_timeout_s
    driver.enter(Phase.PROMOTING, ready + 2 * step + GRACE_S)
    if not driver.journal.isvc_uid and (trouble := _still_judged(driver, step)):
        return trouble
    return _created(driver, ready)


def _still_judged(driver: Driver, within_s: float) -> Refuse | None:
    with driver.facing(driver.journal.preview):
        closed = driver.drive(
            lambda seen, journal, _: next_for_judged(seen, journal), within_s=within_s
        )
    return None if isinstance(closed, Done) else _refused(closed, within_s)


def _created(driver: Driver, within_s: float) -> Refuse | None:
    driver.known_warnings = frozenset(driver.service.warnings())
    closed = driver.drive(next_for_live, within_s=within_s)
    if not isinstance(closed, Done):
        return _refused(closed, within_s)
    seen = driver.service.look()
    if seen is None:
        raise UnavailableError(f"{driver.journal.name} vanished as it went live; run guard")
    changes = {"candidate_revision": seen.created, "isvc_uid": seen.uid}
    driver.save(driver.journal.model_copy(update=changes))
    return None


def _refused(closed: Refuse | Wait, within_s: float) -> Refuse:
    if isinstance(closed, Refuse):
        return closed
    reason = f"still waiting for {closed.what} after {within_s:g} s"
    return Refuse(word=closed.word, reason=reason)


def discarded(driver: Driver, policy: Policy) -> Refuse | None:
    """Remove the preview once the real one is proven. Raises UnavailableError when it does not go: guard
    then finishes that, and leaves the real one where it is."""
    if not driver.journal.preview:
        return None
    within = policy.traffic.step_timeout_s
    closed = _discarded(driver, within, returning=False)
    if not isinstance(closed, Done):
        refused = _refused(closed, within)
        raise UnavailableError(f"{driver.journal.name} is live, but {refused.reason}; run guard")
    return None


def _discarded(driver: Driver, within_s: float, *, returning: bool) -> Done | Refuse | Wait:
    with driver.facing(driver.journal.preview):
        return driver.drive(next_for_discard, within_s=within_s, returning=returning)


# -- back


def taken_back(driver: Driver, within_s: float) -> Done | Refuse | Wait:
    """Take back what this release created, the preview last; a service that was proven is kept."""
    real = driver.drive(next_for_withdrawal, within_s=within_s, returning=True)
    preview = _discarded(driver, within_s, returning=True)
    if not isinstance(real, Done):
        return real
    if not isinstance(preview, Done):
        return preview
    left = f"; {ALIAS_LEFT}" if is_kept(driver) else ""
    return Done(what=f"{real.what}; {preview.what}{left}")


def is_kept(driver: Driver) -> bool:
    """The first release was proven live before its run died, and is there still."""
    journal = driver.journal
    if not journal.preview or not is_proven(journal):
        return False
    there = driver.service.look()
    return there is not None and there.uid == journal.isvc_uid
