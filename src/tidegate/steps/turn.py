"""One release of an InferenceService at a time: the second is refused, or waits for its turn (policy)."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from tidegate.core.claim import holder_refusal
from tidegate.errors import ConflictError
from tidegate.policy import Policy
from tidegate.steps.progress import say
from tidegate.steps.stopping import stop_if_asked

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes

SAY_EVERY_S = 4.0
Claimed = TypeVar("Claimed")


def in_turn(
    kube: "Kubernetes",
    policy: Policy,
    release_id: str,
    claim: Callable[[], Claimed],
    *,
    poll_s: float,
) -> Claimed:
    """Claim once nobody else owns the InferenceService; two that waited may meet, and one waits again.

    Where the policy refuses, or the time to wait is over, the claim itself says who is in the way.
    """
    deadline = time.monotonic() + policy.busy_timeout_s
    while policy.busy == "wait" and time.monotonic() < deadline:
        _wait(kube, policy, release_id, deadline, poll_s)
        try:
            return claim()
        except ConflictError as error:
            say("deploy", f"lost the turn: {error}")
    try:
        return claim()
    except ConflictError:
        return claim()  # somebody was faster, and is named now


def _wait(
    kube: "Kubernetes", policy: Policy, release_id: str, deadline: float, poll_s: float
) -> None:
    from tidegate.adapters.release_lock import load_journal

    said = 0.0
    while time.monotonic() < deadline:
        stored = load_journal(kube, policy.namespace, policy.name)
        ours = stored is None or stored.journal.release_id == release_id
        held = (
            None
            if stored is None or ours
            else holder_refusal(stored.journal, release_id, time.time())
        )
        if held is None:
            return
        if time.monotonic() - said > SAY_EVERY_S:
            said = time.monotonic()
            say("deploy", f"waiting for its turn: {held.reason}")
        stop_if_asked()
        time.sleep(poll_s)
