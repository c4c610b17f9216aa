from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidegate.core.slo import conclude, judge, judge_errors, judge_latency, per_look, quantile_name
from tidegate.documents import (
    Arm,
    ArmSummary,
    Block,
    Finding,
    Generator,
    LoadReport,
    Subject,
    Word,
)
from tidegate.policy import ErrorSlo, LatencySlo, Load, Slo

PASS, FAIL, INCONCLUSIVE, INVALID = Word.PASS, Word.FAIL, Word.INCONCLUSIVE, Word.INVALID
LATENCY = {"kind": "latency", "quantile": 0.99, "limit_ms": 300}
RELATIVE = {"kind": "relative_latency", "quantile": "p50"}
ERRORS = {"kind": "errors", "limit": 0.01}
FIT = Generator(lag_p99_ms=1.0, cpu_share=0.1, delivered_ratio=1.0, saturated=False)
READING = Finding(name="gpu", word=PASS, message="gpu is fine")


def spread(requests: int, slow: int) -> tuple[float, ...]:
    """Latencies of 10 ms, and evenly among them some of 400 ms."""
    at = {round(n * requests / slow) for n in range(slow)} if slow else set()
    return tuple(400.0 if n in at else 10.0 for n in range(requests))


def arm(*, requests: int = 3000, slow: int = 0, errors: int = 0, **more: Any) -> ArmSummary:
    known = {
        "arm": Arm.CANDIDATE, "host": "c.test", "revision": "m-2", "requests": requests,
        "errors": errors, "wrong": 0, "rate_rps": 50.0, "total_rate_rps": 50.0, "p50_ms": 10.0,
        "p95_ms": 10.0, "p99_ms": 10.0, "max_ms": 400.0,
        "latencies_ms": spread(requests - errors, slow), "revisions_seen": {"m-2": requests},
    }  # fmt: skip
    return ArmSummary.model_validate(known | more)


def blocks(pairs: int, ratio: float, *, spread: float = 0.03) -> tuple[Block, ...]:
    """Block pairs with a true ratio; the baseline's p50 is 20 ms."""
    noise = np.random.default_rng(3).normal(0, spread, (pairs, 2))
    return tuple(
        Block(
            arm=which, pair=pair, started_s=0.0, duration_s=20.0, offered=1000, delivered=1000,
            errors=0, wrong=0, p50_ms=float(20 * scale * np.exp(noise[pair, n])), p95_ms=30.0,
            p99_ms=40.0,
        )
        for pair in range(pairs)
        for n, (which, scale) in enumerate(((Arm.CANDIDATE, ratio), (Arm.BASELINE, 1.0)))
    )  # fmt: skip


def report(**more: Any) -> LoadReport:
    known = {
        "subject": Subject(model="m", version="2", digest="sha256:" + "1" * 64),
        "release_id": "r", "started_s": 0.0, "ended_s": 1.0, "protocol": "http",
        "candidate": arm(), "baseline": arm(arm=Arm.BASELINE, revision="m-1", revisions_seen={}),
        "blocks": blocks(20, 1.0), "generator": FIT, "fairness": "matched", "fair": True,
    }  # fmt: skip
    return LoadReport.model_validate(known | more)


def slo(*objectives: dict[str, Any]) -> Slo:
    return Slo.model_validate({"objectives": objectives})


def judged(
    made: LoadReport, *objectives: dict[str, Any], readings: tuple[Finding, ...] = ()
) -> tuple[Word, str]:
    found = judge(made, slo(*objectives), first_release=False, readings=readings)
    return found.word, found.reason


STRANGER = {"m-1": 1, "m-2": 2999}


