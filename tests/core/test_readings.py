import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.readings import Reading, Trouble, judge_reading, resolve
from tidegate.documents import Word
from tidegate.policy import PromqlSlo


def objective(**fields: object) -> PromqlSlo:
    known = {"kind": "promql", "name": "busy", "query": 'a{r="$revision"}', "limit": 5}
    return PromqlSlo.model_validate(known | fields)


@pytest.mark.parametrize(
    ("value", "comparison", "word"),
    [(5, "<=", Word.PASS), (5.1, "<=", Word.FAIL), (5, ">=", Word.PASS), (4.9, ">=", Word.FAIL)],
)
def test_a_number_is_compared_with_its_limit(value: float, comparison: str, word: Word) -> None:
    finding = judge_reading(objective(comparison=comparison), Reading(query="q", value=value))
    assert finding.word is word
    assert finding.query == "q"


@pytest.mark.parametrize("trouble", [t for t in Trouble if t])
@pytest.mark.parametrize("on_no_data", ["INCONCLUSIVE", "INVALID", "FAIL"])
def test_no_number_never_passes_and_an_outage_never_fails(
    trouble: Trouble, on_no_data: str
) -> None:
    reading = Reading(query="q", trouble=trouble, detail="because")
    finding = judge_reading(objective(on_no_data=on_no_data), reading)
    silent = trouble in (Trouble.EMPTY, Trouble.NAN)
    assert finding.word is (Word(on_no_data) if silent else Word.INVALID)
    assert "because" in finding.message


def test_a_reading_without_number_and_without_trouble_is_invalid() -> None:
    assert judge_reading(objective(), Reading(query="q")).word is Word.INVALID


@given(
    value=st.sampled_from([math.nan, math.inf, -math.inf]),
    limit=st.floats(allow_nan=False, allow_infinity=False),
    comparison=st.sampled_from(["<=", ">="]),
)
def test_what_is_no_number_never_passes_and_never_fails(
    value: float, limit: float, comparison: str
) -> None:
    wanted = objective(comparison=comparison, limit=limit)
    finding = judge_reading(wanted, Reading(query="q", value=value))
    assert finding.word is Word.INVALID
    assert finding.observed is None


@pytest.mark.parametrize(("severity", "blocking"), [("blocking", 1), ("warn", 0), ("info", 0)])
def test_only_a_blocking_objective_blocks_and_every_message_names_it(
    severity: str, blocking: int
) -> None:
    for reading in (Reading(query="q", value=9), Reading(query="q", trouble=Trouble.EMPTY)):
        finding = judge_reading(objective(severity=severity), reading)
        assert finding.blocking == bool(blocking)
        assert finding.message.startswith("busy")


def test_only_the_two_placeholders_are_filled() -> None:
    query = 'a{r="$revision",n="${namespace}",x=~"b$",y="$other"}'
    assert (
        resolve(query, revision="m-1", namespace="prod") == 'a{r="m-1",n="prod",x=~"b$",y="$other"}'
    )
