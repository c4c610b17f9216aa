"""roll-back: production goes back to what served before; a second run finds nothing to do."""

from functools import partial
from typing import TYPE_CHECKING

from tidegate.documents import Outcome, Refusal, Result, Verdict, Word
from tidegate.errors import DocumentError
from tidegate.policy import Policy
from tidegate.steps.ending import Ended, give_back, telling_failure, told, untouched
from tidegate.steps.progress import say
from tidegate.steps.registry import InDocument, InPolicy, OutDocument, step
from tidegate.steps.stopping import finishing_acts
from tidegate.steps.traffic_driver import POLL_S, Driver

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes

BEFORE_THE_CLUSTER = {"resolve", "fetch", "optimize", "configure", "publish"}


@step(takes_refusal=True, touches="writes the InferenceService, the Lease and the journal")
def roll_back(
    verdict_document: InDocument,
    policy_document: InPolicy,
    release_id: str,
    outcome_document: OutDocument,
) -> Ended:
    """Return production to the incumbent and repair the spec; exit 6 when that cannot be done."""
    from tidegate.adapters.files import read_any, read_policy, write
    from tidegate.adapters.kubernetes import connect

    verdict, policy = read_any(verdict_document), read_policy(policy_document)
    if not isinstance(verdict, Verdict | Refusal):
        raise DocumentError(f"{verdict_document} is a {verdict.kind}; give a Verdict or a Refusal")
    if isinstance(verdict, Refusal) and verdict.step in BEFORE_THE_CLUSTER:
        outcome = _nothing_staged(verdict, release_id)
    else:
        told = telling_failure(outcome_document, verdict.subject, release_id)
        with told, connect(say=partial(say, "roll-back")) as kube, finishing_acts():
            outcome = returned(kube, verdict, policy, release_id)
    write(outcome_document, outcome)
    return Ended(outcome=outcome.result.value, reason=outcome.reason)


def returned(
    kube: "Kubernetes",
    verdict: Verdict | Refusal,
    policy: Policy,
    release_id: str,
    *,
    poll_s: float = POLL_S,
) -> Outcome:
    """By the journal: nothing staged, already ended, or given back now."""
    from tidegate.adapters.files import same_subject
    from tidegate.adapters.release_lock import load_journal

    stored = load_journal(kube, policy.namespace, policy.name)
    if stored is None or stored.journal.release_id != release_id:
        return _nothing_staged(verdict, release_id)
    same_subject(verdict.subject, stored.journal.subject, what="the verdict")
    driver = Driver(kube, stored, step="roll-back", poll_s=poll_s)
    give_back(driver, f"{verdict.word}: {verdict.reason}")
    return told(driver)


def _nothing_staged(verdict: Verdict | Refusal, release_id: str) -> Outcome:
    result = Result.UNCHANGED if verdict.word is Word.UNCHANGED else Result.REJECTED
    return untouched(verdict.subject, release_id, result, verdict.reason)