@pytest.mark.parametrize(
    ("objective", "made", "word", "words"),
    [
        (LATENCY, {}, PASS, "0 of 3000 requests over the limit (allowed 20)"),
        (LATENCY, {"candidate": arm(slow=20)}, PASS, "20 of 3000"),
        (LATENCY, {"candidate": arm(slow=21)}, INCONCLUSIVE, "too close to call, send more"),
        (LATENCY, {"candidate": arm(slow=60)}, FAIL, "p99 400.0 ms > 300 ms: 60 of 3000"),
        (LATENCY, {"candidate": arm(errors=60)}, FAIL, "over the limit (allowed 20); 60 of them failed"),
        (LATENCY, {"candidate": arm(requests=999)}, INCONCLUSIVE, "1000 requests are needed"),
        (LATENCY, {"candidate": arm(requests=999, slow=900)}, INCONCLUSIVE, "are needed"),
        (LATENCY, {"candidate": arm(errors=3000)}, FAIL, "no request was answered"),
        (LATENCY, {"candidate": arm(requests=0)}, INCONCLUSIVE, "no request was answered"),
        (LATENCY, {"candidate": arm(revisions_seen=STRANGER)}, INVALID, "answered by m-1 (1)"),
        (RELATIVE, {}, PASS, "p50 is"),
        (RELATIVE, {"blocks": blocks(20, 1.3)}, FAIL, "the incumbent's 19.9 ms over 20 block pairs"),
        (RELATIVE, {"blocks": blocks(20, 1.1)}, INCONCLUSIVE, "allowed 1.10"),
        (RELATIVE, {"blocks": blocks(20, 1.0, spread=0.6)}, INCONCLUSIVE, "between"),
        (RELATIVE, {"blocks": blocks(19, 1.3)}, INCONCLUSIVE, "19 block pairs, 20 are needed"),
        (RELATIVE, {"blocks": ()}, INCONCLUSIVE, "0 block pairs"),
        (RELATIVE, {"fair": False, "fairness": "twice the load"}, INVALID, "twice the load"),
        (RELATIVE, {"baseline": None}, INVALID, "set load.baseline to matched"),
        (RELATIVE | {"floor_ms": 8}, {"blocks": blocks(20, 1.3)}, PASS, "allowed 1.4"),
        (ERRORS, {}, PASS, "errors: 0 of 3000 requests failed or wrong"),
        (ERRORS, {"candidate": arm(errors=20)}, PASS, "20 of 3000"),
        (ERRORS, {"candidate": arm(errors=30)}, INCONCLUSIVE, "may be as high as 0.014"),
        (ERRORS, {"candidate": arm(errors=60)}, FAIL, "(60 failed, 0 wrong), limit 0.01"),
        (ERRORS, {"candidate": arm(wrong=60)}, FAIL, "(0 failed, 60 wrong), limit 0.01"),
        (ERRORS, {"candidate": arm(requests=298)}, INCONCLUSIVE, "as high as 0.01"),
        (ERRORS, {"candidate": arm(requests=299)}, PASS, "0 of 299"),
        (ERRORS, {"candidate": arm(requests=0)}, INCONCLUSIVE, "0 of 0"),
    ],
)  # fmt: skip
def test_every_objective_says_its_word_with_its_numbers(
    objective: dict[str, Any], made: dict[str, Any], word: Word, words: str
) -> None:
    found, reason = judged(report(**made), objective)
    assert (found, words in reason) == (word, True), reason


@pytest.mark.parametrize("objective", [LATENCY, RELATIVE, ERRORS])
@pytest.mark.parametrize(("ratio", "bad"), [(1.0, 0), (1.4, 200)])
def test_nothing_is_judged_on_broken_evidence(
    objective: dict[str, Any], ratio: float, bad: int
) -> None:
    unfit = FIT.model_copy(update={"saturated": True, "message": "requests left 90 ms late"})
    made = report(generator=unfit, candidate=arm(errors=bad), blocks=blocks(20, ratio))
    word, reason = judged(made, objective, readings=(READING,))
    assert word is INVALID
    assert "the load generator was not fit to judge: requests left 90 ms late" in reason
    assert "not judged, the evidence is broken" in reason


@pytest.mark.parametrize("objective", [LATENCY, RELATIVE, ERRORS])
def test_what_warns_blocks_nothing_and_is_in_the_line_of_why_unlike_what_is_only_reported(
    objective: dict[str, Any],
) -> None:
    made = report(candidate=arm(errors=60), blocks=blocks(20, 1.4))
    word, silent = judged(made, objective | {"severity": "report-only"}, readings=(READING,))
    assert (word, silent) == (PASS, "all 1 blocking objectives hold: gpu is fine")
    warned = judge(
        made, slo(objective | {"severity": "warn"}), first_release=False, readings=(READING,)
    )
    assert warned.word is PASS
    assert warned.reason == f"{silent}; warning: {warned.findings[0].message}"


def test_a_warning_that_holds_is_not_told_and_of_many_the_first_two_are() -> None:
    assert "warning" not in judged(report(), ERRORS | {"severity": "warn"}, readings=(READING,))[1]
    many = [ERRORS | {"severity": "warn", "name": f"e{n}"} for n in range(4)]
    bad = report(candidate=arm(errors=60))
    assert judged(bad, *many, readings=(READING,))[1].endswith("limit 0.01 (and 2 more)")


