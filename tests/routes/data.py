"""Rows to train on and rows to ask with, of a problem that trees and nets can learn."""

from typing import Any

import numpy as np

FEATURES = 12


def rows(count: int, *, seed: int) -> Any:
    """Rows of FP32 features."""
    return np.random.default_rng(seed).normal(size=(count, FEATURES)).astype(np.float32)


def classes(features: Any, count: int) -> Any:
    """A class per row, from all features."""
    scores = features @ np.linspace(-1, 1, FEATURES, dtype=np.float32) + features[:, 0] ** 2
    return np.digitize(scores, np.quantile(scores, np.arange(1, count) / count))


def values(features: Any) -> Any:
    """A value per row."""
    return features[:, 0] * features[:, 1] + features[:, 2]


TRAIN, ASK = rows(600, seed=1), rows(150, seed=2)
