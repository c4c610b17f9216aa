"""Failed and wrong answers of the load test."""

from tidegate.core import statistics
from tidegate.core.slo.conclusion import sure_word
from tidegate.documents import ArmSummary, Finding, Word
from tidegate.policy import ErrorSlo, Slo


def judge_errors(objective: ErrorSlo, arm: ArmSummary, slo: Slo) -> Finding:
    """Failed and wrong answers: Clopper-Pearson bounds on either side of the limit."""
    bad = arm.errors + arm.wrong
    _, upper = statistics.ratio_bounds(bad, arm.requests, alpha=slo.alpha_pass)
    lower, _ = statistics.ratio_bounds(bad, arm.requests, alpha=slo.alpha_fail)
    word = sure_word(upper <= objective.limit, lower > objective.limit)
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
        lower=lower if arm.requests else None,
        upper=upper if arm.requests else None,
        limit=objective.limit,
        message=text,
        blocking=objective.severity == "blocking",
        samples=arm.requests,
        p_worse=statistics.ratio_p_above(bad, arm.requests, limit=objective.limit),
    )