@pytest.mark.parametrize("objective", [LATENCY, RELATIVE, ERRORS])
def test_without_a_blocking_objective_nothing_passes(objective: dict[str, Any]) -> None:
    word, reason = judged(report(), objective | {"severity": "report-only"})
    assert (word, reason) == (INCONCLUSIVE, "no blocking objective could be judged")
    assert conclude(()).word is INCONCLUSIVE


def test_a_first_release_is_not_compared_and_needs_another_objective() -> None:
    made = report(baseline=None)
    assert judge(made, slo(RELATIVE), first_release=True).word is INCONCLUSIVE
    assert judge(made, slo(RELATIVE, ERRORS), first_release=True).word is PASS


@pytest.mark.parametrize("word", list(Word))
def test_only_all_passes_pass_and_a_failure_outweighs_broken_evidence(word: Word) -> None:
    other = READING.model_copy(update={"word": word})
    assert (judged(report(), ERRORS, readings=(other,))[0] is PASS) == (word is PASS)
    made = report(candidate=arm(revisions_seen=STRANGER))
    assert judged(made, ERRORS, readings=(other,))[0] is (FAIL if word is FAIL else INVALID)


def test_the_reason_names_two_findings_and_counts_the_rest() -> None:
    found = conclude(tuple(READING.model_copy(update={"message": f"m{n}"}) for n in range(4)))
    assert found.reason == "all 4 blocking objectives hold: m0; m1 (and 2 more)"


def test_a_pair_with_an_arm_that_answered_nothing_is_not_left_out_in_silence() -> None:
    made = blocks(25, 1.0)
    silent = made[8].model_copy(update={"p50_ms": None, "errors": 1000})
    word, reason = judged(report(blocks=(*made[:8], silent, *made[9:])), RELATIVE)
    assert word is INCONCLUSIVE
    assert "1 block pairs have an arm that answered nothing" in reason


def test_slow_requests_in_a_row_are_one_event_not_many() -> None:
    values = list(spread(3000, 0))
    values[1000:1018] = [400.0] * 18
    found = judge_latency(
        LatencySlo.model_validate(LATENCY), arm(latencies_ms=tuple(values)), slo(LATENCY)
    )
    assert found.word is INCONCLUSIVE
    assert "neighbouring requests are alike, they count as" in found.message
    alone = judge_latency(LatencySlo.model_validate(LATENCY), arm(slow=18), slo(LATENCY))
    assert alone.word is PASS


def test_an_inefficiency_known_from_few_requests_is_not_enough() -> None:
    values = tuple(20.0 if n % 1500 < 80 else 10.0 for n in range(3000))
    objective = LatencySlo.model_validate(LATENCY | {"quantile": 0.9})
    found = judge_latency(objective, arm(latencies_ms=values), slo(LATENCY))
    assert found.observed == 10.0
    assert found.word is INCONCLUSIVE


@given(errors=st.integers(0, 200), requests=st.integers(300, 3000), slow=st.integers(0, 60))
def test_one_more_failed_request_never_turns_a_verdict_into_pass(
    errors: int, requests: int, slow: int
) -> None:
    before = arm(requests=requests + errors, errors=errors, slow=slow)
    after = arm(requests=requests + errors + 1, errors=errors + 1, slow=slow)
    policy = slo(LATENCY)
    for quantile in (0.9, 0.99):
        objective = LatencySlo(kind="latency", quantile=quantile, limit_ms=300, min_samples=1)
        if judge_latency(objective, before, policy).word is not PASS:
            assert judge_latency(objective, after, policy).word is not PASS
    if judge_errors(ErrorSlo(kind="errors", limit=0.01), before, policy).word is not PASS:
        assert judge_errors(ErrorSlo(kind="errors", limit=0.01), after, policy).word is not PASS


@example(at={1979})  # a NaN in the middle had unsettled the sort
@given(at=st.sets(st.integers(0, 1999), max_size=60))
def test_latencies_that_are_no_number_count_as_over_the_limit(at: set[int]) -> None:
    values = tuple(float("nan") if n in at else 10.0 for n in range(2000))
    made = arm(requests=2000).model_copy(update={"latencies_ms": values})
    message = judge_latency(LatencySlo.model_validate(LATENCY), made, slo(LATENCY)).message
    assert f"{len(at)} of 2000 requests over the limit" in message


