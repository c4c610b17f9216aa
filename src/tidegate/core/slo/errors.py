"""Failed and wrong answers of the load test."""

from collections.abc import Sequence

from tidegate.core import statistics
from tidegate.core.slo.conclusion import sure_word
from tidegate.documents import ArmSummary, Block, Finding, Word
from tidegate.policy import ErrorSlo, Slo

BURSTS = 3.0  # independent errors look less scattered over 20 blocks, 98 times in 100


def judge_errors(
    objective: ErrorSlo, arm: ArmSummary, slo: Slo, *, blocks: Sequence[Block] = ()
) -> Finding:
    """Failed and wrong answers: Clopper-Pearson bounds on either side of the limit.

    Errors that come in bursts, by the arm's `blocks`, count as the fewer events that they are.
    """
    bad = arm.errors + arm.wrong
    test = statistics.exceedance(
        bad,
        arm.requests,
        share=objective.limit,
        inefficiency=statistics.block_inefficiency(
            [block.errors + block.wrong for block in blocks], [block.offered for block in blocks]
        ),
        alpha=slo.alpha_pass,
    )
    lower, upper = statistics.effective_bounds(
        test, alpha_pass=slo.alpha_pass, alpha_fail=slo.alpha_fail
    )
    word = sure_word(upper <= objective.limit, lower > objective.limit)
    if arm.requests == 0:
        word = Word.INCONCLUSIVE
    text = (
        f"errors: {bad} of {arm.requests} requests failed or wrong "
        f"({arm.errors} failed, {arm.wrong} wrong), limit {objective.limit:g}"
    )
    if test.inefficiency > BURSTS:
        text += f", in bursts: they count as {test.over / test.inefficiency:.0f}"
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
        blocking=objective.blocks,
        warns=objective.warns,
        samples=arm.requests,
        p_worse=test.p_above,
    )
