"""What others would say of the same load test: PASS or FAIL, nothing in between."""

import math

import numpy as np
from scipy import stats

from tidegate.core.measured import quantile_index
from tidegate.operations.simulation import Arms, Floats

CONFIDENCE_Z = float(stats.norm.ppf(0.99))  # Kayenta: 98 %, two-sided
TOLERANCE = 0.25


def fixed_threshold(arms: Arms, margin: float) -> str:
    """One window of each arm, the last; its p50 and p95 compared with the incumbent's plus the margin."""
    for share in (0.5, 0.95):
        candidate, baseline = (
            _quantile(rows[-1], share) for rows in (arms.candidate, arms.baseline)
        )
        if candidate > baseline * (1 + margin):
            return "FAIL"
    return "PASS"


def fixed_limit(arms: Arms, limit_ms: float) -> str:
    """One window, the last: its p99 compared with the limit."""
    return "PASS" if _quantile(arms.candidate[-1], 0.99) <= limit_ms else "FAIL"


def mann_whitney(arms: Arms, alpha: float) -> str:
    """Mann-Whitney on raw requests, as if each were independent: FAIL when the candidate is surely slower."""
    found = stats.mannwhitneyu(arms.candidate.ravel(), arms.baseline.ravel(), alternative="greater")
    return "FAIL" if found.pvalue < alpha else "PASS"


def kayenta(arms: Arms) -> str:
    """Kayenta's judge with its defaults, on the windows' p50 and p95, both critical, direction increase.

    High when the lower end of the 98 % interval of the shift is above a quarter of its estimate: the
    Hodges-Lehmann estimate and Moses' interval (MannWhitneyClassifier.scala, MannWhitney.scala).
    """
    for share in (0.5, 0.95):
        shifts = np.sort(
            np.subtract.outer(
                _windows(arms.candidate, share), _windows(arms.baseline, share)
            ).ravel()
        )
        windows = len(arms.candidate)
        spread = math.sqrt(windows * windows * (2 * windows + 1) / 12)
        cut = max(0, round(windows * windows / 2 - CONFIDENCE_Z * spread))
        if shifts[cut] > TOLERANCE * abs(float(np.median(shifts))):
            return "FAIL"
    return "PASS"


def _windows(rows: Floats, share: float) -> Floats:
    return np.asarray(np.sort(rows, axis=1)[:, quantile_index(share, rows.shape[1])])


def _quantile(values: Floats, share: float) -> float:
    return float(np.sort(values)[quantile_index(share, len(values))])
