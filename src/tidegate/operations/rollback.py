"""rollback --to: a fast-track to a version that was promoted before. No gates; warm first, then at once."""

import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tidegate.core.claim import holder_refusal
from tidegate.core.history import Promoted
from tidegate.core.journal import Journal
from tidegate.documents import Deployment, Published, Refusal, Result, Word
from tidegate.errors import ConflictError, NotPromotedError, UsageError
from tidegate.operations.abort import aborted
from tidegate.operations.fast_track import answering, fast
from tidegate.operations.recorded import ended_as, policy_of
from tidegate.policy import Policy
from tidegate.steps.deploy import staged
from tidegate.steps.promote import JUDGE_EVERY_S, Aliases, promoted
from tidegate.steps.traffic_driver import POLL_S

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes
    from tidegate.adapters.release_lock import StoredJournal


def rolled_back(
    kube: "Kubernetes",
    stored: "StoredJournal",
    to: str,
    *,
    who: str,
    aliases: Aliases,
    alias: str | None = None,
    abort_first: bool = False,
    poll_s: float = POLL_S,
    judge_every_s: float = JUDGE_EVERY_S,
) -> Journal:
    """The journal of a release of its own that brought the version back, warm at 0 % and then to 100 %.

    Raises UsageError for a version that was never promoted, ConflictError while another release runs,
    NotPromotedError when the version does not come up or does not answer; production then is as it was.
    """
    target = _target(kube, stored, to)
    if running := holder_refusal(stored.journal, "", time.time()):
        if not abort_first:
            raise ConflictError(f"{running.reason}; or give --abort, which ends it first")
        aborted(kube, stored, who=who, reason=f"for a roll-back to {to}", poll_s=poll_s)
        target = _target(kube, stored, to)
    policy = fast(policy_of(stored.journal), alias)
    noted = {
        "wanted": target.template,
        "wrote": target.wrote,
        "fast_track": True,
        "hand": f"rolled back by {who}",
    }
    deployment = staged(kube, _published(target), policy, _release_id(), poll_s=poll_s, noted=noted)
    return _promoted(kube, stored, deployment, policy, aliases, poll_s, judge_every_s)


def gone_on(
    kube: "Kubernetes",
    stored: "StoredJournal",
    *,
    aliases: Aliases,
    poll_s: float = POLL_S,
    judge_every_s: float = JUDGE_EVERY_S,
) -> Journal:
    """The same of a roll-back whose run died before it was promoted; the journal is ours by now."""
    from tidegate.adapters.release_history import history_of

    journal = stored.journal
    what = f"ConfigMap of {journal.namespace}/{journal.name}"
    target = history_of(stored.config_map["data"], what=what).served_from(journal.storage_uri)
    if target is None:
        raise ConflictError(
            f"{journal.storage_uri} is no longer remembered; run: tidegate abort {journal.name}"
        )
    policy = policy_of(journal)
    deployment = staged(kube, _published(target), policy, journal.release_id, poll_s=poll_s)
    return _promoted(kube, stored, deployment, policy, aliases, poll_s, judge_every_s)


def _promoted(
    kube: "Kubernetes",
    stored: "StoredJournal",
    deployment: Deployment | Refusal,
    policy: Policy,
    aliases: Aliases,
    poll_s: float,
    judge_every_s: float,
) -> Journal:
    if isinstance(deployment, Refusal):
        return _refused(deployment, stored.journal)
    outcome = promoted(
        kube, deployment, policy, judge=answering, aliases=aliases,
        poll_s=poll_s, judge_every_s=judge_every_s,
    )  # fmt: skip
    return ended_as(kube, stored.journal, outcome)


def _target(kube: "Kubernetes", stored: "StoredJournal", to: str) -> Promoted:
    """What is meant, of what is remembered. Raises UsageError for what cannot be brought back here."""
    from tidegate.adapters.inference_service import InferenceServices
    from tidegate.adapters.release_history import history_of

    journal = stored.journal
    at = f"{journal.namespace}/{journal.name}"
    seen = InferenceServices(kube, journal.namespace, journal.name).look()
    if seen is None:
        raise UsageError(f"{at} does not exist; release a version instead")
    shares = seen.traffic
    serving = seen.revisions.get(max(shares, key=lambda name: shares[name])) if shares else None
    history = history_of(stored.config_map["data"], what=f"ConfigMap of {at}")
    target = history.find(to, serving.storage_uri if serving else "")
    if target is None:
        raise UsageError(f"--to {to}: {at} knows no such version; known: {history.known()}")
    if target.mode != seen.mode:
        raise UsageError(
            f"--to {to}: version {target.subject.version} served in {target.mode} mode, and {at} runs in "
            f"{seen.mode or 'an unknown one'}; release the version again"
        )
    return target


def _published(target: Promoted) -> Published:
    return Published(
        subject=target.subject,
        repository=target.repository,
        storage_uri=target.storage_uri,
        uploaded=False,
    )


def _release_id() -> str:
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return f"rollback-{now}-{uuid.uuid4().hex[:6]}"


def _refused(refusal: Refusal, before: Journal) -> Journal:
    """Nothing to do is no failure; anything else has left production as it was."""
    if refusal.word is not Word.UNCHANGED:
        raise NotPromotedError(f"not rolled back: {refusal.reason}")
    return before.model_copy(update={"outcome": Result.UNCHANGED, "reason": refusal.reason})
