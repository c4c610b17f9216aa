"""The page of a release: one HTML file with all of its evidence and nothing from anywhere else."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from tidegate.documents import (
    ArmSummary,
    Finding,
    OptimizedModel,
    Outcome,
    Refusal,
    Report,
    Result,
    Word,
)
from tidegate.policy import LatencySlo, Policy
from tidegate.report import writing
from tidegate.report.plots import LatencyLimit, block_quantiles, latency_curve, traffic_steps
from tidegate.report.provenance import provenance

MEANING = {
    Result.PROMOTED: "The candidate serves all of production.",
    Result.ROLLED_BACK: "The candidate was tried and taken back.",
    Result.REJECTED: "The candidate was refused before it reached the cluster.",
    Result.UNCHANGED: "This very version already serves production.",
    Result.ROLLBACK_FAILED: "Production could not be returned: a person is needed now.",
    Result.DIED: "The run broke, and the traffic was returned.",
    Result.ABORTED: "Somebody ended the release, and the traffic was returned.",
}
TONE = {
    Result.PROMOTED: "good",
    Result.UNCHANGED: "calm",
    Result.ROLLED_BACK: "bad",
    Result.REJECTED: "bad",
    Result.ROLLBACK_FAILED: "alarm",
    Result.DIED: "alarm",
    Result.ABORTED: "bad",
}
TAKEN_BACK = ("RESTORE", "UNSTAGE", "DELETE")  # from then on no share is the candidate's


def page(
    report: Report,
    policy: Policy,
    *,
    optimized: OptimizedModel | None = None,
    warnings: Sequence[str] = (),
    at_s: float | None = None,
) -> str:
    """The whole page. What a refusal has kept from happening is said, not left out."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tidegate.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: writing.UNKNOWN if value is None else value,
    )
    environment.filters |= {"ms": writing.ms, "number": writing.number, "clock": writing.clock}
    return environment.get_template("template.html").render(
        report=report,
        meaning=MEANING[report.result],
        tone=TONE[report.result],
        warnings=warnings,
        written=writing.clock(time.time() if at_s is None else at_s),
        refusal=report.verdict if isinstance(report.verdict, Refusal) else None,
        findings=list(_by_severity(report.verdict.findings if report.verdict else ())),
        lint=_lint(report),
        arms=_arms(report),
        plots=_plots(report, policy),
        outcome=_outcome(report),
        traffic=_traffic(report),
        provenance=provenance(report, optimized),
    )


def _by_severity(findings: Sequence[Finding]) -> Iterator[Finding]:
    """What decided comes first."""
    rank = {Word.FAIL: 0, Word.INVALID: 1, Word.INCONCLUSIVE: 2}
    yield from sorted(findings, key=lambda f: (not f.blocking, rank.get(f.word, 3)))


def _lint(report: Report) -> dict[str, Any]:
    found = report.deployment.repository.findings if report.deployment else ()
    remarks = [f for f in found if f.word is not Word.PASS]
    return {"count": len(found), "remarks": remarks}


def _arms(report: Report) -> list[ArmSummary]:
    return [a for a in (report.load.candidate, report.load.baseline) if a] if report.load else []


def _outcome(report: Report) -> Outcome | None:
    told = report.journal.get("outcome")
    return Outcome.model_validate_json(writing.json_of(told)) if isinstance(told, dict) else None


def _traffic(report: Report) -> str:
    """How production is served at the end, in one sentence."""
    ended = _outcome(report)
    if ended and ended.traffic:
        shares = (f"{revision} {percent} %" for revision, percent in ended.traffic.items())
        return f"Production at the end: {', '.join(shares)}."
    if report.journal.get("acts"):
        return "Production at the end: nothing is served under this name."
    if report.deployment is None:
        return "Production is served as it was before this release."
    return "How production is served at the end is not known here."


# -- plots


def _plots(report: Report, policy: Policy) -> dict[str, Any]:
    from markupsafe import Markup

    drawn = {"latency": "", "blocks": "", "traffic": ""}
    if report.load and any(arm.latencies_ms for arm in _arms(report)):
        drawn["latency"] = latency_curve(_arms(report), _limits(policy))
    if report.load and any(block.p50_ms is not None for block in report.load.blocks):
        drawn["blocks"] = block_quantiles(report.load.blocks)
    points = _shares(report)
    if len(points) > 1:
        load = (report.load.started_s, report.load.ended_s) if report.load else None
        drawn["traffic"] = traffic_steps(points, load)
    return {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704 - drawn from numbers


def _limits(policy: Policy) -> list[LatencyLimit]:
    absolute = [o for o in policy.slo.objectives if isinstance(o, LatencySlo)]
    return [LatencyLimit(quantile=o.quantile, limit_ms=o.limit_ms) for o in absolute]


def candidate_shares(acts: list[dict[str, Any]]) -> list[tuple[float, int]]:
    """(Unix time, the candidate's percent from then on), of every act the cluster confirmed.

    A SHIFT to 100 % after a RESTORE is the incumbent's way back, not the candidate's; removing a preview
    moves nothing.
    """
    seen = [a for a in acts if a["confirmed_s"] is not None and a["kind"] != "DISCARD"]
    shares, taken_back = [], False
    for act in sorted(seen, key=lambda act: (float(act["confirmed_s"]), float(act["intended_s"]))):
        taken_back = taken_back or act["kind"] in TAKEN_BACK
        percent = 100 if act["kind"] == "CREATE" else act["percent"] or 0
        shares.append((float(act["confirmed_s"]), 0 if taken_back else percent))
    return shares


def _shares(report: Report) -> list[tuple[float, int]]:
    """The candidate's shares, drawn on to the end of the last step."""
    shares = candidate_shares(report.journal.get("acts") or [])
    ended = _outcome(report)
    last = max((s.at_s for s in ended.steps), default=0.0) if ended else 0.0
    return [*shares, (last, shares[-1][1])] if shares and last > shares[-1][0] else shares
