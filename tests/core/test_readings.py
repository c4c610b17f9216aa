import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.readings import (
    Answers,
    Place,
    Reading,
    Trouble,
    clamped,
    judge_reading,
    pods_of,
    resolve,
)
from tidegate.documents import Finding, Word
from tidegate.policy import PromqlSlo

PASS, FAIL, INCONCLUSIVE, INVALID = Word.PASS, Word.FAIL, Word.INCONCLUSIVE, Word.INVALID


def objective(**fields: object) -> PromqlSlo:
    query = 'sum(nv_inference_count{r="$revision"})'
    known = {"kind": "promql", "name": "busy", "query": query, "limit": 5}
    return PromqlSlo.model_validate(known | fields)


def judged(reading: Reading, *, incumbent: float | None = None, **fields: object) -> Finding:
    other = None if incumbent is None else Reading(query="q", value=incumbent)
    return judge_reading(objective(**fields), Answers(now=reading, incumbent=other))


@pytest.mark.parametrize(
    ("value", "comparison", "word"),
    [(5, "<=", PASS), (5.1, "<=", FAIL), (5, ">=", PASS), (4.9, ">=", FAIL)],
)
def test_a_number_is_compared_with_its_limit(value: float, comparison: str, word: Word) -> None:
    finding = judged(Reading(query="q", value=value), comparison=comparison)
    assert finding.word is word
    assert finding.query == "q"


@pytest.mark.parametrize("trouble", [t for t in Trouble if t])
@pytest.mark.parametrize("on_no_data", ["INCONCLUSIVE", "INVALID", "FAIL"])
def test_no_number_never_passes_and_an_outage_never_fails(
    trouble: Trouble, on_no_data: str
) -> None:
    reading = Reading(query="q", trouble=trouble, detail="because")
    finding = judged(reading, on_no_data=on_no_data)
    silent = trouble in (Trouble.EMPTY, Trouble.NAN)
    assert finding.word is (Word(on_no_data) if silent else INVALID)
    assert "because" in finding.message


def test_a_reading_without_number_and_without_trouble_is_invalid() -> None:
    assert judged(Reading(query="q")).word is INVALID


@given(
    value=st.sampled_from([math.nan, math.inf, -math.inf]),
    limit=st.floats(allow_nan=False, allow_infinity=False),
    comparison=st.sampled_from(["<=", ">="]),
)
def test_what_is_no_number_never_passes_and_never_fails(
    value: float, limit: float, comparison: str
) -> None:
    finding = judged(Reading(query="q", value=value), comparison=comparison, limit=limit)
    assert finding.word is INVALID
    assert finding.observed is None


@pytest.mark.parametrize(
    ("severity", "blocking"), [("blocking", 1), ("warn", 0), ("report-only", 0)]
)
def test_only_a_blocking_objective_blocks_and_every_message_names_it(
    severity: str, blocking: int
) -> None:
    for reading in (Reading(query="q", value=9), Reading(query="q", trouble=Trouble.EMPTY)):
        finding = judged(reading, severity=severity)
        assert finding.blocking == bool(blocking)
        assert finding.message.startswith("busy")


@pytest.mark.parametrize(
    ("value", "incumbent", "fields", "word", "limit"),
    [
        (11, 10, {"limit": None, "relative": 1.1}, PASS, 11),
        (11.1, 10, {"limit": None, "relative": 1.1}, FAIL, 11),
        (5, 10, {"limit": 6, "relative": 1.1}, PASS, 6),
        (7, 10, {"limit": 6, "relative": 1.1}, FAIL, 6),
        (9, 10, {"limit": None, "relative": 0.9, "comparison": ">="}, PASS, 9),
        (8.9, 10, {"limit": None, "relative": 0.9, "comparison": ">="}, FAIL, 9),
    ],
)
def test_a_relative_limit_is_a_multiple_of_the_incumbents_and_the_stricter_one_counts(
    value: float, incumbent: float, fields: dict[str, object], word: Word, limit: float
) -> None:
    finding = judged(Reading(query="q", value=value), incumbent=incumbent, **fields)
    assert finding.word is word
    assert finding.limit == pytest.approx(limit)
    assert "the incumbent's 10" in finding.message


