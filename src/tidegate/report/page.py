"""The page of a release: one HTML file with all of its evidence and nothing from anywhere else."""

import time
from collections.abc import Iterator
from typing import Any

from tidegate.documents import Refusal, Report, Result, Word
from tidegate.policy import LatencySlo, Policy
from tidegate.report import evidence, traffic, writing
from tidegate.report.config_diff import differences
from tidegate.report.findings import findings_table
from tidegate.report.glance import tiles
from tidegate.report.plots.capacity import throughput_latency
from tidegate.report.plots.latency import LatencyLimit, block_quantiles, latency_curve
from tidegate.report.plots.traffic import traffic_timeline
from tidegate.report.provenance import provenance
from tidegate.report.tables import badge, distilled, short

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
    Result.PROMOTED: ("good", "✓"),
    Result.UNCHANGED: ("calm", "="),
    Result.ROLLED_BACK: ("bad", "↩"),
    Result.REJECTED: ("bad", "✕"),
    Result.ROLLBACK_FAILED: ("alarm", "!!"),
    Result.DIED: ("alarm", "!"),
    Result.ABORTED: ("bad", "■"),
}


def page(report: Report, policy: Policy | None, *, at_s: float | None = None) -> str:
    """The whole page. What a refusal or a death has kept from happening is said, not left out."""
    tone, sign = TONE[report.result]
    drawn = _plots(report, policy)
    warnings, more = distilled([short(warning) for warning in report.warnings], "warnings", most=12)
    return str(_environment().get_template("page.html").render(
        report=report,
        reason=short(report.reason),
        meaning=MEANING[report.result],
        tone=tone,
        sign=sign,
        warnings=[*warnings, more] if more else warnings,
        written=writing.clock(time.time() if at_s is None else at_s),
        refusal=report.verdict if isinstance(report.verdict, Refusal) else None,
        tiles=tiles(report, policy),
        findings=findings_table(report.verdict.findings) if report.verdict else None,
        lint=_lint(report),
        arms=evidence.arms_table(evidence.arms_of(report)) if report.load else None,
        curve=evidence.curve_table(report.load) if report.load else None,
        conditions=evidence.conditions(report.load) if report.load else [],
        parity=evidence.parity_table(report.parity) if report.parity else None,
        plots=drawn,
        traffic=traffic.sentence(report),
        safety=traffic.safety(report),
        steps=traffic.steps_table(report),
        live=traffic.live_table(report),
        acts=traffic.acts_table(report),
        differences=differences(report.configs),
        absent=list(_absent(report)),
        provenance=provenance(report),
    ))  # fmt: skip


def nothing_to_undo(release_id: str, *, at_s: float | None = None) -> str:
    """The page of a run that never reached the cluster, as far as the cluster knows."""
    written = writing.clock(time.time() if at_s is None else at_s)
    return str(
        _environment().get_template("nothing.html").render(release_id=release_id, written=written)
    )


def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tidegate.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: writing.UNKNOWN if value is None else value,
    )
    environment.filters |= {"number": writing.number, "clock": writing.clock, "badge": badge}
    return environment


def _absent(report: Report) -> Iterator[str]:
    """What a reader would look for, and why it is not there."""
    is_journal = report.candidate is None
    if not (report.verdict and report.verdict.findings):
        yield "Nothing was judged by the gate" + (
            ", as far as the journal knows." if is_journal else "."
        )
    if report.load is None:
        yield "The journal does not know what was measured." if is_journal else "No load test ran."
    if report.parity is None:
        yield (
            "The journal does not know how parity was judged."
            if is_journal
            else "Parity was not judged."
        )
    if not report.configs and not report.unread:
        yield (
            "What was configured is not known here." if report.deployment
            else "Nothing was staged, so no configuration changed."
        )  # fmt: skip


def _lint(report: Report) -> dict[str, Any]:
    found = report.deployment.repository.findings if report.deployment else ()
    remarks = [f for f in found if f.word is not Word.PASS]
    shown, more = distilled(remarks, "remarks", most=12)
    return {"count": len(found), "remarks": shown, "more": more}


def _plots(report: Report, policy: Policy | None) -> dict[str, Any]:
    from markupsafe import Markup

    load, line = report.load, traffic.timeline(report, policy)
    arms = evidence.arms_of(report)
    drawn = dict.fromkeys(("latency", "blocks", "capacity", "traffic"), "")
    if any(arm.latencies_ms for arm in arms):
        drawn["latency"] = latency_curve(arms, _limits(policy))
    if load and any(block.p50_ms is not None for block in load.blocks):
        drawn["blocks"] = block_quantiles(load.blocks)
    if load and any(point.p99_ms is not None for point in load.curve):
        drawn["capacity"] = throughput_latency(load.curve, load.capacity)
    if line:
        drawn["traffic"] = traffic_timeline(line)
    return {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704 - drawn from numbers


def _limits(policy: Policy | None) -> list[LatencyLimit]:
    objectives = policy.slo.objectives if policy else ()
    absolute = [o for o in objectives if isinstance(o, LatencySlo)]
    return [LatencyLimit(quantile=o.quantile, limit_ms=o.limit_ms) for o in absolute]
