"""Absolute latency: an exceedance test on the effective sample."""

import math
from collections.abc import Sequence

from tidegate.core import statistics
from tidegate.core.measured import quantile
from tidegate.core.slo.conclusion import sure_word
from tidegate.documents import ArmSummary, Block, Finding, Word
from tidegate.policy import LatencySlo, Slo

ALIKE = 1.5  # neighbouring requests are alike from this inefficiency on
# Then fewer than this do not say how alike: 2,000 requests at utilisation .85 count as 64, and p90 and p95
# came in at 8 to 12 % false PASS at alpha .05; where they count as 120, at 6 to 7 %; from 300 on at 2 to 6 %.
LEAST_EFFECTIVE = 100


def quantile_name(quantile: float) -> str:
    """0.99 -> p99, 0.999 -> p99.9."""
    return f"p{quantile * 100:.10g}"


def judge_latency(
    objective: LatencySlo, arm: ArmSummary, slo: Slo, *, blocks: Sequence[Block] = ()
) -> Finding:
    """Absolute limit: an exceedance test on the effective sample. A failed request counts as over it.

    `blocks` are the arm's, in order: what varies from one to the next makes the sample smaller still.
    """
    over = sum(not value <= objective.limit_ms for value in arm.latencies_ms) + arm.errors
    total, share = len(arm.latencies_ms) + arm.errors, 1 - objective.quantile
    alike = statistics.inefficiency(arm.latencies_ms, share=share, blocks=_answered(arm, blocks))
    test = statistics.exceedance(over, total, share=share, inefficiency=alike, alpha=slo.alpha_pass)
    lower, upper = statistics.quantile_bounds(
        arm.latencies_ms,
        arm.errors,
        share=share,
        inefficiency=alike,
        alpha_pass=slo.alpha_pass,
        alpha_fail=slo.alpha_fail,
    )
    known = test.inefficiency < ALIKE or test.effective >= LEAST_EFFECTIVE
    word = sure_word(known and test.p_within <= slo.alpha_pass, test.p_above <= slo.alpha_fail)
    if total < objective.min_samples:
        word = Word.INCONCLUSIVE
    finite = tuple(value for value in arm.latencies_ms if math.isfinite(value))
    observed = quantile(finite, objective.quantile)
    return Finding(
        name=objective.name or f"{quantile_name(objective.quantile)} latency",
        word=word,
        observed=observed,
        lower=lower,
        upper=upper,
        limit=objective.limit_ms,
        unit="ms",
        message=_latency_message(objective, test, observed, word)
        + (f"; {arm.errors} of them failed" if arm.errors else ""),
        blocking=objective.blocks,
        warns=objective.warns,
        samples=total,
        p_worse=test.p_above,
    )


def _answered(arm: ArmSummary, blocks: Sequence[Block]) -> list[int]:
    """Answered requests of each block; none when the blocks are not the arm's."""
    answered = [block.offered - block.errors for block in blocks]
    return answered if sum(answered) == len(arm.latencies_ms) else []


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