def test_without_an_incumbent_a_relative_limit_alone_judges_nothing_and_blocks_nothing() -> None:
    alone = judged(Reading(query="q", value=9), limit=None, relative=1.1)
    assert (alone.word, alone.blocking) == (INCONCLUSIVE, False)
    both = judged(Reading(query="q", value=9), limit=8, relative=1.1)
    assert (both.word, both.blocking) == (FAIL, True)


def test_what_is_not_known_of_the_incumbent_is_never_good() -> None:
    for trouble, word in ((Trouble.EMPTY, INCONCLUSIVE), (Trouble.UNREACHABLE, INVALID)):
        lost = Reading(query="q", trouble=trouble, detail="because")
        answers = Answers(now=Reading(query="q", value=0.0), incumbent=lost)
        finding = judge_reading(objective(relative=1.1), answers)
        assert finding.word is word
        assert "of the incumbent" in finding.message


@pytest.mark.parametrize(
    ("now", "earlier", "word"),
    [
        (9, (), INCONCLUSIVE),
        (9, (1, 1), INCONCLUSIVE),
        (9, (9, 1), FAIL),
        (9, (1, 9), FAIL),
        (1, (9, 9), FAIL),  # two of three, whichever
        (1, (9, 1), PASS),
        (9, (None, None), INCONCLUSIVE),
        (1, (), PASS),
    ],
)
def test_a_failure_takes_as_many_looks_as_the_policy_says(
    now: float, earlier: tuple[float | None, ...], word: Word
) -> None:
    answers = Answers(
        now=Reading(query="q", value=now), earlier=tuple((value, None) for value in earlier)
    )
    finding = judge_reading(objective(failing={"looks": 2, "of": 3}), answers)
    assert finding.word is word, finding.message
    if now == 9:
        assert f"of the last {1 + len(earlier)} looks (2 of 3 fail)" in finding.message


def test_too_few_requests_are_not_judged() -> None:
    wanted = objective(min_samples=100)
    for value in (1.0, 9.0):
        few = judge_reading(wanted, Answers(now=Reading(query="q", value=value), samples=99))
        assert few.word is INCONCLUSIVE
        assert "99 requests in the window, 100 are needed" in few.message
    assert judge_reading(wanted, Answers(now=Reading(query="q", value=1), samples=100)).word is PASS


def test_no_series_of_a_candidate_that_answers_requests_is_broken_evidence() -> None:
    gone = Reading(query="q", trouble=Trouble.EMPTY, detail="no series")
    for on_no_data, word in (("INCONCLUSIVE", INVALID), ("FAIL", FAIL)):
        wanted = objective(on_no_data=on_no_data)
        assert judge_reading(wanted, Answers(now=gone, exposed=True)).word is word


def test_the_placeholders_are_filled_and_other_dollars_stay() -> None:
    place = Place(revision="m-2", incumbent="m-1", namespace="prod", name="m")
    query = 'a{r="$revision",i="$incumbent",n="$namespace",s="$name",x=~"b$"}[$window]'
    assert resolve(query, place, window_s=90.9) == 'a{r="m-2",i="m-1",n="prod",s="m",x=~"b$"}[90s]'
    assert resolve("$revision $incumbent", place.swapped(), window_s=1) == "m-1 m-2"


def test_a_window_never_reaches_back_beyond_the_step() -> None:
    assert clamped(300, elapsed_s=40) == 40
    assert clamped(300, elapsed_s=4000) == 300
    assert clamped(300, elapsed_s=0) == 1


@pytest.mark.parametrize(
    ("pod", "is_its"),
    [
        ("m-predictor-00002-deployment-7d9f8b6c5d-abcde", True),
        ("m-predictor-00002-7d9f8b6c5d-abcde", True),
        ("m-predictor-00002-x-7d9f8b6c5d-abcde", False),
        ("m-predictor-000021-deployment-7d9f8b6c5d-abcde", False),
        ("other-m-predictor-00002-7d9f8b6c5d-abcde", False),
    ],
)
def test_pods_are_those_of_the_revision_and_of_none_with_a_longer_name(
    pod: str, is_its: bool
) -> None:
    assert bool(re.fullmatch(pods_of("m-predictor-00002"), pod)) == is_its
