"""gate: judges the load report and what others are asked; the word is data, never an exit code."""

import json
import time
from dataclasses import dataclass

from tidegate.core.answered import Answer, findings_of
from tidegate.documents import Deployment, LoadReport, Verdict
from tidegate.errors import DocumentError
from tidegate.policy import CapacitySlo, HttpSlo, JobSlo, Policy, QueriedObjective
from tidegate.steps.asking import Asking, clock, gate_answers
from tidegate.steps.progress import say
from tidegate.steps.registry import InDocument, InPolicy, OutDocument, OutMetrics, step

ASKED = (QueriedObjective, CapacitySlo, HttpSlo, JobSlo)
USUAL_SCRAPE_S = 60.0  # Prometheus' own default


@dataclass(frozen=True, slots=True)
class Gated:
    """The word and one sentence why."""

    verdict: str
    reason: str


@step(touches="reads Prometheus")
def gate(
    load_report: InDocument,
    deployment: InDocument,
    policy_document: InPolicy,
    release_id: str,
    verdict_document: OutDocument,
    evidence: OutDocument,
    metrics: OutMetrics,
) -> Gated:
    """Judge the candidate by its load report and by what others are asked; only PASS promotes."""
    from tidegate.adapters.evidence_file import versions, write_evidence
    from tidegate.adapters.files import read, read_policy, write, write_text
    from tidegate.core import replay
    from tidegate.core.slo import judge, per_look

    deployed, policy = read(deployment, Deployment), read_policy(policy_document)
    report = read(load_report, LoadReport, about=deployed.subject)
    if report.candidate.revision != deployed.candidate_revision:
        raise DocumentError(
            f"{load_report}: is about revision {report.candidate.revision}, deployed is "
            f"{deployed.candidate_revision}; run load-test again"
        )
    answers = ask_all(deployed, policy, report)
    first = deployed.incumbent is None
    judged = judge(
        report,
        per_look(policy.slo, policy.load),
        first_release=first,
        readings=findings_of(answers, policy.slo, report.capacity),
    )
    kept = replay.of_load_test(
        report, policy, judged, first_release=first, answers=answers, versions=versions()
    )
    write_evidence(evidence, kept)
    verdict = Verdict(
        subject=deployed.subject,
        release_id=release_id,
        stage="load test",
        word=judged.word,
        reason=judged.reason,
        findings=judged.findings,
    )
    write(verdict_document, verdict)
    write_text(metrics, json.dumps(figures(report), indent=2) + "\n")
    for finding in judged.findings:
        say("gate", f"{finding.word}: {finding.message}")
    return Gated(verdict=judged.word.value, reason=judged.reason)


def ask_all(deployed: Deployment, policy: Policy, report: LoadReport) -> tuple[Answer, ...]:
    """Ask about every objective that the report cannot tell, over the time since the load test began."""
    if not any(isinstance(one, ASKED) for one in policy.slo.objectives):
        return ()
    from tidegate.adapters.revision_metrics import open_metrics

    metrics, why = open_metrics(policy, deployed)
    asking = Asking(
        deployed=deployed.as_measured,
        policy=policy,
        elapsed_s=max(report.ended_s - report.started_s, time.time() - report.started_s),
        metrics=metrics,
        why=why,
    )
    return (*clock(asking, interval_s=USUAL_SCRAPE_S), *gate_answers(asking))


def figures(report: LoadReport) -> dict[str, float]:
    """The numbers worth a chart, by name; what is not known is left out."""
    known: dict[str, float | None] = {"generator_lag_p99_ms": report.generator.lag_p99_ms}
    for arm in (report.candidate, report.baseline):
        if arm is None:
            continue
        known |= {
            f"{arm.arm}_requests": float(arm.requests),
            f"{arm.arm}_errors": float(arm.errors),
            f"{arm.arm}_wrong": float(arm.wrong),
            f"{arm.arm}_p50_ms": arm.p50_ms,
            f"{arm.arm}_p95_ms": arm.p95_ms,
            f"{arm.arm}_p99_ms": arm.p99_ms,
        }
    return {name: value for name, value in known.items() if value is not None}
