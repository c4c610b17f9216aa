"""The live gate: one look at production traffic during a bake, for promote to act on.

Not a step of its own; promote asks about every second.
"""

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tidegate.documents import Deployment, Finding, Word
from tidegate.errors import RejectedError, UnavailableError
from tidegate.policy import Policy
from tidegate.steps.asking import Asking, clock, live_answers

if TYPE_CHECKING:
    from tidegate.adapters.revision_metrics import RevisionMetrics
    from tidegate.core.counters import Served
    from tidegate.core.live import Look
    from tidegate.steps.restart_watch import RestartWatch

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
    pods: "RestartWatch | None" = None,
) -> LiveEvidence:
    """Judge what was served since `since_s` (Unix time of the traffic step, this machine's clock).

    Never raises for what Prometheus does: not knowing is INVALID.
    """
    from tidegate.core.live import Look

    restarted = (pods.look(deployment, since_s=since_s),) if pods else ()
    elapsed = max(0.0, time.time() - since_s)
    blank = Look(
        percent=percent,
        elapsed_s=elapsed,
        candidate=None,
        incumbent=None,
        compared=deployment.incumbent is not None,
        answers=restarted,
    )
    return _judged(_looked(blank, deployment, policy), policy)


def _looked(blank: "Look", deployment: Deployment, policy: Policy) -> "Look":
    """With what Prometheus tells, or why it tells nothing."""
    from tidegate.adapters.revision_metrics import open_metrics

    metrics, why = open_metrics(policy, deployment, budget_s=BUDGET_S)
    if metrics is None:
        return replace(blank, lost=f"live traffic cannot be judged: {why}")
    elapsed = blank.elapsed_s
    try:
        candidate, stale = metrics.served(deployment.candidate_revision, elapsed_s=elapsed)
        incumbent = _incumbent(metrics, deployment, elapsed)
    except (UnavailableError, RejectedError) as error:
        return replace(blank, lost=str(error))
    if stale:
        stale = f"metrics of {deployment.candidate_revision} are stale: {stale}"
        return replace(blank, lost=stale)
    asking = Asking(
        deployed=deployment,
        policy=policy,
        elapsed_s=elapsed,
        metrics=metrics,
        exposed=candidate is not None and candidate.requests >= policy.traffic.min_requests,
    )
    interval = max(LEAST_SKEW_S, candidate.interval_s if candidate else 0.0)
    return replace(
        blank,
        candidate=candidate,
        incumbent=incumbent,
        source=metrics.preset.name,
        answers=(*blank.answers, *clock(asking, interval_s=interval), *live_answers(asking)),
    )


def _incumbent(
    metrics: "RevisionMetrics", deployment: Deployment, elapsed_s: float
) -> "Served | None":
    if deployment.incumbent is None:
        return None
    return metrics.served(deployment.incumbent.revision, elapsed_s=elapsed_s)[0]


def _judged(look: "Look", policy: Policy) -> LiveEvidence:
    from tidegate.core.live import has_errors, judge_live
    from tidegate.core.replay import look_record

    judged, candidate = judge_live(look, policy), look.candidate
    latency = candidate.latency if candidate else None
    return LiveEvidence(
        word=judged.word,
        reason=judged.reason,
        findings=judged.findings,
        requests=candidate.requests if candidate else None,
        p50_ms=latency.shown(0.5) if latency else None,
        p95_ms=latency.shown(0.95) if latency else None,
        p99_ms=latency.shown(0.99) if latency else None,
        is_urgent=has_errors(judged.findings, policy),
        record=look_record(look),
    )
