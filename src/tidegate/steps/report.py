"""report: one page, one document and a few numbers about how the release ended, and who is told."""

import json
import platform
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tidegate import __version__
from tidegate.core.redaction import redacted
from tidegate.documents import (
    ArmSummary,
    Candidate,
    ConfigText,
    Deployment,
    LoadReport,
    OptimizedModel,
    Outcome,
    Parity,
    Refusal,
    Report,
    Result,
    Verdict,
)
from tidegate.errors import DocumentError, TidegateError
from tidegate.policy import Policy
from tidegate.steps.announcing import announce, within
from tidegate.steps.configs import compared
from tidegate.steps.ending import outcome_of, untouched
from tidegate.steps.heartbeat import beating
from tidegate.steps.progress import say
from tidegate.steps.registry import (
    InDocument,
    InPolicy,
    OutDocument,
    OutMarkdown,
    OutMetrics,
    OutPage,
    step,
)

D = TypeVar("D", OptimizedModel, Deployment, LoadReport, Verdict)

JOURNAL_WITHIN_S = 6.0


@dataclass(frozen=True)
class Reported:
    """How the release ended, and one line for a list of runs."""

    outcome: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """What the release wrote; a Refusal from the step on that refused."""

    candidate: Candidate
    optimized: OptimizedModel | Refusal
    deployment: Deployment | Refusal
    load: LoadReport | Refusal
    verdict: Verdict | Refusal


@step(
    takes_refusal=True,
    touches="reads the journal and the storage; writes to MLflow and to a webhook",
)
def report(
    candidate: InDocument,
    optimized: InDocument,
    deployment: InDocument,
    load_report: InDocument,
    verdict_document: InDocument,
    policy_document: InPolicy,
    release_id: str,
    outcome: str,
    reason: str,
    page: OutPage,
    report_document: OutDocument,
    report_markdown: OutMarkdown,
    report_metrics: OutMetrics,
) -> Reported:
    """Write the page, its twins and the numbers of a release, and tell MLflow and a webhook."""
    from tidegate.adapters.files import read, read_policy, write, write_text
    from tidegate.report.markdown import markdown
    from tidegate.report.page import page as rendered

    policy, pinned = read_policy(policy_document), read(candidate, Candidate)
    known = Documents(
        candidate=pinned,
        optimized=_read(optimized, OptimizedModel, pinned),
        deployment=_read(deployment, Deployment, pinned),
        load=_read(load_report, LoadReport, pinned),
        verdict=_read(verdict_document, Verdict, pinned),
    )
    journal, warnings = recalled(known, policy, release_id, _result(outcome), reason)
    configs, unread = _configs(known, journal)
    told = reported(known, release_id, _result(outcome), reason, journal)
    warnings = [*_of_nodes(known.deployment), *warnings]
    noted = {"configs": configs, "unread": tuple(unread), "warnings": tuple(warnings)}
    told = told.model_copy(update=noted)
    write(report_document, told)
    short = markdown(told)
    write_text(report_markdown, short)
    write_text(report_metrics, json.dumps(figures(told), indent=2) + "\n")
    with beating("report", "drawing the page"):  # fonts are looked for the first time
        drawn = rendered(told, policy)
    write_text(page, drawn)
    lines = [*told.warnings, *announce(told, policy, drawn, short)]
    for line in lines:
        say("report", f"warning: {line}")
    return Reported(outcome=told.result.value, summary=summary(told, lines))


def _of_nodes(deployment: Deployment | Refusal) -> tuple[str, ...]:
    return deployment.preflight if isinstance(deployment, Deployment) else ()


def _configs(known: Documents, journal: dict[str, Any]) -> tuple[tuple[ConfigText, ...], list[str]]:
    if isinstance(known.deployment, Refusal):
        return (), []
    return compared(known.deployment, journal.get("template") or {})


def _result(outcome: str) -> Result:
    try:
        return Result(outcome)
    except ValueError as error:
        known = ", ".join(word.value for word in Result)
        raise DocumentError(
            f"outcome {outcome!r} is none of {known}; pass a step's outcome"
        ) from error


def _read(path: Path, kind: type[D], about: Candidate) -> D | Refusal:
    from tidegate.adapters.files import read_any, same_subject

    document = read_any(path)
    if not isinstance(document, kind | Refusal):
        raise DocumentError(f"{path} is a {document.kind}; give a {kind.__name__} or a Refusal")
    same_subject(document.subject, about.subject, what=str(path))
    return document


# -- what the cluster remembers


