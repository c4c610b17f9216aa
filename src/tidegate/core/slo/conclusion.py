"""From findings to one word: the worst of the blocking ones, and the sentence that says why."""

from dataclasses import dataclass

from tidegate.core import statistics
from tidegate.core.warned import warnings_of, with_warnings
from tidegate.documents import Finding, Word, worst


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The word, one sentence why, and everything behind it."""

    word: Word
    reason: str
    findings: tuple[Finding, ...]


def conclude(findings: tuple[Finding, ...]) -> Judgement:
    """The worst word of the blocking findings, and the sentence that says why, with its warnings."""
    warnings = warnings_of(findings)
    blocking = [finding for finding in findings if finding.blocking]
    if not blocking:
        return Judgement(
            word=Word.INCONCLUSIVE,
            reason=with_warnings("no blocking objective could be judged", warnings),
            findings=findings,
        )
    word = worst(*(finding.word for finding in blocking))
    decisive = [finding.message for finding in blocking if finding.word == word]
    more = f" (and {len(decisive) - 2} more)" if len(decisive) > 2 else ""
    reason = "; ".join(decisive[:2]) + more
    if word == Word.PASS:
        reason = f"all {len(blocking)} blocking objectives hold: {reason}"
    return Judgement(word=word, reason=with_warnings(reason, warnings), findings=findings)


def surely_failed(findings: tuple[Finding, ...], *, alpha: float) -> tuple[Finding, ...]:
    """Any FAIL rolls back, so all blocking tests together may err with `alpha`: Holm over their p-values.

    A FAIL that does not survive it is INCONCLUSIVE.
    """
    family = [n for n, one in enumerate(findings) if one.blocking and one.p_worse is not None]
    fallen = statistics.holm([findings[n].p_worse or 0.0 for n in family], alpha=alpha)
    doubted = {n for n, falls in zip(family, fallen, strict=True) if not falls}
    return tuple(
        _doubted(one, len(family)) if n in doubted and one.word is Word.FAIL else one
        for n, one in enumerate(findings)
    )


def _doubted(finding: Finding, tests: int) -> Finding:
    message = (
        f"{finding.message}; not sure enough for one of {tests} objectives "
        f"(p = {finding.p_worse:.2g})"
    )
    return finding.model_copy(update={"word": Word.INCONCLUSIVE, "message": message})


def sure_word(surely_good: bool, surely_bad: bool) -> Word:
    """FAIL when surely bad, PASS when surely good, else INCONCLUSIVE."""
    if surely_bad:
        return Word.FAIL
    return Word.PASS if surely_good else Word.INCONCLUSIVE
