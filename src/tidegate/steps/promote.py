"""promote: production moves to the candidate by the policy's steps, and back at the first bad sign."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tidegate.core.bake import steps_left
from tidegate.core.decisions import Done, Refuse
from tidegate.core.journal import Journal, Phase
from tidegate.core.traffic import rules_of
from tidegate.core.warned import warnings_of, warnings_of_steps, with_warnings
from tidegate.documents import Deployment, Outcome, Result, Subject, Verdict, Word
from tidegate.errors import ConflictError, DocumentError, TidegateError
from tidegate.policy import Policy
from tidegate.steps.baking import bake, traffic_step
from tidegate.steps.dedicated_baseline import made_room, retired
from tidegate.steps.ending import Ended, give_back, telling_failure, told
from tidegate.steps.first_release import discarded, went_live
from tidegate.steps.keda_following import followed
from tidegate.steps.progress import say
from tidegate.steps.registry import InDocument, InPolicy, OutDocument, step
from tidegate.steps.stopping import finishing_acts, retreating
from tidegate.steps.traffic_driver import GRACE_S, POLL_S, Driver

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes
    from tidegate.steps.live_gate import LiveEvidence

JUDGE_EVERY_S = 1.0

Judge = Callable[..., "LiveEvidence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aliases:
    """The registry's aliases: which version one names, and its compare-and-swap."""

    names: Callable[[str, str], str]
    move: Callable[[str, str, str, str], None]


@step(touches="writes the InferenceService, the Lease and the journal; moves the MLflow alias")
def promote(
    verdict_document: InDocument,
    deployment: InDocument,
    policy_document: InPolicy,
    release_id: str,
    outcome_document: OutDocument,
    live_evidence: OutDocument,
) -> Ended:
    """Move production to the candidate step by step, judging each; ends promoted or rolled back."""
    from tidegate.adapters.evidence_file import versions, write_evidence
    from tidegate.adapters.files import read, read_policy, write
    from tidegate.adapters.kubernetes import connect
    from tidegate.core import replay
    from tidegate.steps.live_gate import judge_step
    from tidegate.steps.restart_watch import RestartWatch

    verdict = read(verdict_document, Verdict)
    staged = read(deployment, Deployment, about=verdict.subject)
    policy = read_policy(policy_document)
    _require(verdict, staged, release_id)
    told = telling_failure(outcome_document, verdict.subject, release_id)
    with told, connect(say=partial(say, "promote")) as kube, finishing_acts():
        judge = partial(judge_step, pods=RestartWatch(kube))
        outcome = promoted(
            kube, staged, policy, judge=judge, aliases=mlflow_aliases(),
            warnings=warnings_of(verdict.findings),
        )  # fmt: skip
    write(outcome_document, outcome)
    looks = [one.evidence for one in outcome.steps if one.evidence is not None]
    kept = replay.of_looks(outcome.subject, release_id, policy, looks, versions=versions())
    write_evidence(live_evidence, kept)
    return Ended(outcome=outcome.result.value, reason=outcome.reason)


def _require(verdict: Verdict, staged: Deployment, release_id: str) -> None:
    if verdict.word is not Word.PASS:
        raise DocumentError(f"the verdict is {verdict.word}; only PASS promotes, run roll-back")
    for document in (verdict, staged):
        if document.release_id != release_id:
            raise DocumentError(
                f"the {document.kind} is of release {document.release_id}, this is {release_id}; "
                "use documents of one run"
            )


def promoted(
    kube: "Kubernetes",
    staged: Deployment,
    policy: Policy,
    *,
    judge: Judge,
    aliases: Aliases,
    poll_s: float = POLL_S,
    judge_every_s: float = JUDGE_EVERY_S,
    warnings: tuple[str, ...] = (),
) -> Outcome:
    """All steps; the outcome when it ended promoted or rolled back. `warnings` are the gate's."""
    driver = _taken_up(kube, staged, policy, poll_s)
    if driver.journal.is_over:
        move_alias(driver, policy, aliases)
        return told(driver)
    before = _alias_before(driver.journal, policy, aliases)
    judged = partial(judge, staged, policy)
    with retreating(driver):
        made_room(driver, policy)
        stepped = _stepped(driver, staged, policy, judged, judge_every_s)
        trouble = stepped or _established(driver, policy)
    if trouble is None:
        _finish(driver, policy, aliases, before, warnings)
        return told(driver)
    reason = give_back(driver, trouble.reason, is_urgent=trouble.urgent)
    if trouble.foreign:
        raise ConflictError(f"{reason}; find out who changes {staged.namespace}/{staged.name}")
    return told(driver)


def _taken_up(kube: "Kubernetes", staged: Deployment, policy: Policy, poll_s: float) -> Driver:
    from tidegate.adapters.release_lock import load_journal

    stored = load_journal(kube, staged.namespace, staged.name)
    if stored is None or stored.journal.release_id != staged.release_id:
        holder = stored.journal.release_id if stored else "nobody"
        raise ConflictError(
            f"{staged.namespace}/{staged.name} is held by {holder}, not by {staged.release_id}; "
            "start a new run"
        )
    if stored.journal.phase is Phase.RETURNING:
        raise ConflictError(f"release {staged.release_id} is being rolled back; start a new run")
    if stored.journal.phase is Phase.STAGING:
        raise ConflictError(f"release {staged.release_id} is not staged yet; run deploy")
    return Driver(kube, stored, step="promote", poll_s=poll_s, policy=policy)


# -- steps


