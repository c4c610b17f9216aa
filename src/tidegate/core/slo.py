"""Judges one load report against the policy's objectives: numbers in, findings and one word out.

PASS needs every blocking objective to PASS (an intersection-union test, each at alpha_pass); any FAIL at
alpha_fail is FAIL. Evidence that is broken (the generator was the bottleneck, another revision answered,
the arms are not comparable) is INVALID before any number is looked at.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from tidegate.core import statistics
from tidegate.core.measured import quantile
from tidegate.documents import Arm, ArmSummary, Block, Finding, LoadReport, Word, worst
from tidegate.policy import (
    ErrorSlo,
    LatencySlo,
    Load,
    Objective,
    PromqlSlo,
    RelativeLatencySlo,
    Slo,
)

ALIKE = 1.5  # neighbouring requests are alike from this inefficiency on
# Then fewer than this do not say how alike: 2,000 requests at utilisation .85 count as 64, and p90 and p95
# came in at 8 to 12 % false PASS at alpha .05; where they count as 120, at 6 to 7 %; from 300 on at 2 to 6 %.
LEAST_EFFECTIVE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The word, one sentence why, and everything behind it."""

    word: Word
    reason: str
    findings: tuple[Finding, ...]


def judge(
    report: LoadReport, slo: Slo, *, first_release: bool, readings: Iterable[Finding] = ()
) -> Judgement:
    """Judge a load report; `readings` are the findings of the PromQL objectives."""
    broken = broken_evidence(report)
    findings = (
        *broken,
        *(
            _judged(objective, report, slo, first_release=first_release, broken=bool(broken))
            for objective in slo.objectives
            if not isinstance(objective, PromqlSlo)
        ),
        *readings,
    )
    return conclude(findings)


def per_look(slo: Slo, load: Load) -> Slo:
    """The alphas of one look at a load test that may be extended: equal shares (Bonferroni)."""
    looks = load.max_extensions + 1
    return slo.model_copy(
        update={"alpha_pass": slo.alpha_pass / looks, "alpha_fail": slo.alpha_fail / looks}
    )


def conclude(findings: tuple[Finding, ...]) -> Judgement:
    """The worst word of the blocking findings, and the sentence that says why."""
    blocking = [finding for finding in findings if finding.blocking]
    if not blocking:
        return Judgement(
            word=Word.INCONCLUSIVE,
            reason="no blocking objective could be judged",
            findings=findings,
        )
    word = worst(*(finding.word for finding in blocking))
    decisive = [finding.message for finding in blocking if finding.word == word]
    more = f" (and {len(decisive) - 2} more)" if len(decisive) > 2 else ""
    reason = "; ".join(decisive[:2]) + more
    if word == Word.PASS:
        reason = f"all {len(blocking)} blocking objectives hold: {reason}"
    return Judgement(word=word, reason=reason, findings=findings)


def broken_evidence(report: LoadReport) -> tuple[Finding, ...]:
    """INVALID findings for a report that must not be judged at all."""
    arms = [arm for arm in (report.candidate, report.baseline) if arm is not None]
    strangers = (_strangers(arm) for arm in arms)
    found = [finding for finding in strangers if finding is not None]
    if report.generator.saturated:
        message = f"the load generator was not fit to judge: {report.generator.message}"
        found.append(Finding(name="load generator", word=Word.INVALID, message=message))
    return tuple(found)


def _strangers(arm: ArmSummary) -> Finding | None:
    others = {name: n for name, n in arm.revisions_seen.items() if name != arm.revision}
    if not others:
        return None
    named = ", ".join(f"{name} ({n})" for name, n in sorted(others.items()))
    return Finding(
        name=f"{arm.arm} revision",
        word=Word.INVALID,
        message=f"requests to the {arm.arm} {arm.revision} were answered by {named}",
    )


