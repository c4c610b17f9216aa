"""Latency against the incumbent's: non-inferiority over interleaved block pairs."""

import math
from collections.abc import Iterable
from statistics import median

from tidegate.core.paired_ratio import paired_ratio
from tidegate.core.slo.conclusion import sure_word
from tidegate.documents import Arm, Block, Finding, LoadReport, Word
from tidegate.policy import RelativeLatencySlo, Slo


def judge_relative(
    objective: RelativeLatencySlo, report: LoadReport, slo: Slo, *, first_release: bool
) -> Finding:
    """Non-inferior to the incumbent within the margin, or within floor_ms where that is more."""
    name = objective.name or f"{objective.quantile} vs incumbent"
    if report.baseline is None and first_release:
        message = f"{objective.quantile}: no incumbent to compare with, not judged"
        return Finding(name=name, word=Word.INCONCLUSIVE, message=message, blocking=False)
    candidate, baseline = paired_quantiles(report.blocks, objective.quantile)
    silent = len({block.pair for block in report.blocks}) - len(candidate)
    problem = _not_comparable(objective, report, len(candidate), silent)
    if problem is not None:
        word, message = problem
        return Finding(
            name=name, word=word, message=message, blocking=objective.blocks, warns=objective.warns
        )
    return _compared(objective, name, candidate, baseline, slo)


def _not_comparable(
    objective: RelativeLatencySlo, report: LoadReport, pairs: int, silent: int
) -> tuple[Word, str] | None:
    name = f"{objective.quantile} vs incumbent"
    if report.baseline is None:
        advice = "set load.baseline to matched or dedicated, or remove the objective"
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
    usual = median(baseline)
    allowed = max(1 + objective.margin, 1 + objective.floor_ms / usual)
    ratio = paired_ratio(
        candidate,
        baseline,
        alpha_pass=slo.alpha_pass,
        alpha_fail=slo.alpha_fail,
        limit=allowed,
    )
    word = sure_word(ratio.upper <= allowed, ratio.lower > allowed)
    text = (
        f"{objective.quantile} is {ratio.t.estimate:.2f}x the incumbent's {usual:.1f} ms over "
        f"{ratio.pairs} block pairs (between {ratio.lower:.2f} and {ratio.upper:.2f}, "
        f"allowed {allowed:.2f})"
    )
    return Finding(
        name=name,
        word=word,
        observed=ratio.t.estimate,
        lower=ratio.lower if ratio.lower > 0 else None,
        upper=ratio.upper if math.isfinite(ratio.upper) else None,
        limit=allowed,
        unit="x",
        message=text,
        blocking=objective.blocks,
        warns=objective.warns,
        samples=ratio.pairs,
        p_worse=ratio.p_above,
    )