def test_an_extended_load_test_shares_its_alphas() -> None:
    shared = per_look(slo(ERRORS), Load(max_extensions=4))
    assert (shared.alpha_pass, shared.alpha_fail) == pytest.approx((0.01, 0.002))
    assert per_look(slo(ERRORS), Load(max_extensions=0)) == slo(ERRORS)


@pytest.mark.parametrize(
    ("quantile", "name"), [(0.99, "p99"), (0.999, "p99.9"), (0.5, "p50"), (0.07, "p7")]
)
def test_quantiles_have_their_usual_names(quantile: float, name: str) -> None:
    assert quantile_name(quantile) == name


@pytest.mark.parametrize("word", [INVALID, INCONCLUSIVE])
def test_what_the_load_test_says_of_its_own_evidence_is_in_the_verdict(word: Word) -> None:
    said = Finding(name="warm-up", word=word, message="still getting faster")
    assert judged(report(), ERRORS)[0] is PASS
    found, reason = judged(report(findings=(said,)), ERRORS)
    assert found is word
    assert reason.startswith("still getting faster")


@pytest.mark.parametrize(
    ("objective", "shown"),
    [
        (LATENCY, (10.0, 10.0)),
        ({"kind": "latency", "limit_ms": 300, "quantile": 0.9999}, (10.0, None)),
        (ERRORS, (0.0, 1 - 0.05 ** (1 / 3000))),
        (RELATIVE, (0.98, 1.02)),
        ({"kind": "relative_latency", "min_pairs": 2}, (None, None)),
    ],
)
def test_an_observed_number_has_the_bounds_that_its_word_was_judged_by(
    objective: dict[str, Any], shown: tuple[float | None, float | None]
) -> None:
    few = {"blocks": blocks(4, 1.0)} if "min_pairs" in objective else {}
    (found,) = judge(report(**few), slo(objective), first_release=False).findings
    assert (found.lower, found.upper) == pytest.approx(shown, abs=0.03)


def test_a_failure_that_is_not_sure_enough_among_several_objectives_is_inconclusive() -> None:
    made = report(candidate=arm(errors=44))  # p = .0075 of a ratio of at most 1 %
    assert judged(made, ERRORS)[0] is FAIL
    word, reason = judged(made, ERRORS, RELATIVE)
    assert word is INCONCLUSIVE
    assert "not sure enough for one of 2 objectives (p = 0.0" in reason
    assert judged(made, ERRORS, RELATIVE | {"severity": "warn"})[0] is FAIL


def test_a_burst_of_errors_is_one_event_and_the_same_errors_all_along_are_many() -> None:
    made = blocks(20, 1.0)
    burst = (made[0].model_copy(update={"errors": 40}), *made[1:])
    spread_out = tuple(block.model_copy(update={"errors": 2}) for block in made)
    candidate = arm(requests=20_000, errors=40)
    objective = ERRORS | {"limit": 0.001}
    word, reason = judged(report(candidate=candidate, blocks=burst), objective)
    assert (word, "in bursts: they count as 1" in reason) == (INCONCLUSIVE, True)
    assert judged(report(candidate=candidate, blocks=spread_out), objective)[0] is FAIL


def test_one_stall_far_below_what_is_allowed_does_not_make_a_sample_useless() -> None:
    times = np.random.default_rng(1).gamma(4, 1, 1440)
    times[480:487] = 400.0
    candidate = arm(requests=1440, latencies_ms=tuple(times))
    made = tuple(block.model_copy(update={"offered": 72}) for block in blocks(20, 1.0))
    objective = LATENCY | {"quantile": 0.9}
    assert judged(report(candidate=candidate, blocks=made), objective)[0] is PASS


def test_slow_requests_that_all_fall_into_a_few_blocks_are_fewer_events() -> None:
    slow = np.zeros(20_000, dtype=bool)
    slow[: 20_000 // 4 : 36] = True  # evenly within a quarter of the blocks
    candidate = arm(requests=20_000, latencies_ms=tuple(np.where(slow, 400.0, 10.0)))
    steady = arm(requests=20_000, slow=int(slow.sum()))
    assert judged(report(candidate=steady), LATENCY)[0] is PASS
    word, reason = judged(report(candidate=candidate), LATENCY)
    assert (word, "neighbouring requests are alike" in reason) == (INCONCLUSIVE, True)