def _judged(
    objective: Objective, report: LoadReport, slo: Slo, *, first_release: bool, broken: bool
) -> Finding:
    finding = _finding(objective, report, slo, first_release=first_release)
    if broken and finding.word in (Word.PASS, Word.FAIL):
        message = f"{finding.message}; not judged, the evidence is broken"
        return finding.model_copy(update={"word": Word.INVALID, "message": message})
    return finding


def _finding(objective: Objective, report: LoadReport, slo: Slo, *, first_release: bool) -> Finding:
    if isinstance(objective, LatencySlo):
        return judge_latency(objective, report.candidate, slo)
    if isinstance(objective, RelativeLatencySlo):
        return judge_relative(objective, report, slo, first_release=first_release)
    if isinstance(objective, ErrorSlo):
        return judge_errors(objective, report.candidate, slo)
    raise TypeError(f"{objective.kind} is not judged on a load report")


def quantile_name(quantile: float) -> str:
    """0.99 -> p99, 0.999 -> p99.9."""
    return f"p{quantile * 100:.10g}"


def judge_latency(objective: LatencySlo, arm: ArmSummary, slo: Slo) -> Finding:
    """Absolute limit: an exceedance test on the effective sample. A failed request counts as over it."""
    over = sum(not value <= objective.limit_ms for value in arm.latencies_ms) + arm.errors
    total = len(arm.latencies_ms) + arm.errors
    test = statistics.exceedance(
        over,
        total,
        share=1 - objective.quantile,
        inefficiency=statistics.inefficiency(arm.latencies_ms, share=1 - objective.quantile),
        alpha=slo.alpha_pass,
    )
    known = test.inefficiency < ALIKE or test.effective >= LEAST_EFFECTIVE
    word = _word(known and test.p_within <= slo.alpha_pass, test.p_above <= slo.alpha_fail)
    if total < objective.min_samples:
        word = Word.INCONCLUSIVE
    finite = tuple(value for value in arm.latencies_ms if math.isfinite(value))
    observed = quantile(finite, objective.quantile)
    return Finding(
        name=objective.name or f"{quantile_name(objective.quantile)} latency",
        word=word,
        observed=observed,
        limit=objective.limit_ms,
        unit="ms",
        message=_latency_message(objective, test, observed, word)
        + (f"; {arm.errors} of them failed" if arm.errors else ""),
        blocking=objective.severity == "blocking",
        samples=total,
    )


def _latency_message(
    objective: LatencySlo, test: statistics.Exceedance, observed: float | None, word: Word
) -> str:
    name, limit = quantile_name(objective.quantile), f"{objective.limit_ms:g} ms"
    if observed is None:
        return f"{name}: no request was answered, so {limit} cannot be judged"
    sign = "<=" if observed <= objective.limit_ms else ">"
    text = f"{name} {observed:.1f} ms {sign} {limit}: {test.over} of {test.requests} requests over the limit"
    text += f" (allowed {test.allowed})" if test.allowed >= 0 else ""
    if test.inefficiency >= ALIKE:
        text += f"; neighbouring requests are alike, they count as {test.effective}"
    if test.requests < objective.min_samples:
        return f"{text}; {objective.min_samples} requests are needed"
    return f"{text}; too close to call, send more requests" if word is Word.INCONCLUSIVE else text


def judge_errors(objective: ErrorSlo, arm: ArmSummary, slo: Slo) -> Finding:
    """Failed and wrong answers: Clopper-Pearson bounds on either side of the limit."""
    bad = arm.errors + arm.wrong
    _, upper = statistics.ratio_bounds(bad, arm.requests, alpha=slo.alpha_pass)
    lower, _ = statistics.ratio_bounds(bad, arm.requests, alpha=slo.alpha_fail)
    word = _word(upper <= objective.limit, lower > objective.limit)
    if arm.requests == 0:
        word = Word.INCONCLUSIVE
    text = (
        f"errors: {bad} of {arm.requests} requests failed or wrong "
        f"({arm.errors} failed, {arm.wrong} wrong), limit {objective.limit:g}"
    )
    if word is Word.INCONCLUSIVE:
        text += f": the ratio may be as high as {upper:.2g}; send more requests"
    return Finding(
        name=objective.name or "errors",
        word=word,
        observed=bad / arm.requests if arm.requests else None,
        limit=objective.limit,
        message=text,
        blocking=objective.severity == "blocking",
        samples=arm.requests,
    )


