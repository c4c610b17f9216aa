"""A search measures few settings, none twice, none that cannot be better, and finds nearly the best."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.tuning import measured
from tests.core.tuning.surface import SPACE, Surface
from tidegate.core.tuning import outcome, search
from tidegate.core.tuning.objective import objective_of
from tidegate.core.tuning.pruning import why_not
from tidegate.core.tuning.space import powers
from tidegate.core.tuning.start import first_setting
from tidegate.documents import OpenLoop, Setting, Trial
from tidegate.policy import Slo

SETTINGS = SPACE.settings()
BUDGET = search.budget_for(len(SETTINGS))
surfaces = st.builds(
    Surface,
    fixed_ms=st.floats(0.05, 5),
    row_ms=st.floats(0.01, 5),
    cores=st.sampled_from((1, 2, 4)),
    saved=st.floats(0, 0.5),
    limit_ms=st.floats(5, 200),
)


def start_on(surface: Surface) -> Setting:
    service = {rows: surface.service_ms(rows, 1) for rows in powers(64)}
    return first_setting(service, SPACE, limit_ms=surface.limit_ms, cores=surface.cores)


def searched(surface: Surface) -> list[Trial]:
    trials: list[Trial] = []
    start = start_on(surface)
    following: Setting | None = start
    while following is not None and len(trials) < BUDGET.search:
        trials.append(surface.trial(following))
        following = search.next_setting(SPACE, trials, start, limit_ms=surface.limit_ms)
    return trials


@given(surface=surfaces)
@settings(max_examples=60)
def test_a_search_finds_95_percent_of_the_best_with_a_fifth_of_the_measurements(
    surface: Surface,
) -> None:
    trials, best = searched(surface), surface.best_rps()
    assert len(trials) + BUDGET.finalists <= len(SETTINGS) // 5
    if best:
        assert max(trial.rps for trial in trials) >= 0.95 * best


def found_on_measured(start_batch: int, seed: int, noise: float) -> float:
    """The share of the best that the winner of a search of measured settings has."""
    drawn, trials = random.Random(seed), list[Trial]()
    budget = search.budget_for(len(measured.SPACE.settings()))
    start = Setting(max_batch_size=start_batch, instances=2, threads=1, queue_delay_us=0)
    following: Setting | None = start
    while following is not None and len(trials) < budget.search - 1:
        trials.append(measured.trial(following, "search", drawn, noise))
        following = search.next_setting(measured.SPACE, trials, start, limit_ms=measured.LIMIT_MS)
    for one in search.finalists(trials, budget.finalists):
        trials.append(measured.trial(one, "finalist", drawn, noise))
    winner = search.ranking(trials)[0].setting
    return measured.trial(winner, "search", drawn, 0).rps / measured.best_rps()


def test_a_search_of_a_machine_that_was_measured_finds_95_percent_in_spite_of_noise() -> None:
    shares = [found_on_measured(b, seed, noise=0.05) for b in (8, 16, 32) for seed in range(20)]
    assert sum(share >= 0.95 for share in shares) >= 0.9 * len(shares)


@given(surface=surfaces)
@settings(max_examples=30)
def test_no_setting_is_measured_twice_or_lies_outside_of_the_space(surface: Surface) -> None:
    seen = [trial.setting for trial in searched(surface)]
    assert len(seen) == len(set(seen))
    assert set(seen) <= set(SETTINGS)


@given(surface=surfaces)
@settings(max_examples=20)
def test_what_is_pruned_is_never_better_than_what_was_measured(surface: Surface) -> None:
    trials = searched(surface)
    found = max(trial.rps for trial in trials)
    for one in SETTINGS:
        if why_not(one, trials, limit_ms=surface.limit_ms):
            assert surface.trial(one).rps <= max(found, 1e-9) * 1.001


def test_a_level_that_kept_the_limit_by_its_median_rules_nothing_out_by_its_tail() -> None:
    small, larger = (
        Setting(max_batch_size=n, instances=1, threads=1, queue_delay_us=0) for n in (4, 8)
    )
    level = Surface(fixed_ms=1, row_ms=1, cores=2, saved=0, limit_ms=100).level(small, 4)
    slow = level.model_copy(update={"p50_ms": 5.0, "p95_ms": 15.0, "keeps_limit": True})
    kept = Trial(setting=small, origin="start", levels=(slow,))
    broken = Trial(
        setting=small, origin="start", levels=(slow.model_copy(update={"keeps_limit": False}),)
    )
    assert why_not(larger, [kept], limit_ms=10) == ""
    assert why_not(larger, [broken], limit_ms=10)


def test_where_one_request_alone_breaks_the_limit_nothing_else_of_those_threads_is_measured() -> (
    None
):
    surface = Surface(fixed_ms=30, row_ms=1, cores=2, saved=0.1, limit_ms=10)
    trials = searched(surface)
    assert [trial.setting.threads for trial in trials] == [2, 1]
    left = outcome.left_out(SETTINGS, trials, limit_ms=10)
    assert left == {"one request alone breaks the limit": len(SETTINGS) - 2}


def test_an_infeasible_search_says_how_far_off_it_is_and_where() -> None:
    surface = Surface(fixed_ms=30, row_ms=1, cores=2, saved=0.1, limit_ms=10)
    said = outcome.how_far_off(searched(surface), objective_of(Slo(), p99_ms=10))
    assert said.startswith(
        "no setting kept p99 within 10 ms: the best p99 was 41.85 ms, 4.19 x the limit, with batch 1 x 1 "
        "instance(s) x 2 thread(s) and 1 in flight; "
    )


def test_a_search_where_answers_are_wrong_says_so_instead_of_a_latency() -> None:
    level = Surface(fixed_ms=1, row_ms=1, cores=2, saved=0, limit_ms=100).level(SETTINGS[0], 1)
    broken = level.model_copy(update={"wrong": 400, "keeps_limit": False})
    trial = Trial(setting=SETTINGS[0], origin="start", levels=(broken,))
    said = outcome.how_far_off([trial], objective_of(Slo(), p99_ms=100))
    assert said.startswith("no setting kept errors within 0.10%: 400 of 1000 requests failed")


def test_finalists_are_measured_again_only_where_they_lie_close_together() -> None:
    def at(n: int, rps: float) -> Trial:
        surface = Surface(fixed_ms=1, row_ms=1, cores=2, saved=0, limit_ms=1000)
        level = surface.level(SETTINGS[n], 1).model_copy(update={"throughput_rps": rps})
        return Trial(setting=SETTINGS[n], origin="search", levels=(level,))

    trials = [at(0, 100), at(1, 95), at(2, 80), at(3, 91)]
    assert search.finalists(trials, 3) == (SETTINGS[0], SETTINGS[1], SETTINGS[3])
    assert search.finalists(trials[::2], 3) == ()


def test_what_was_measured_for_longer_counts_instead_of_what_was_measured_first() -> None:
    surface = Surface(fixed_ms=1, row_ms=1, cores=2, saved=0, limit_ms=1000)
    level = surface.level(SETTINGS[0], 1)
    lucky = Trial(setting=SETTINGS[0], origin="search", levels=(level,))
    again = [
        Trial(
            setting=SETTINGS[n],
            origin="finalist",
            levels=(level.model_copy(update={"throughput_rps": rps}),),
        )
        for n, rps in ((0, 50.0), (1, 60.0))
    ]
    assert [trial.rps for trial in search.ranking([lucky, *again])] == [60.0, 50.0]


def test_an_open_loop_counts_against_a_winner_only_where_the_generator_was_fit() -> None:
    surface = Surface(fixed_ms=1, row_ms=1, cores=2, saved=0, limit_ms=100)
    confirmed = surface.trial(SETTINGS[0])
    broken = OpenLoop(
        rate_rps=50, share=0.2, requests=100, errors=0, p50_ms=90, p99_ms=250, keeps_limit=False
    )
    late = broken.model_copy(update={"client_bound": "requests left 30 ms late"})
    objective = objective_of(Slo(), p99_ms=100)
    assert outcome.is_broken([broken])
    assert "breaks the limit (250.0 ms at 50 rps)" in outcome.reason(
        [confirmed], confirmed, [broken], objective
    )
    assert not outcome.is_broken([broken, late])
    said = outcome.reason([confirmed], confirmed, [broken, late], objective)
    assert said.endswith("not known with Poisson arrivals: requests left 30 ms late")


def test_a_winner_that_is_not_surely_within_the_limit_on_fresh_data_is_told_with_its_requests() -> (
    None
):
    surface = Surface(fixed_ms=1, row_ms=1, cores=2, saved=0, limit_ms=100)
    kept = surface.trial(SETTINGS[0])
    unsure = kept.levels[0].model_copy(update={"keeps_limit": None, "requests": 40})
    fresh = kept.model_copy(update={"levels": (unsure,), "origin": "fresh data"})
    said = outcome.reason([kept], fresh, [], objective_of(Slo(), p99_ms=100))
    assert said.startswith("no setting that kept p99 within 100 ms in the search surely keeps it")
    assert "on 40 requests with batch 1 x 1 instance(s) x 1 thread(s)" in said
