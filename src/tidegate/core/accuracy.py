"""Is the candidate as right as the incumbent, on rows whose truth is known? Paired. Needs numpy, scipy.

Right or wrong: with b rows that only the incumbent has right, c that only the candidate has, of n, the
accuracy changes by (c - b) / n. Both shares are bounded by Clopper and Pearson (Biometrika 26, 1934) at half
of alpha each, so that their difference is bounded at alpha, whatever the two have to do with each other; the
exact test of McNemar (Psychometrika 12, 1947) is told beside it. Scores: the mean absolute error, by a paired
bootstrap of rows (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from tidegate.core.parity import lower_bound, upper_bound
from tidegate.documents import Finding, Word

Array = npt.NDArray[Any]
ALPHA = 0.05
RESAMPLES = 4000


def judge(name: str, candidate: Array, incumbent: Array, truth: Array, margin: float) -> Finding:
    """By what the truth is: names of things are right or wrong, floats are near or far.

    Answers: one row each, flattened; several values beside one true class are scores, the largest wins, and
    a row with a NaN among them is wrong.
    PASS: surely no worse than by `margin`; FAIL: surely worse than by it; INCONCLUSIVE: too few rows to tell.
    Raises ValueError where answers and truth cannot be compared.
    """
    if truth.dtype.kind == "f":
        return judge_errors(name, _far(candidate, truth), _far(incumbent, truth), margin)
    right = [_is_right(answers, truth) for answers in (candidate, incumbent)]
    if not any(one.any() for one in right):
        raise ValueError(
            f"neither version has one row right; write label.{name} as the output says its classes, "
            "or by column where it gives scores"
        )
    return judge_right(name, right[0], right[1], margin)


def _far(answers: Array, truth: Array) -> Array:
    """Mean absolute error of each row, in the truth's own shape: (n, 1) beside (n,) would be n x n errors."""
    if answers.size != truth.size:
        raise ValueError(f"{answers.size} values were answered, the truth has {truth.size}")
    far = np.abs(answers.reshape(truth.shape).astype(np.float64) - truth)
    broken = int((~np.isfinite(far)).sum())
    if broken:
        raise ValueError(f"{broken} answers or labels are NaN or infinite")
    return np.asarray(far.reshape(len(truth), -1).mean(axis=1))


def _is_right(answers: Array, truth: Array) -> Array:
    known = np.ones(len(answers), bool)
    if answers.ndim > 1 and answers.shape[1] > 1:
        known = ~(answers != answers).any(axis=1)  # a NaN has a column too, and argmax takes it
        answers = answers.argmax(axis=1)
    return np.asarray(known & (answers.reshape(-1).astype(str) == truth.reshape(-1).astype(str)))


def judge_right(name: str, candidate: Array, incumbent: Array, margin: float) -> Finding:
    """`candidate`, `incumbent`: whether each row is right. `margin`: share of rows that may be lost."""
    n, lost, won = (
        len(candidate),
        int((incumbent & ~candidate).sum()),
        int((candidate & ~incumbent).sum()),
    )
    low = lower_bound(won, n, ALPHA / 2) - upper_bound(lost, n, ALPHA / 2)
    high = upper_bound(won, n, ALPHA / 2) - lower_bound(lost, n, ALPHA / 2)
    p = float(binom.cdf(won, won + lost, 0.5)) if won + lost else 1.0
    told = (
        f"{candidate.mean():.4f} right, the incumbent {incumbent.mean():.4f}; only one of them right in "
        f"{won} and {lost} of {n} rows (McNemar, one-sided: p {p:.3g})"
    )
    return _finding(name, (won - lost) / n, low, high, margin, n, told, "rows")


def judge_errors(name: str, candidate: Array, incumbent: Array, margin: float) -> Finding:
    """`candidate`, `incumbent`: absolute error by row. `margin`: share by which the mean may grow."""
    n, usual = len(candidate), float(incumbent.mean())
    better = (incumbent - candidate) / (usual or 1.0)
    drawing = np.random.default_rng(0)  # repeatable on purpose
    means = [better[drawing.integers(0, n, n)].mean() for _ in range(RESAMPLES)]
    low, high = (float(np.quantile(means, q)) for q in (ALPHA, 1 - ALPHA))
    told = f"mean error {candidate.mean():.4g}, the incumbent's {usual:.4g}, on {n} rows"
    thin = n < 20  # a bootstrap of fewer rows says little of what it has not seen
    return _finding(
        name,
        float(better.mean()),
        *((-np.inf, np.inf) if thin else (low, high)),
        margin,
        n,
        told,
        "of the error",
    )


def _finding(
    name: str, observed: float, low: float, high: float, margin: float, n: int, told: str, unit: str
) -> Finding:
    word = Word.FAIL if high < -margin else Word.PASS if low >= -margin else Word.INCONCLUSIVE
    more = "; log more labelled rows" if word is Word.INCONCLUSIVE else ""
    bound = (
        f"at least {low:+.4f} by 95 % confidence"
        if np.isfinite(low)
        else "too few rows for a bound"
    )
    return Finding(
        name=f"accuracy of {name}", word=word, observed=observed,
        lower=low if np.isfinite(low) else None, upper=high if np.isfinite(high) else None,
        limit=-margin, unit=unit, samples=n,
        message=f"accuracy of {name}: {told}; {observed:+.4f}, {bound}, {-margin:+g} allowed{more}",
    )  # fmt: skip
