from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.answered import Said
from tidegate.core.counters import Histogram, Served
from tidegate.core.live import Look, judge_live
from tidegate.documents import Finding, Word
from tidegate.policy import Policy

PASS, FAIL, INCONCLUSIVE, INVALID = Word.PASS, Word.FAIL, Word.INCONCLUSIVE, Word.INVALID
ERRORS = {"kind": "errors", "limit": 0.01}
AT_EDGE = {"kind": "latency", "quantile": 0.99, "limit_ms": 250}
BETWEEN = {"kind": "latency", "quantile": 0.99, "limit_ms": 300}
READING = Finding(name="gpu", word=PASS, message="gpu is fine")


def policy(*objectives: dict[str, Any], **traffic: Any) -> Policy:
    return Policy.model_validate(
        {
            "name": "m",
            "model": {"uri": "models:/m/2"},
            "slo": {"objectives": objectives or (ERRORS,)},
            "traffic": {"bake_s": 60, "max_bake_s": 600} | traffic,
        }
    )


def served(requests: int, errors: int = 0, slow: int = 0, seconds: float = 60) -> Served:
    """Edges 100, 250 and 500 ms; the slow ones took between 250 and 500 ms."""
    fast = float(requests - slow)
    return Served(
        requests=requests,
        errors=errors,
        latency=Histogram(
            edges_ms=(100, 250, 500), cumulative=(fast, fast, float(requests)), total=requests
        ),
        started_s=0.0,
        ended_s=seconds,
    )


def look(candidate: Served | None, **more: Any) -> Look:
    known: dict[str, Any] = {"percent": 10, "elapsed_s": 60.0, "compared": False, "incumbent": None}
    return Look(candidate=candidate, **known | more)


@pytest.mark.parametrize(
    ("candidate", "objectives", "word", "words"),
    [
        (served(1000), (), PASS, "1000 candidate requests in 60 s"),
        (served(99), (), INCONCLUSIVE, "only 99 of 100 candidate requests so far"),
        (served(0), (), INCONCLUSIVE, "only 0 of 100"),
        (None, (), INCONCLUSIVE, "no request of the candidate"),
        (served(1000, errors=10), (), PASS, ""),
        (served(100, errors=4), (), INCONCLUSIVE, "4 of 100 live requests answered 5xx"),
        (served(100, errors=20), (), FAIL, "20 of 100 live requests answered 5xx, limit 0.01 (evi"),
        (served(1000, slow=10), (AT_EDGE,), PASS, "10 of 1000 requests over 250 ms"),
        (served(1000, slow=50), (AT_EDGE,), FAIL, "50 of 1000 requests over 250 ms"),
        (served(100, slow=4), (AT_EDGE,), INCONCLUSIVE, "4 of 100 requests over 250 ms"),
        (served(1000, slow=10), (BETWEEN,), PASS, "between 0 and 10 of 1000"),
        (served(1000, slow=11), (BETWEEN,), INCONCLUSIVE, "the limit is no bucket edge"),
        (served(1000, slow=50), (BETWEEN,), INCONCLUSIVE, "between 0 and 50 of 1000"),
    ],
)
def test_every_look_has_its_word(
    candidate: Served | None, objectives: tuple[dict[str, Any], ...], word: Word, words: str
) -> None:
    judged = judge_live(look(candidate), policy(*objectives))
    said = "; ".join(finding.message for finding in judged.findings)
    assert (judged.word, words in said) == (word, True), judged.reason


def test_a_bake_that_is_not_over_does_not_pass_and_may_fail() -> None:
    judged = judge_live(look(served(1000), elapsed_s=59.0), policy())
    assert (judged.word, judged.reason) == (INCONCLUSIVE, "baked 59 of 60 s")
    assert judge_live(look(served(50, errors=40), elapsed_s=2.0), policy()).word is FAIL


@pytest.mark.parametrize(
    ("percent", "candidate", "incumbent", "word"),
    [
        (10, served(1000), served(9000), PASS),
        (10, served(1200), served(8800), INVALID),
        (10, served(1000), served(4500, seconds=30), PASS),  # half the window
        (10, served(1000), None, INCONCLUSIVE),
        (10, served(1000), served(9000, seconds=0), INCONCLUSIVE),
        (50, served(5000), served(1000), INVALID),
        (100, served(1000), None, PASS),
        (100, served(1000), served(2), PASS),  # what was in flight
        (100, served(1000), served(500), INVALID),
        (100, served(1000), served(0), PASS),
        (10, None, served(500), INVALID),
        (10, None, served(20), INCONCLUSIVE),
        (100, None, served(20), INVALID),
        (10, None, None, INCONCLUSIVE),
    ],
)
def test_a_share_that_is_not_what_was_ordered_is_invalid(
    percent: int, candidate: Served | None, incumbent: Served | None, word: Word
) -> None:
    seen = look(candidate, percent=percent, incumbent=incumbent, compared=True)
    assert judge_live(seen, policy()).word is word


