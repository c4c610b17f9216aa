"""How much load a setting is given, and where a search begins."""

from dataclasses import replace

from tests.core.tuning.surface import SPACE, Surface
from tidegate.core.curve import Limit
from tidegate.core.measured import Measured, Sent
from tidegate.core.tuning import levels
from tidegate.core.tuning.objective import Objective
from tidegate.core.tuning.space import usual
from tidegate.core.tuning.start import first_setting
from tidegate.documents import CurvePoint, Setting


def setting(batch: int, instances: int = 1, delay: int = 0) -> Setting:
    return Setting(max_batch_size=batch, instances=instances, threads=1, queue_delay_us=delay)


def level(concurrency: int, p99_ms: float, *, keeps: bool, p95_ms: float = 1000.0) -> CurvePoint:
    return CurvePoint(
        concurrency=concurrency, duration_s=1, requests=500, errors=0, wrong=0, throughput_rps=500,
        p50_ms=1, p95_ms=p95_ms, p99_ms=p99_ms, keeps_limit=keeps,
    )  # fmt: skip


def following(*seen: CurvePoint) -> int | None:
    return levels.next_level(seen, setting(16, 2), most=64, limit_ms=20)


def test_the_first_level_is_twice_batch_times_instances_up_to_a_bound() -> None:
    assert levels.saturating(setting(4, 2), most=64) == 16
    assert levels.saturating(setting(64, 2), most=64) == 64
    assert levels.saturating(setting(0), most=64) == 2
    assert following() == 64


def test_a_level_that_keeps_the_limit_is_the_only_one() -> None:
    assert following(level(64, 15, keeps=True)) is None


def test_a_broken_level_says_by_littles_law_how_far_to_go_down_and_then_up_again() -> None:
    first = level(64, 90, keeps=False)
    assert following(first) == 8
    assert following(first, level(8, 9, keeps=True)) == 16
    assert following(first, level(8, 9, keeps=True), level(16, 19, keeps=True)) == 32
    assert following(first, level(8, 9, keeps=True), level(16, 25, keeps=False)) == 12
    ended = (first, level(8, 9, keeps=True), level(16, 25, keeps=False))
    assert following(*ended, level(12, 19, keeps=True)) is None
    assert following(*ended, level(12, 21, keeps=False)) is None


def test_a_level_that_a_tail_alone_has_broken_is_asked_once_more() -> None:
    stalled = level(64, 90, keeps=False, p95_ms=12)
    assert following(stalled) == 64
    assert following(stalled, level(64, 15, keeps=True)) is None
    assert following(stalled, stalled) == 8


def test_one_request_that_breaks_the_limit_ends_a_setting() -> None:
    assert following(level(1, 25, keeps=False)) is None


def objective(quantile: float, limit_ms: float) -> Objective:
    limit = Limit(quantile=quantile, limit_ms=limit_ms, alpha_pass=0.05, alpha_fail=0.01)
    return Objective(limit=limit, max_errors=0.01)


def test_a_level_keeps_the_limit_by_the_objectives_own_quantile_and_by_its_errors() -> None:
    sent = [Sent(due_s=0, latency_s=n / 1000) for n in range(1, 101)]  # 1, 2 ... 100 ms
    found = Measured(offered=100, started_s=0, sent=sent)
    for quantile in (0.5, 0.9, 0.99):
        assert levels.keeps(found, objective(quantile, 100 * quantile + 1))
        assert not levels.keeps(found, objective(quantile, 100 * quantile - 1))
    sent[0].wrong = "another label"
    assert levels.keeps(found, objective(0.5, 60))
    assert not levels.keeps(replace(found, offered=101), objective(0.5, 60))
    assert not levels.keeps(Measured(offered=0, started_s=0), objective(0.5, 60))


def test_on_fresh_data_the_load_falls_until_the_limit_surely_holds() -> None:
    unsure = level(8, 19, keeps=True).model_copy(update={"keeps_limit": None})
    assert levels.next_fresh_level([], 8) == 8
    assert levels.next_fresh_level([unsure], 8) == 6
    assert levels.next_fresh_level([level(4, 9, keeps=True)], 8) is None
    assert levels.next_fresh_level([level(1, 30, keeps=False)], 1) is None


def test_the_start_is_the_smallest_batch_of_nearly_the_best_capacity_within_its_part_of_the_limit() -> (
    None
):
    times = {1: 2.0, 2: 2.2, 4: 2.6, 8: 3.4, 16: 6.6, 32: 13.0, 64: 26.0}
    assert first_setting(times, SPACE, limit_ms=100, cores=2) == setting(8, 2)
    assert first_setting(times, SPACE, limit_ms=6, cores=2) == setting(2, 2)


def test_where_one_row_alone_takes_most_of_the_limit_the_start_has_every_thread() -> None:
    found = first_setting({1: 8.0, 2: 16.0}, SPACE, limit_ms=10, cores=2)
    assert (found.max_batch_size, found.instances, found.threads) == (1, 1, 2)


def test_with_a_rate_there_are_as_many_instances_as_it_needs_and_cores_allow() -> None:
    times = {1: 10.0}  # 100 a second
    for rate, instances in ((50, 1), (100, 2), (1000, 4)):
        found = first_setting(times, SPACE, limit_ms=100, cores=4, rate_rps=rate)
        assert found.instances == instances


def test_the_usual_space_has_no_delay_beyond_a_part_of_the_limit_and_no_oversubscription() -> None:
    space = usual(limit_ms=20, cores=2, batches=True, has_threads=True, gpu=False)
    settings = space.settings()
    assert len(settings) >= 48
    assert max(one.queue_delay_us for one in settings) == 5000
    assert max(one.instances * one.threads for one in settings) == 4
    assert all(one.max_batch_size > 1 for one in settings if one.queue_delay_us)


def test_a_model_without_a_batch_axis_has_neither_batches_nor_delays() -> None:
    space = usual(limit_ms=20, cores=2, batches=False, has_threads=False, gpu=False)
    assert {(s.max_batch_size, s.queue_delay_us, s.threads) for s in space.settings()} == {
        (0, 0, 1)
    }


def test_one_surface_of_the_tests_rises_with_batches_until_rows_alone_count() -> None:
    surface = Surface(fixed_ms=1, row_ms=0.1, cores=2, saved=0, limit_ms=1000)
    rates = [surface.trial(setting(b, 2)).rps for b in (1, 8, 64)]
    assert rates == sorted(rates)
