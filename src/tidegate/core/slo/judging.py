"""Judges one load report against the policy's objectives: numbers in, findings and one word out.

PASS needs every blocking objective to PASS (an intersection-union test, each at alpha_pass); any FAIL is
FAIL, and all of them together err with alpha_fail. Evidence that is broken (the generator was the
bottleneck, another revision answered, the arms are not comparable) is INVALID before any number is looked at.
"""

from collections.abc import Iterable

from tidegate.core.slo.capacity import judge_cost, judge_throughput
from tidegate.core.slo.conclusion import Judgement, conclude, surely_failed
from tidegate.core.slo.errors import judge_errors
from tidegate.core.slo.fitness import broken_evidence
from tidegate.core.slo.latency import judge_latency
from tidegate.core.slo.relative import judge_relative
from tidegate.documents import Arm, Block, Finding, LoadReport, Word
from tidegate.policy import (
    CostSlo,
    ErrorSlo,
    LatencySlo,
    Load,
    RelativeLatencySlo,
    Slo,
    ThroughputSlo,
)

OfBlocks = LatencySlo | RelativeLatencySlo | ErrorSlo  # more blocks say more of them
OfReport = OfBlocks | ThroughputSlo | CostSlo


def judge(
    report: LoadReport, slo: Slo, *, first_release: bool, readings: Iterable[Finding] = ()
) -> Judgement:
    """Judge a load report; `readings` are the findings of the objectives that others were asked about."""
    broken = broken_evidence(report)
    judged = tuple(
        _judged(objective, report, slo, first_release=first_release, broken=bool(broken))
        for objective in slo.objectives
        if isinstance(objective, OfReport)
    )
    findings = (
        *broken,
        *(one for one in report.findings if one not in broken),
        *surely_failed(judged, alpha=slo.alpha_fail),
        *readings,
    )
    return conclude(findings)


def per_look(slo: Slo, load: Load) -> Slo:
    """The alphas of one look at a load test that may be extended: equal shares (Bonferroni)."""
    looks = load.max_extensions + 1
    return slo.model_copy(
        update={"alpha_pass": slo.alpha_pass / looks, "alpha_fail": slo.alpha_fail / looks}
    )


def of_blocks(slo: Slo) -> Slo:
    """The objectives that further blocks of load can decide, alone."""
    kept = tuple(one for one in slo.objectives if isinstance(one, OfBlocks))
    return slo.model_copy(update={"objectives": kept})


def _judged(
    objective: OfReport, report: LoadReport, slo: Slo, *, first_release: bool, broken: bool
) -> Finding:
    finding = _finding(objective, report, slo, first_release=first_release)
    if broken and finding.word in (Word.PASS, Word.FAIL):
        message = f"{finding.message}; not judged, the evidence is broken"
        return finding.model_copy(update={"word": Word.INVALID, "message": message})
    return finding


def _finding(objective: OfReport, report: LoadReport, slo: Slo, *, first_release: bool) -> Finding:
    match objective:
        case LatencySlo():
            return judge_latency(objective, report.candidate, slo, blocks=_blocks(report))
        case RelativeLatencySlo():
            return judge_relative(objective, report, slo, first_release=first_release)
        case ErrorSlo():
            return judge_errors(objective, report.candidate, slo, blocks=_blocks(report))
        case ThroughputSlo():
            return judge_throughput(objective, report)
        case CostSlo():
            return judge_cost(objective, report)


def _blocks(report: LoadReport) -> tuple[Block, ...]:
    """The candidate's, in order."""
    return tuple(block for block in report.blocks if block.arm is Arm.CANDIDATE)
