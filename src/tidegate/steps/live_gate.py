"""The live gate: one look at production traffic during a bake, for promote to act on.

Not a step of its own; promote asks about every second.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidegate.documents import Deployment, Finding, Word
from tidegate.errors import RejectedError, UnavailableError
from tidegate.policy import Policy, RestartsSlo
from tidegate.steps.asking import Asking, clock_trouble, live_readings

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes
    from tidegate.adapters.revision_metrics import RevisionMetrics
    from tidegate.core.counters import Served

BUDGET_S = 3.0  # promote asks again in a second; a long retry would only hold the release silent
LEAST_SKEW_S = 2.0  # a busy machine may take that long to look at its clock twice


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveEvidence:
    """FAIL: roll back now. PASS: enough evidence of health. INCONCLUSIVE: go on baking. INVALID: hold."""

    word: Word
    reason: str
    findings: tuple[Finding, ...] = ()
    requests: int | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    is_urgent: bool = False
    record: dict[str, Any] | None = None  # what was counted, to be judged again


def judge_step(
    deployment: Deployment,
    policy: Policy,
    *,
    percent: int,
    since_s: float,
    kube: "Kubernetes | None" = None,
) -> LiveEvidence:
    """Judge what was served since `since_s` (Unix time of the traffic step, this machine's clock).

    Never raises for what Prometheus does: not knowing is INVALID.
    """
    from tidegate.adapters.revision_metrics import open_metrics

    restarted = _restarts(kube, deployment, policy, since_s)
    metrics, why = open_metrics(policy, deployment, budget_s=BUDGET_S)
    if metrics is None:
        return _invalid(f"live traffic cannot be judged: {why}", restarted)
    elapsed = max(0.0, time.time() - since_s)
    try:
        candidate, stale = metrics.served(deployment.candidate_revision, elapsed_s=elapsed)
        incumbent = _incumbent(metrics, deployment, elapsed)
    except (UnavailableError, RejectedError) as error:
        return _invalid(str(error), restarted)
    if stale:
        stale = f"metrics of {deployment.candidate_revision} are stale: {stale}"
        return _invalid(stale, restarted)
    asking = Asking(
        deployed=deployment,
        policy=policy,
        elapsed_s=elapsed,
        metrics=metrics,
        exposed=candidate is not None and candidate.requests >= policy.traffic.min_requests,
    )
    return _judged(asking, percent, candidate, incumbent, restarted)


def _incumbent(
    metrics: "RevisionMetrics", deployment: Deployment, elapsed_s: float
) -> "Served | None":
    if deployment.incumbent is None:
        return None
    return metrics.served(deployment.incumbent.revision, elapsed_s=elapsed_s)[0]


def _judged(
    asking: Asking,
    percent: int,
    candidate: "Served | None",
    incumbent: "Served | None",
    restarted: tuple[Finding, ...],
) -> LiveEvidence:
    from tidegate.core.live import Look, has_errors, judge_live
    from tidegate.core.replay import look_record

    assert asking.metrics is not None  # candidate and incumbent came from there
    interval = candidate.interval_s if candidate else 0.0
    look = Look(
        percent=percent,
        elapsed_s=asking.elapsed_s,
        candidate=candidate,
        incumbent=incumbent,
        compared=asking.deployed.incumbent is not None,
        source=asking.metrics.preset.name,
        readings=(
            *restarted,
            *clock_trouble(asking, interval_s=max(LEAST_SKEW_S, interval)),
            *live_readings(asking),
        ),
    )
    judged = judge_live(look, asking.policy)
    latency = candidate.latency if candidate else None
    return LiveEvidence(
        word=judged.word,
        reason=judged.reason,
        findings=judged.findings,
        requests=candidate.requests if candidate else None,
        p50_ms=latency.shown(0.5) if latency else None,
        p95_ms=latency.shown(0.95) if latency else None,
        p99_ms=latency.shown(0.99) if latency else None,
        is_urgent=has_errors(judged.findings, asking.policy),
        record=look_record(look),
    )


def _restarts(
    kube: "Kubernetes | None", deployment: Deployment, policy: Policy, since_s: float
) -> tuple[Finding, ...]:
    """What the cluster tells of the candidate's pods; a Role without pods is said, not failed on."""
    if kube is None:
        return ()
    from tidegate.adapters.inference_service import pods_selector
    from tidegate.adapters.pods import Pods
    from tidegate.core.restarts import judge_restarts

    asked = next((o for o in policy.slo.objectives if isinstance(o, RestartsSlo)), None)
    selector = pods_selector(deployment.mode, deployment.candidate_revision)
    try:
        pods = Pods(kube, deployment.namespace).of(selector)
    except (RejectedError, UnavailableError) as error:
        return (judge_restarts(asked, None, since_s=since_s, unseen=str(error)),)
    return (judge_restarts(asked, pods, since_s=since_s),)


def _invalid(reason: str, restarted: tuple[Finding, ...] = ()) -> LiveEvidence:
    """Nothing is known of the traffic; what the cluster tells may still be bad."""
    from tidegate.core.slo import conclude

    finding = Finding(name="live traffic", word=Word.INVALID, message=reason)
    judged = conclude((finding, *restarted))
    return LiveEvidence(word=judged.word, reason=judged.reason, findings=judged.findings)