def _stepped(
    driver: Driver, staged: Deployment, policy: Policy, judged: Judge, judge_every_s: float
) -> Refuse | None:
    """Every step that is still to do; why it stopped, or None at 100 %."""
    if staged.initial:
        confirmed = went_live(driver, policy) or _confirmed(driver, policy)
        return confirmed or followed(driver, policy) or discarded(driver, policy)
    if driver.journal.is_finishing:
        return None
    if trouble := followed(driver, policy):
        return trouble
    passed = {s.percent for s in driver.journal.steps if s.word is Word.PASS}
    for percent in steps_left(policy.traffic, passed):
        trouble = _step(driver, policy, percent, judged, judge_every_s)
        if trouble is not None:
            return trouble
    return None


def _confirmed(driver: Driver, policy: Policy) -> Refuse | None:
    """A first release is live; it has passed the gate, and must still be what serves."""
    driver.enter(Phase.PROMOTING, policy.traffic.step_timeout_s + GRACE_S)
    rules = rules_of(driver.journal)
    closed = driver.drive(
        lambda seen, journal, _: rules.next_for_confirm(seen, journal),
        within_s=policy.traffic.step_timeout_s,
    )
    if isinstance(closed, Done):
        driver.add(traffic_step(driver, 100, Word.PASS, closed.what))
        return None
    return closed if isinstance(closed, Refuse) else _late(closed.what, policy)


def _step(
    driver: Driver, policy: Policy, percent: int, judged: Judge, judge_every_s: float
) -> Refuse | None:
    """Set the share, see it, bake it under the live gate, note the evidence."""
    traffic, rules = policy.traffic, rules_of(driver.journal)
    driver.enter(Phase.PROMOTING, 2 * traffic.step_timeout_s + traffic.longest_bake_s + GRACE_S)
    closed = driver.drive(
        lambda seen, journal, _: rules.next_for_step(seen, journal, percent),
        within_s=traffic.step_timeout_s,
    )
    if not isinstance(closed, Done):
        return closed if isinstance(closed, Refuse) else _late(closed.what, policy)
    evidence = partial(judged, percent=percent, since_s=time.time())
    return bake(driver, policy, percent, evidence, judge_every_s)


def _established(driver: Driver, policy: Policy) -> Refuse | None:
    """What the mode still has to write for the candidate to be the next release's incumbent."""
    rules = rules_of(driver.journal)
    closed = driver.drive(
        lambda seen, journal, _: rules.next_for_finish(seen, journal),
        within_s=policy.traffic.step_timeout_s,
    )
    if isinstance(closed, Done):
        return None
    return closed if isinstance(closed, Refuse) else _late(closed.what, policy)


def _late(what: str, policy: Policy) -> Refuse:
    reason = f"still waiting for {what} after {policy.traffic.step_timeout_s:g} s"
    return Refuse(word=Word.INVALID, reason=reason)


# -- the end


def _alias_before(journal: Journal, policy: Policy, aliases: Aliases) -> dict[str, str]:
    """For the journal: what the alias names now, and only from there it is moved at the end; or why not."""
    alias = policy.model.alias
    if not alias:
        return {}
    try:
        return {"alias_before": aliases.names(journal.subject.model, alias)}
    except TidegateError as error:
        return {"alias": f"alias {alias} was not moved, for it could not be read: {error}"}


def _moved(aliases: Aliases, subject: Subject, alias: str, before: str) -> str:
    """What came of it; a run that died after the move finds it made, which is as good."""
    moved = f"alias {alias} names version {subject.version}"
    try:
        if aliases.names(subject.model, alias) != subject.version:
            aliases.move(subject.model, alias, subject.version, before)
    except TidegateError as error:
        return f"alias {alias} was not moved: {error}"
    return moved


def _finish(
    driver: Driver,
    policy: Policy,
    aliases: Aliases,
    alias_before: dict[str, str],
    warnings: tuple[str, ...],
) -> None:
    """Close the journal first, for traffic is proven; then the alias, which decides nothing."""
    journal = driver.journal
    told = (*journal.warnings, *warnings, *warnings_of_steps(journal.steps))
    reason = f"{journal.subject} serves all of production as {journal.candidate_revision}"
    if unread := alias_before.get("alias"):
        driver.say(unread)
        reason = f"{reason}; {unread}"
    if left := retired(driver):
        reason = f"{reason}; {left}"
    driver.end(Result.PROMOTED, with_warnings(reason, told), warnings=told, **alias_before)
    move_alias(driver, policy, aliases)


def move_alias(driver: Driver, policy: Policy, aliases: Aliases) -> None:
    """Move the alias of a promotion that has ended, if that is left to do, and journal what came of it."""
    journal = driver.journal
    if not journal.is_alias_left:
        return
    said = _moved(aliases, journal.subject, policy.model.alias, journal.alias_before or "")
    driver.say(said)
    changes = {"alias": said, "reason": f"{journal.reason}; {said}"}
    try:
        driver.save(driver.journal.model_copy(update=changes))
    except (
        TidegateError
    ) as error:  # the release has ended: its journal may be the next one's by now
        driver.say(str(error))


def mlflow_aliases() -> Aliases:
    """MLflow's."""
    from tidegate.adapters.mlflow_registry import registry

    def names(model: str, alias: str) -> str:
        with registry() as models:
            return models.alias(model, alias)

    def move(model: str, alias: str, version: str, expected: str) -> None:
        with registry() as models:
            models.move_alias(model, alias, version, expected)

    return Aliases(names=names, move=move)