def recalled(
    known: Documents, policy: Policy, release_id: str, result: Result, reason: str
) -> tuple[dict[str, Any], list[str]]:
    """The journal as a dict, its `outcome` the whole Outcome; and what could not be learned."""
    staged, subject = known.deployment, known.candidate.subject
    nothing = {"outcome": untouched(subject, release_id, result, reason).model_dump(mode="json")}
    if isinstance(staged, Refusal) and staged.step != "deploy":
        return nothing, []  # the cluster was never touched
    ask = partial(_asked, policy, release_id, result, reason)
    try:
        found = within(ask, "reading the journal", seconds=JOURNAL_WITHIN_S)
    except TidegateError as error:
        return nothing, [f"the journal could not be read, so the traffic is not shown: {error}"]
    if found is not None:
        return found, []
    lost = (
        f"the cluster has no journal of release {release_id}: a later release has taken its place"
    )
    return nothing, [lost] if isinstance(staged, Deployment) else []


def _asked(policy: Policy, release_id: str, result: Result, reason: str) -> dict[str, Any] | None:
    from tidegate.adapters.inference_service import InferenceServices
    from tidegate.adapters.kubernetes import connect
    from tidegate.adapters.release_lock import list_journals

    with connect(retry_s=JOURNAL_WITHIN_S / 2, say=partial(say, "report")) as kube:
        stored = list_journals(kube, policy.namespace, release_id=release_id)
        if not stored:
            return None
        journal = stored[0].journal
        seen = InferenceServices(kube, journal.namespace, journal.name).look()
    ended: Outcome = outcome_of(journal, seen, result, reason)
    return journal.model_dump(mode="json") | {"outcome": ended.model_dump(mode="json")}


# -- one document


def reported(
    known: Documents, release_id: str, result: Result, reason: str, journal: dict[str, Any]
) -> Report:
    """Everything in one document; what a refusal has left out is None, and no secret is in it."""
    load = None if isinstance(known.load, Refusal) else known.load
    return Report(
        subject=known.candidate.subject,
        release_id=release_id,
        result=result,
        reason=reason,
        candidate=known.candidate,
        optimized=known.optimized if isinstance(known.optimized, OptimizedModel) else None,
        parity=parity_of(known.optimized),
        deployment=None if isinstance(known.deployment, Refusal) else _shareable(known.deployment),
        load=load,
        verdict=known.verdict,
        journal=redacted(journal),
        seconds=seconds(load, journal),
        tools=tools(),
    )


def _shareable(deployment: Deployment) -> Deployment:
    shown = redacted(deployment.model_dump(mode="json"))
    return Deployment.model_validate_json(json.dumps(shown))


def tools() -> dict[str, str]:
    """What this run is made of."""
    return {"tidegate": __version__, "Python": platform.python_version()}


def parity_of(optimized: OptimizedModel | Refusal) -> Parity | None:
    """The evidence of the parity gate, also of one that refused."""
    return optimized.parity


def seconds(load: LoadReport | None, journal: dict[str, Any]) -> dict[str, float]:
    """How long the two long parts took: the load test, and the hand on the traffic."""
    took = {"load_test": load.ended_s - load.started_s} if load else {}
    acts = journal.get("acts") or []
    ends = [act["confirmed_s"] for act in acts if act["confirmed_s"] is not None]
    ends += [moved["at_s"] for moved in journal.get("steps") or []]
    if acts and ends:
        took["traffic"] = max(ends) - acts[0]["intended_s"]
    return {name: round(value, 3) for name, value in took.items()}


def figures(told: Report) -> dict[str, float]:
    """The numbers worth a chart over many releases; what is not known is left out."""
    numbers: dict[str, float | None] = {"promoted": float(told.result is Result.PROMOTED)}
    for arm in (told.load.candidate, told.load.baseline) if told.load else ():
        numbers |= _figures(arm) if arm else {}
    agreements = [o.agreement for o in told.parity.outputs] if told.parity else []
    known = [agreement for agreement in agreements if agreement is not None]
    numbers["parity_agreement"] = min(known, default=None)
    return {name: float(value) for name, value in numbers.items() if value is not None}


def _figures(arm: ArmSummary) -> dict[str, float | None]:
    names = ("requests", "errors", "wrong", "p50_ms", "p95_ms", "p99_ms")
    return {f"{arm.arm}_{name}": getattr(arm, name) for name in names}


def summary(told: Report, warnings: list[str]) -> str:
    """One line."""
    line = f"{told.subject}: {told.result}: {told.reason}"
    return " | ".join([line, *(f"warning: {warning}" for warning in warnings)])
