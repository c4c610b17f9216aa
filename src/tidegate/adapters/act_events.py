"""Kubernetes Events about a release, on the InferenceService: what `kubectl describe` shows of each act."""

import logging
from datetime import UTC, datetime
from typing import Any

from tidegate.adapters.kubernetes import Kubernetes
from tidegate.core.journal import ActKind, ActRecord, Journal
from tidegate.documents import Result
from tidegate.errors import TidegateError

log = logging.getLogger("tidegate")
COMPONENT = "tidegate"

REASONS = {
    ActKind.CREATE: "ReleaseCreated",
    ActKind.STAGE: "ReleaseStaged",
    ActKind.SHIFT: "ReleaseTraffic",
    ActKind.RESTORE: "ReleaseRestored",
    ActKind.UNSTAGE: "ReleaseWithdrawn",
    ActKind.DELETE: "ReleaseDeleted",
    ActKind.FREE: "ReleaseUnblocked",
    ActKind.SCALE: "ReleaseScaled",
    ActKind.RENAME: "ReleaseRenamed",
    ActKind.PREVIEW: "ReleasePreviewed",
    ActKind.DISCARD: "ReleasePreviewRemoved",
    ActKind.BASELINE: "ReleaseBaselineCreated",
    ActKind.RETIRE: "ReleaseBaselineRemoved",
    ActKind.FOLLOW: "ReleaseFollowed",
    ActKind.UNFOLLOW: "ReleaseUnfollowed",
}
ENDS = {Result.PROMOTED: "ReleasePromoted", Result.ROLLED_BACK: "ReleaseRolledBack"}


def tell_act(kube: Kubernetes, journal: Journal, act: ActRecord) -> None:
    """One act that the API has taken."""
    number = len(journal.acts)
    about = journal.as_preview if act.kind in {ActKind.PREVIEW, ActKind.DISCARD} else journal
    _tell(kube, about, REASONS[act.kind], f"act {number}: {act.why}")


def tell_end(kube: Kubernetes, journal: Journal) -> None:
    """How the release ended; anything but a promotion without warnings is one."""
    result = journal.outcome or Result.DIED
    _tell(kube, journal, ENDS.get(result, "ReleaseEnded"), f"{result}: {journal.reason}")


def tell_alarm(kube: Kubernetes, journal: Journal, message: str) -> None:
    """A roll-back failed: somebody has to act."""
    _tell(kube, journal, "ReleaseRollbackFailed", message)


def _tell(kube: Kubernetes, journal: Journal, reason: str, message: str) -> None:
    """Asked once and never waited for: an Event decides nothing."""
    path = f"/api/v1/namespaces/{journal.namespace}/events"
    try:
        kube.once("POST", path, _event(journal, reason, message), None)
    except TidegateError as error:
        log.warning("no Event %s for %s/%s: %s", reason, journal.namespace, journal.name, error)


def _event(journal: Journal, reason: str, message: str) -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    alarming = reason in {"ReleaseRolledBack", "ReleaseEnded", "ReleaseRollbackFailed"}
    alarming |= bool(journal.warnings)
    told = f"release {journal.release_id} of {journal.subject}: {message}"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{journal.name}.", "namespace": journal.namespace},
        "involvedObject": {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "name": journal.name,
            "namespace": journal.namespace,
            "uid": journal.isvc_uid,
        },
        "reason": reason,
        "message": told[:1024],  # the API's own limit
        "type": "Warning" if alarming else "Normal",
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": journal.release_id[:128],
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
