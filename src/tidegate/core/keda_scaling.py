"""KEDA's ScaledObject of the candidate (Standard mode): there from its first share on, and not before. Pure.

KServe gives a canary no triggers (`components/predictor.go` 942-943: its extension has minReplicas alone), so
the object is the release's own. It is made once the Deployment is there: KEDA watches no Deployments, and one
that it did not find it looks for again after up to 1000 s (controller-runtime's back-off). While the
candidate is measured it has none, for pods that come and go under a load test are no fair comparison. The
incumbent's is never touched, so it scales what comes back after the rename, too.
"""

from collections.abc import Mapping
from typing import Any

from tidegate.core.decisions import Act, Decision, Done, Refuse, Wait, foreign
from tidegate.core.isvc.extras import scaled_object
from tidegate.core.isvc.keda import MANAGED_BY
from tidegate.core.isvc.scaling import AUTOSCALER
from tidegate.core.isvc.typed import Json
from tidegate.core.journal import ActKind, Journal
from tidegate.core.observation import Observation
from tidegate.core.standard_manifest import deployment_name
from tidegate.core.standard_state import candidate_name
from tidegate.documents import Word
from tidegate.policy import Policy
from tidegate.policy.serving import Keda


def wanted_for(policy: Policy, deployment: str) -> Json | None:
    """The object for this Deployment; None where the policy has no KEDA beside the service."""
    scaling = policy.serving.scaling
    if not isinstance(scaling, Keda) or scaling.via != "scaled_object":
        return None
    return scaled_object(policy, scaling, deployment)


def candidates(journal: Journal) -> str:
    """The Deployment of the candidate; of a first release, that of the service itself."""
    if journal.incumbent is None:
        return journal.candidate_revision
    return deployment_name(journal.name, candidate_name(journal.incumbent))


def may_be_left(seen: Observation | None) -> bool:
    """An object of an earlier release under the candidate's name may be there, waiting for a Deployment."""
    return seen is not None and seen.annotations.get(AUTOSCALER) == "external"


def next_for_scaler(held: Json | None, wanted: Json) -> Decision:
    """Have KEDA scale the candidate, and see that it does."""
    name = str(wanted["metadata"]["name"])
    if held is None:
        return Act(kind=ActKind.FOLLOW, name=name, why=f"have KEDA scale {name}")
    if not is_ours(held):
        return _others(held)
    if going := _going(held):
        return going
    if not _has(held.get("spec"), wanted["spec"]):
        return foreign(f"ScaledObject {name} is not as this policy's release writes it")
    ready = _ready(held)
    if ready.get("status") == "True":
        return Done(what=f"KEDA scales {name}")
    said = ready.get("message") or "it has said nothing yet"
    return Wait(what=f"KEDA to take ScaledObject {name} ({said})", word=Word.INVALID)


def next_for_unscaled(held: Json | None, name: str) -> Decision:
    """See that nothing scales the candidate while it is measured."""
    if held is None:
        return Done(what=f"nothing scales {name} yet")
    if not is_ours(held):
        return _others(held)
    if going := _going(held):
        return going
    why = f"remove ScaledObject {name} of an earlier release"
    return Act(kind=ActKind.UNFOLLOW, name=name, why=why)


def _going(held: Json) -> Wait | None:
    """One that is deleted scales until KEDA has taken its finalizer away, and says Ready until then."""
    metadata = held["metadata"]
    if not metadata.get("deletionTimestamp"):
        return None
    what = f"KEDA to let go of ScaledObject {metadata['name']}"
    return Wait(what=what, word=Word.INVALID)


def is_ours(item: Json) -> bool:
    """By the label that a release, and `render`, writes."""
    labels = item["metadata"].get("labels") or {}
    return MANAGED_BY.items() <= labels.items()


def _others(held: Json) -> Refuse:
    metadata = held["metadata"]
    label = "=".join(*MANAGED_BY.items())
    reason = (
        f"ScaledObject {metadata['namespace']}/{metadata['name']} is not tidegate's, and would scale the "
        f"candidate; delete it, or let releases write it: kubectl -n {metadata['namespace']} label "
        f"scaledobject {metadata['name']} {label}"
    )
    return Refuse(word=Word.INVALID, reason=reason)


def _has(held: Any, wanted: Any) -> bool:
    """All that is wanted, whatever the API has filled in."""
    if isinstance(wanted, Mapping):
        return isinstance(held, Mapping) and all(
            _has(held.get(key), value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(held, list)
            and len(held) == len(wanted)
            and all(_has(a, b) for a, b in zip(held, wanted, strict=True))
        )
    return bool(held == wanted)


def _ready(held: Json) -> Json:
    said = (held.get("status") or {}).get("conditions") or ()
    return next((one for one in said if one.get("type") == "Ready"), {})
