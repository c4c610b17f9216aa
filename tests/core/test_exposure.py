from typing import Any

import pytest

from tests.evidence.conftest import SUBJECT
from tidegate.core.exposure import exposed_since, overspent
from tidegate.core.journal import ActKind, ActRecord, Journal
from tidegate.documents import Word
from tidegate.policy import Exposure


def journal(*acts: tuple[ActKind, int | None, float]) -> Journal:
    return Journal(
        release_id="r", subject=SUBJECT, namespace="d", name="m", deadline_s=0, storage_uri="s",
        acts=tuple(ActRecord(kind=kind, percent=p, intended_s=at) for kind, p, at in acts),
    )  # fmt: skip


def test_users_see_the_candidate_from_its_first_share_on() -> None:
    staged = (ActKind.STAGE, 0, 10.0)
    assert exposed_since(journal(staged)) is None
    moved = journal(staged, (ActKind.SHIFT, 10, 20.0), (ActKind.SHIFT, 50, 30.0))
    assert exposed_since(moved) == 20.0


@pytest.mark.parametrize(
    ("allowed", "seen", "percent", "word"),
    [
        ({}, (10**6, 10**6), 10, None),
        ({"max_requests": 1000}, (1000, 9), 10, None),
        ({"max_requests": 1000}, (1001, 0), 10, Word.INCONCLUSIVE),
        ({"max_requests": 1000}, (1001, 0), 100, None),
        ({"max_errors": 5}, (1, 5), 10, None),
        ({"max_errors": 5}, (1, 6), 10, Word.FAIL),
        ({"max_errors": 0}, (1, 1), 100, Word.FAIL),
        ({"max_requests": 10, "max_errors": 5}, (11, 6), 10, Word.FAIL),
    ],
)
def test_the_budget_ends_a_release_and_errors_end_it_at_once(
    allowed: dict[str, Any], seen: tuple[int, int], percent: int, word: Word | None
) -> None:
    budget = Exposure.model_validate(allowed)
    ended = overspent(budget, requests=seen[0], errors=seen[1], percent=percent, since_s=60)
    assert (ended.word if ended else None) == word
    if ended:
        assert ended.urgent == (word is Word.FAIL)
        assert "traffic.exposure allows" in ended.reason
