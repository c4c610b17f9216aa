"""await-approval: a release that passed its gate waits for a person, if the policy says so."""

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tidegate.core.approval import UNDECIDED, approved_verdict
from tidegate.core.journal import Approval, Journal, Phase
from tidegate.documents import Verdict, Word
from tidegate.errors import ConflictError, UsageError
from tidegate.policy import Policy
from tidegate.steps.progress import say
from tidegate.steps.registry import InDocument, InPolicy, OutDocument, step
from tidegate.steps.stopping import finishing_acts, stop_if_asked
from tidegate.steps.traffic_driver import SAY_EVERY_S

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes

LOOK_EVERY_S = 1.0
DECISIONS = ("", "approve", "reject", UNDECIDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """The word after the person's, and one sentence why."""

    verdict: str
    reason: str


@step(touches="reads the journal")
def await_approval(
    verdict_document: InDocument,
    policy_document: InPolicy,
    release_id: str,
    approved_document: OutDocument,
    decision: str = "",
) -> Approved:
    """Wait for `tidegate approve` of what passed the gate, where the policy asks for it.

    Args:
        verdict_document: The Verdict of the gate.
        policy_document: The effective policy.
        release_id: Identifies this release.
        approved_document: Where the Verdict after the person's word is written.
        decision: What the orchestrator was told: approve, reject, or undecided when its own wait is over;
            '' = nothing, wait here.
    """
    from tidegate.adapters.files import read, read_policy, write
    from tidegate.adapters.kubernetes import connect

    if decision not in DECISIONS:
        raise UsageError(
            f"decision {decision!r} is none of approve, reject, undecided; or leave it out"
        )
    verdict, policy = read(verdict_document, Verdict), read_policy(policy_document)
    if verdict.word is Word.PASS and policy.traffic.approval == "manual":
        with connect(say=partial(say, "await-approval")) as kube, finishing_acts():
            approval = awaited(kube, policy, release_id, decision)
        verdict = approved_verdict(verdict, approval, policy.traffic.approval_timeout_s)
    say("await-approval", f"{verdict.word}: {verdict.reason}")
    write(approved_document, verdict)
    return Approved(verdict=verdict.word.value, reason=verdict.reason)


def awaited(
    kube: "Kubernetes",
    policy: Policy,
    release_id: str,
    decision: str = "",
    *,
    look_every_s: float = LOOK_EVERY_S,
) -> Approval | None:
    """The first word of a person, in the journal or through the orchestrator; None when time is up."""
    until, said = time.monotonic() + policy.traffic.approval_timeout_s, -SAY_EVERY_S
    while True:
        found = _journal(kube, policy, release_id).approval or _told(decision)
        left = until - time.monotonic()
        if found is not None or decision == UNDECIDED or left <= 0:
            return found
        if time.monotonic() - said > SAY_EVERY_S:
            said = time.monotonic()
            say("await-approval", _waiting(policy, left))
        stop_if_asked()
        time.sleep(min(look_every_s, left))


def _told(decision: str) -> Approval | None:
    """By whoever resumed the workflow; an orchestrator does not say who that was."""
    match decision:
        case "approve" | "reject":
            return Approval(decision=decision, who="whoever resumed the workflow", at_s=time.time())
        case _:
            return None


def _journal(kube: "Kubernetes", policy: Policy, release_id: str) -> Journal:
    """Of this release, still waiting. Raises ConflictError when it was ended or taken meanwhile."""
    from tidegate.adapters.release_lock import load_journal

    stored = load_journal(kube, policy.namespace, policy.name)
    at = f"{policy.namespace}/{policy.name}"
    if stored is None or stored.journal.release_id != release_id:
        holder = f"release {stored.journal.release_id}" if stored else "nobody"
        raise ConflictError(f"{at} is held by {holder}, not by {release_id}; start a new run")
    journal = stored.journal
    if journal.phase is not Phase.STAGED:
        how = journal.reason or journal.outcome or journal.phase
        raise ConflictError(f"release {release_id} waits no longer ({how}); start a new run")
    return journal


def _waiting(policy: Policy, left_s: float) -> str:
    at = f"{policy.name} --namespace {policy.namespace}"
    return f"waiting {left_s:.0f} s more for: tidegate approve {at}  (or reject-approval)"