def _word(surely_good: bool, surely_bad: bool) -> Word:
    if surely_bad:
        return Word.FAIL
    return Word.PASS if surely_good else Word.INCONCLUSIVE


def judge_relative(
    objective: RelativeLatencySlo, report: LoadReport, slo: Slo, *, first_release: bool
) -> Finding:
    """Non-inferior to the incumbent within the margin, or within floor_ms where that is more."""
    name = objective.name or f"{objective.quantile} vs incumbent"
    blocking = objective.severity == "blocking"
    if report.baseline is None and first_release:
        message = f"{objective.quantile}: no incumbent to compare with, not judged"
        return Finding(name=name, word=Word.INCONCLUSIVE, message=message, blocking=False)
    candidate, baseline = paired_quantiles(report.blocks, objective.quantile)
    silent = len({block.pair for block in report.blocks}) - len(candidate)
    problem = _not_comparable(objective, report, len(candidate), silent)
    if problem is not None:
        word, message = problem
        return Finding(name=name, word=word, message=message, blocking=blocking)
    return _compared(objective, name, candidate, baseline, slo)


def _not_comparable(
    objective: RelativeLatencySlo, report: LoadReport, pairs: int, silent: int
) -> tuple[Word, str] | None:
    name = f"{objective.quantile} vs incumbent"
    if report.baseline is None:
        advice = "set load.baseline to matched or remove the objective"
        return Word.INVALID, f"{name}: the policy asks for no baseline; {advice}"
    if not report.fair:
        return Word.INVALID, f"{name}: the comparison is not fair: {report.fairness}"
    if pairs < max(2, objective.min_pairs):
        return Word.INCONCLUSIVE, f"{name}: {pairs} block pairs, {objective.min_pairs} are needed"
    if silent:
        return Word.INCONCLUSIVE, f"{name}: {silent} block pairs have an arm that answered nothing"
    return None


def paired_quantiles(
    blocks: Iterable[Block], quantile: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The quantile of both blocks of each complete pair: candidate's, baseline's."""
    arms: dict[Arm, dict[int, float]] = {Arm.CANDIDATE: {}, Arm.BASELINE: {}}
    for block in blocks:
        value = {"p50": block.p50_ms, "p95": block.p95_ms}[quantile]
        if value is not None and value > 0:
            arms[block.arm][block.pair] = value
    pairs = sorted(arms[Arm.CANDIDATE].keys() & arms[Arm.BASELINE].keys())
    return (
        tuple(arms[Arm.CANDIDATE][pair] for pair in pairs),
        tuple(arms[Arm.BASELINE][pair] for pair in pairs),
    )


def _compared(
    objective: RelativeLatencySlo,
    name: str,
    candidate: tuple[float, ...],
    baseline: tuple[float, ...],
    slo: Slo,
) -> Finding:
    ratio = statistics.paired_ratio(
        candidate, baseline, alpha_pass=slo.alpha_pass, alpha_fail=slo.alpha_fail
    )
    usual = median(baseline)
    allowed = max(1 + objective.margin, 1 + objective.floor_ms / usual)
    word = _word(ratio.upper <= allowed, ratio.lower > allowed)
    text = (
        f"{objective.quantile} is {ratio.t.estimate:.2f}x the incumbent's {usual:.1f} ms over "
        f"{ratio.pairs} block pairs (between {ratio.lower:.2f} and {ratio.upper:.2f}, "
        f"allowed {allowed:.2f})"
    )
    return Finding(
        name=name,
        word=word,
        observed=ratio.t.estimate,
        limit=allowed,
        unit="x",
        message=text,
        blocking=objective.severity == "blocking",
        samples=ratio.pairs,
    )
