"""A fast-track: a release of a version that was promoted before, so it has passed its gates already."""

from typing import TYPE_CHECKING

from tidegate.core.asked import probe_of
from tidegate.documents import Deployment, Word
from tidegate.errors import ConflictError, RejectedError, UnavailableError
from tidegate.policy import Policy

if TYPE_CHECKING:
    from tidegate.steps.live_gate import LiveEvidence

LOOK_S = 1.0  # at 100 %, so that a revision that falls over at once is seen


def fast(policy: Policy, alias: str | None) -> Policy:
    """The recorded policy without its steps: all at once, and a short look after it."""
    timeout = policy.traffic.step_timeout_s
    bake = min(policy.traffic.bake_s, LOOK_S)
    limits = {"steps": (100,), "bake_s": bake, "max_bake_s": max(timeout, bake)}
    changes: dict[str, object] = {"traffic": policy.traffic.model_copy(update=limits)}
    if alias is not None:
        changes["model"] = policy.model.model_copy(update={"alias": alias})
    return policy.model_copy(update=changes)


def answering(
    deployment: Deployment, policy: Policy, *, percent: int, **_: object
) -> "LiveEvidence":
    """In place of the live gate: production's own host is answered by the version that was meant."""
    from tidegate.adapters.served_model import answers_as
    from tidegate.steps.live_gate import LiveEvidence

    probe = probe_of(deployment.repository, policy)
    try:
        answers_as(deployment.production_host, probe)
    except (ConflictError, RejectedError) as error:
        return LiveEvidence(word=Word.FAIL, reason=str(error))
    except UnavailableError as error:
        return LiveEvidence(word=Word.INVALID, reason=str(error))
    said = f"production answers as version {probe.version} at {percent} %; no gate"
    return LiveEvidence(word=Word.PASS, reason=said)