@pytest.mark.parametrize("word", [FAIL, INVALID, INCONCLUSIVE])
@pytest.mark.parametrize("candidate", [served(1000), None])
def test_promql_at_a_traffic_step_counts_even_before_the_first_request(
    candidate: Served | None, word: Word
) -> None:
    reading = Said(finding=READING.model_copy(update={"word": word}))
    assert judge_live(look(candidate, answers=(reading,)), policy()).word is word


@pytest.mark.parametrize("objective", [ERRORS, AT_EDGE])
def test_a_live_warning_never_blocks(objective: dict[str, Any]) -> None:
    seen = look(served(1000, errors=300, slow=300))
    for severity, is_told in (("warn", True), ("report-only", False)):
        judged = judge_live(seen, policy(objective | {"severity": severity}))
        assert (judged.word, "; warning: " in judged.reason) == (PASS, is_told)
    assert judge_live(seen, policy(objective)).word is FAIL


def test_more_objectives_and_more_steps_share_one_alpha() -> None:
    seen = look(served(1000, errors=24))
    assert judge_live(seen, policy(ERRORS, steps=(100,))).word is FAIL
    many = tuple(ERRORS | {"name": f"e{n}"} for n in range(10))
    assert judge_live(seen, policy(*many, steps=(10, 50, 100))).word is INCONCLUSIVE


@given(
    requests=st.integers(0, 3000),
    errors=st.integers(0, 3000),
    slow=st.integers(0, 3000),
    more=st.sampled_from(["errors", "slow"]),
)
def test_one_more_bad_answer_among_as_many_never_makes_a_look_good(
    requests: int, errors: int, slow: int, more: str
) -> None:
    counts = {"errors": min(errors, requests), "slow": min(slow, requests)}
    worse = counts | {more: min(counts[more] + 1, requests)}
    asked = policy(ERRORS, BETWEEN)
    before = judge_live(look(served(requests, **counts)), asked).word
    after = judge_live(look(served(requests, **worse)), asked).word
    order = [PASS, INCONCLUSIVE, FAIL]
    assert order.index(after) >= order.index(before)


@pytest.mark.parametrize(
    ("mine", "theirs", "word"),
    [(10, 18, FAIL), (1, 0, PASS), (7, 18, INCONCLUSIVE), (2, 18, PASS), (0, 0, PASS)],
)
def test_a_candidate_within_its_limit_may_not_fail_five_times_as_often_as_the_incumbent(
    mine: int, theirs: int, word: Word
) -> None:
    seen = look(
        served(1000, errors=mine), incumbent=served(9000, errors=theirs), compared=True, percent=10
    )
    judged = judge_live(seen, policy(ERRORS | {"limit": 0.02}))
    assert judged.word is word, judged.reason
    if word is FAIL:
        assert "10 of 1000 live requests of the candidate answered 5xx, 18 of 9000" in judged.reason


def test_a_surely_higher_error_ratio_that_is_not_twice_the_incumbents_is_the_limits_business() -> (
    None
):
    seen = look(
        served(100_000, errors=180),
        incumbent=served(900_000, errors=900),
        compared=True,
        percent=10,
    )
    assert judge_live(seen, policy(ERRORS)).word is PASS


@pytest.mark.parametrize(
    ("objective", "candidate", "limit"),
    [
        (ERRORS, served(1000, errors=30), 0.01),
        (ERRORS, served(1000, errors=18), 0.01),
        (ERRORS, served(20_000, errors=100), 0.01),
        (AT_EDGE, served(1000, slow=50), 250),
        (AT_EDGE, served(1000, slow=10), 250),
    ],
)
def test_a_live_number_has_an_interval_that_agrees_with_its_word(
    objective: dict[str, Any], candidate: Served, limit: float
) -> None:
    finding = next(
        one for one in judge_live(look(candidate), policy(objective)).findings if one.limit == limit
    )
    assert finding.lower is not None or finding.upper is not None
    assert finding.observed is not None
    assert (finding.lower or 0) <= finding.observed <= (finding.upper or 1e9)
    assert (finding.word is FAIL) is (finding.lower is not None and finding.lower >= limit)


@pytest.mark.parametrize(
    ("requests", "slow", "bounds"),
    [
        (1000, 0, (None, 100)),
        (1000, 50, (250, 500)),
        (1000, 10, (None, 500)),
        (50, 0, (None, None)),
    ],
)
def test_a_live_quantile_lies_between_two_edges_of_the_histogram(
    requests: int, slow: int, bounds: tuple[float | None, float | None]
) -> None:
    judged = judge_live(look(served(requests, slow=slow)), policy(AT_EDGE))
    latency = next(one for one in judged.findings if one.name == "live p99 latency")
    assert (latency.lower, latency.upper) == bounds


def test_a_share_and_an_error_ratio_beside_the_incumbents_have_intervals_too() -> None:
    seen = look(served(1000, errors=2), incumbent=served(9000, errors=9), compared=True)
    found = {one.name: one for one in judge_live(seen, policy()).findings}
    share, more = found["traffic share"], found["live errors vs incumbent"]
    assert share.lower is not None
    assert share.upper is not None
    assert 0.06 < share.lower < 0.1 < share.upper < 0.15
    assert more.lower is not None
    assert more.upper is not None
    assert more.lower < 0.002 < more.upper
