"""Judges one look at live traffic: what candidate and incumbent served since the traffic step began.

Called again every second, so every test against the candidate is anytime-valid, and one alpha is shared
among them and the traffic steps: e-values at alpha/m hold however the tests depend on each other. FAIL
stops at once; PASS waits for the whole bake, and is not said while the evidence leans towards a harm;
anything else goes on waiting.
"""

import math
from dataclasses import dataclass

from tidegate.core import sequential, statistics
from tidegate.core.answered import Answer, findings_of
from tidegate.core.counters import Served
from tidegate.core.live_bounds import quantile_bounds
from tidegate.core.slo import Judgement, conclude, quantile_name
from tidegate.documents import Finding, Word
from tidegate.policy import ErrorSlo, LatencySlo, Policy, Slo
from tidegate.policy.presets import PRESETS

MISMATCH_P = 1e-3
LIVE_ERRORS = "live errors"
TIMES_THE_ERRORS = 2.0  # fewer than this is no harm, however sure: the limit judges it
LEANING = math.log(10)  # odds of 10 : 1 are "strong" (Jeffreys, Theory of Probability, appendix B)
FULL_SHARE = 0.99  # at 100 % a request in flight may still reach the incumbent


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at a traffic step."""

    percent: int
    elapsed_s: float
    candidate: Served | None
    incumbent: Served | None
    compared: bool  # there is an incumbent at all
    source: str = "knative"  # the preset of who counted
    answers: tuple[Answer, ...] = ()
    lost: str = ""  # why nothing is known of the traffic


def judge_live(look: Look, policy: Policy) -> Judgement:
    """The word for this moment of the bake."""
    served = look.candidate
    readings = findings_of(look.answers, policy.slo)
    if look.lost:
        unknown = Finding(name="live traffic", word=Word.INVALID, message=look.lost)
        return conclude((unknown, *readings))
    if served is None:
        return conclude((_unseen(look), *readings))
    sure = _sureness(look, policy)
    return conclude(
        (
            _bake(look, served, policy),
            *_share(look, served),
            *(_errors(o, served, sure) for o in policy.slo.objectives if isinstance(o, ErrorSlo)),
            *_more_errors(look, served, policy.slo, sure),
            *(
                _latency(o, served, sure)
                for o in policy.slo.objectives
                if isinstance(o, LatencySlo)
            ),
            *readings,
            _counted(look, served),
        )
    )


def has_errors(findings: tuple[Finding, ...], policy: Policy) -> bool:
    """Users get errors, by a blocking objective: that is worth a cold incumbent."""
    named = {o.name or LIVE_ERRORS for o in policy.slo.objectives if isinstance(o, ErrorSlo)}
    return any(f.word is Word.FAIL and f.blocking and f.name in named for f in findings)


def _unseen(look: Look) -> Finding:
    """No sample of the candidate: too early, or its requests go where nobody counts them."""
    message = "Prometheus has no request of the candidate since the traffic step began"
    others = look.incumbent.requests if look.incumbent else 0
    share = min(look.percent / 100, FULL_SHARE)
    exposed = sequential.sample_ratio_p(0, others, share=share) < MISMATCH_P
    if exposed:
        message += f", while the incumbent answered {others} at {look.percent} % ordered"
    word = Word.INVALID if exposed else Word.INCONCLUSIVE
    return Finding(name="live traffic", word=word, message=message)


@dataclass(frozen=True, slots=True)
class _Sureness:
    """What one test of this step may spend of alpha_fail, and how sure the bound on the other side is."""

    fail: float
    above: float


def _sureness(look: Look, policy: Policy) -> _Sureness:
    steps = policy.traffic.steps
    step = steps.index(look.percent) if look.percent in steps else len(steps) - 1
    kinds = [type(objective) for objective in policy.slo.objectives]
    tests = kinds.count(ErrorSlo) + kinds.count(LatencySlo) + (look.compared and ErrorSlo in kinds)
    fail = sequential.alpha_of_step(
        policy.slo.alpha_fail / max(1, tests), step=step, steps=len(steps)
    )
    return _Sureness(fail, policy.slo.alpha_pass)


def _counted(look: Look, served: Served) -> Finding:
    """Who counted, and whether a counter began again: its process did, so somebody should know."""
    message = f"requests are counted by the preset {look.source} ({PRESETS[look.source].versions})"
    if served.resets:
        message += (
            f"; a counter of the candidate began again {served.resets} times, as after a restart"
        )
    word = Word.INCONCLUSIVE if served.resets else Word.PASS
    return Finding(name="request metrics", word=word, message=message, blocking=False)


def _bake(look: Look, served: Served, policy: Policy) -> Finding:
    """Enough requests for long enough; until then nothing is good yet."""
    wanted, bake = policy.traffic.min_requests, policy.traffic.bake_s
    word, message = Word.PASS, f"{served.requests} candidate requests in {look.elapsed_s:.0f} s"
    if served.requests < wanted:
        word = Word.INCONCLUSIVE
        message = f"only {served.requests} of {wanted} candidate requests so far"
    elif look.elapsed_s < bake:
        word = Word.INCONCLUSIVE
        message = f"baked {look.elapsed_s:.0f} of {bake:g} s"
    return Finding(
        name="live traffic",
        word=word,
        observed=float(served.requests),
        limit=float(wanted),
        message=message,
        samples=served.requests,
    )


def _share(look: Look, served: Served) -> tuple[Finding, ...]:
    """Sample-ratio mismatch: both counts brought to one window, since scrapes are not simultaneous."""
    other = look.incumbent
    if not look.compared:
        return ()
    if other is None or min(served.seconds, other.seconds) <= 0:
        word = Word.INCONCLUSIVE if look.percent < 100 else Word.PASS
        message = "Prometheus has no window of the incumbent yet to check the traffic share by"
        return (Finding(name="traffic share", word=word, message=message),)
    incumbent = round(other.requests * served.seconds / other.seconds)
    total = served.requests + incumbent
    share = min(look.percent / 100, FULL_SHARE)
    p = sequential.sample_ratio_p(served.requests, total, share=share)
    seen = served.requests / total if total else 0.0
    off = p < MISMATCH_P and not (look.percent == 100 and seen > share)
    message = (
        f"the candidate got {served.requests} of {total} requests ({seen:.1%}), "
        f"ordered {look.percent} %"
    )
    if off:
        message += f" (p = {p:.1g}): the split is not what was ordered, so nothing can be compared"
    lower, upper = statistics.ratio_bounds(served.requests, total, alpha=MISMATCH_P / 2)
    return (
        Finding(
            name="traffic share",
            word=Word.INVALID if off else Word.PASS if total else Word.INCONCLUSIVE,
            observed=seen if total else None,
            lower=lower if total else None,
            upper=upper if total else None,
            limit=look.percent / 100,
            message=message,
            samples=total,
        ),
    )


def _errors(objective: ErrorSlo, served: Served, sure: _Sureness) -> Finding:
    log_e = sequential.log_e_over_limit(served.errors, served.requests, limit=objective.limit)
    fired = sequential.fires(log_e, sure.fail)
    lower, upper = _error_bounds(served, sure)
    message = f"{served.errors} of {served.requests} live requests answered 5xx, limit {objective.limit:g}"
    return Finding(
        name=objective.name or LIVE_ERRORS,
        word=Word.FAIL if fired else _quiet(log_e, served.requests),
        observed=served.errors / served.requests if served.requests else None,
        lower=lower,
        upper=upper,
        limit=objective.limit,
        message=message + (f" {_odds(log_e)}" if fired else ""),
        blocking=objective.blocks,
        warns=objective.warns,
        samples=served.requests,
    )


def _error_bounds(served: Served, sure: _Sureness) -> tuple[float | None, float | None]:
    if not served.requests:
        return None, None
    return sequential.ratio_bounds(
        served.errors, served.requests, alpha_below=sure.fail, alpha_above=sure.above
    )


def _more_errors(look: Look, served: Served, slo: Slo, sure: _Sureness) -> tuple[Finding, ...]:
    """Against the incumbent in the same window: a candidate within its limit may still fail far more."""
    objectives = [one for one in slo.objectives if isinstance(one, ErrorSlo)]
    other = look.incumbent
    if not objectives or other is None or not other.requests or not served.requests:
        return ()
    log_e = sequential.log_e_over_incumbent(
        served.errors, other.errors, served.requests, other.requests
    )
    mine, theirs = served.errors / served.requests, other.errors / other.requests
    harmful = served.errors > 0 and mine >= TIMES_THE_ERRORS * theirs
    fired = harmful and sequential.fires(log_e, sure.fail)
    lower, upper = _error_bounds(served, sure)
    quiet = Word.INCONCLUSIVE if harmful and log_e >= LEANING else Word.PASS
    message = (
        f"{served.errors} of {served.requests} live requests of the candidate answered 5xx, "
        f"{other.errors} of {other.requests} of the incumbent"
    )
    return (
        Finding(
            name=f"{LIVE_ERRORS} vs incumbent",
            word=Word.FAIL if fired else quiet,
            observed=mine,
            lower=lower,
            upper=upper,
            limit=TIMES_THE_ERRORS * theirs,
            message=message + (f" {_odds(log_e)}" if fired else ""),
            blocking=any(one.blocks for one in objectives),
            warns=any(one.warns for one in objectives),
            samples=served.requests,
        ),
    )


def _quiet(log_e: float, requests: int) -> Word:
    """No alarm is not yet good: there must be requests, and no better odds for a harm than against it."""
    return Word.PASS if requests and log_e <= 0 else Word.INCONCLUSIVE


def _odds(log_e: float) -> str:
    return f"(evidence {math.exp(min(log_e, 40)):.3g} : 1 that it is above)"


def _latency(objective: LatencySlo, served: Served, sure: _Sureness) -> Finding:
    """Requests over the limit as the buckets tell: FAIL by the fewest, PASS by the most there can be.

    A bucket that straddles the limit and holds the quantile is INCONCLUSIVE.
    """
    fewest, most = served.latency.over(objective.limit_ms)
    share, total = 1 - objective.quantile, served.requests
    surely = sequential.log_e_over_limit(fewest, total, limit=share)
    perhaps = sequential.log_e_over_limit(most, total, limit=share)
    word = Word.FAIL if sequential.fires(surely, sure.fail) else _quiet(perhaps, total)
    if word is Word.PASS and fewest < most and most > share * total:
        word = Word.INCONCLUSIVE
    count = f"{most}" if fewest == most else f"between {fewest} and {most}"
    message = (
        f"live {quantile_name(objective.quantile)}: {count} of {total} requests over "
        f"{objective.limit_ms:g} ms (allowed {share:.3g} of them)"
    )
    if fewest != most:
        message += "; the limit is no bucket edge of the histogram, choose one"
    if word is Word.FAIL:
        message += f" {_odds(surely)}"
    lower, upper = quantile_bounds(
        served.latency, total, share=share, alpha_below=sure.fail, alpha_above=sure.above
    )
    return Finding(
        name=objective.name or f"live {quantile_name(objective.quantile)} latency",
        word=word,
        observed=served.latency.shown(objective.quantile),
        lower=lower,
        upper=upper,
        limit=objective.limit_ms,
        unit="ms",
        message=message,
        blocking=objective.blocks,
        warns=objective.warns,
        samples=total,
    )
