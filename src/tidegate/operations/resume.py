"""resume: what a dead run left is finished, from the journal and the cluster alone."""

import time
from typing import TYPE_CHECKING

from tidegate.core.journal import Journal, Phase
from tidegate.core.takeover import is_fast_staging, resume_refusal
from tidegate.documents import Result
from tidegate.errors import ConflictError
from tidegate.operations.fast_track import answering
from tidegate.operations.recorded import deployment_of, ended_as, policy_of
from tidegate.operations.rollback import gone_on
from tidegate.operations.seizing import PATIENCE_S, holder_name, seized
from tidegate.steps.ending import give_back
from tidegate.steps.promote import JUDGE_EVERY_S, Aliases, Judge, move_alias, promoted
from tidegate.steps.traffic_driver import GRACE_S, POLL_S, Driver

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes
    from tidegate.adapters.release_lock import StoredJournal


def resumed(
    kube: "Kubernetes",
    stored: "StoredJournal",
    *,
    who: str,
    judge: Judge,
    aliases: Aliases,
    poll_s: float = POLL_S,
    judge_every_s: float = JUDGE_EVERY_S,
    patience_s: float = PATIENCE_S,
) -> Journal:
    """The journal, ended: a return is finished, a promotion goes on from its last confirmed step, a roll-back
    to an earlier version from where it was staged, and one that died before it moved the alias moves it.

    The candidate must be as it was staged: template, revision and readiness are judged at every look as
    in promote, and so is live traffic. Raises ConflictError for what cannot be gone on with.
    """
    if stored.journal.is_over:
        return _alias_moved(kube, stored, aliases, poll_s)
    if refusal := resume_refusal(stored.journal, time.time()):
        raise ConflictError(refusal)
    taken = seized(
        kube, stored, holder=holder_name("resume"), poll_s=poll_s, patience_s=patience_s,
        hand=f"resumed by {who}", deadline_s=time.time() + _within_s(stored.journal),
    )  # fmt: skip
    if taken.journal.is_over:
        return taken.journal
    if taken.journal.phase is Phase.RETURNING:
        return _returned(kube, taken, poll_s)
    if is_fast_staging(taken.journal):
        return gone_on(kube, taken, aliases=aliases, poll_s=poll_s, judge_every_s=judge_every_s)
    return _promoted(kube, taken, judge, aliases, poll_s, judge_every_s)


def _alias_moved(
    kube: "Kubernetes", stored: "StoredJournal", aliases: Aliases, poll_s: float
) -> Journal:
    """A promotion that ended and died before it moved the alias: that is all that is left of it."""
    if not stored.journal.is_alias_left:
        return stored.journal
    driver = Driver(kube, stored, step="resume", poll_s=poll_s)
    move_alias(driver, policy_of(stored.journal), aliases)
    return driver.journal


def _within_s(journal: Journal) -> float:
    if journal.phase is Phase.RETURNING:
        return journal.return_within_s + 60
    policy = policy_of(journal)
    starting = policy.serving.ready_timeout_s if is_fast_staging(journal) else 0.0
    return starting + policy.traffic.step_timeout_s + GRACE_S


def _returned(kube: "Kubernetes", stored: "StoredJournal", poll_s: float) -> Journal:
    journal = stored.journal
    driver = Driver(kube, stored, step="resume", poll_s=poll_s)
    give_back(driver, journal.reason, result=journal.outcome or Result.ROLLED_BACK)
    return driver.journal


def _promoted(
    kube: "Kubernetes",
    stored: "StoredJournal",
    judge: Judge,
    aliases: Aliases,
    poll_s: float,
    judge_every_s: float,
) -> Journal:
    journal = stored.journal
    judge = answering if journal.fast_track else judge
    outcome = promoted(
        kube, deployment_of(journal), policy_of(journal), judge=judge, aliases=aliases,
        poll_s=poll_s, judge_every_s=judge_every_s,
    )  # fmt: skip
    return ended_as(kube, journal, outcome)
