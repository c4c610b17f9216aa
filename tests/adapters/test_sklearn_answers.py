"""What a scikit-learn model answers: labels and scores, or one line that says why there are none."""

import numpy as np
import pytest
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier

from tidegate.adapters.sklearn_model import SklearnModel
from tidegate.errors import DocumentError

ROWS = np.random.default_rng(3).normal(size=(40, 3)).astype(np.float32)
CLASSES = (ROWS.sum(axis=1) > 0).astype(int)


def fitted(estimator: object) -> SklearnModel:
    return SklearnModel(estimator=estimator.fit(ROWS, CLASSES), what="votes version 2")  # type: ignore[attr-defined]


def test_a_classifier_without_probabilities_answers_with_its_decision_function() -> None:
    model = fitted(RidgeClassifier())
    scores = model.answers(ROWS)["probabilities"]
    assert np.array_equal(scores > 0, model.answers(ROWS)["label"] == 1)


def test_a_classifier_with_no_scores_at_all_is_refused_in_one_line() -> None:
    model = fitted(VotingClassifier([("one", LogisticRegression())], voting="hard"))
    with pytest.raises(
        DocumentError, match=r"votes version 2 is a VotingClassifier with neither"
    ) as e:
        model.answers(ROWS)
    assert "\n" not in str(e.value)
