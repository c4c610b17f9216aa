"""The search itself: probe, start, steps to better neighbours, finalists again, the winner on fresh data."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tidegate.adapters.fleet import Fleet
from tidegate.adapters.reloading import reloading
from tidegate.core import measured
from tidegate.core.model_config.backends import threads_key
from tidegate.core.model_config.resizing import resized
from tidegate.core.tuning import outcome, search
from tidegate.core.tuning.objective import Objective
from tidegate.core.tuning.space import Space, powers, usual
from tidegate.core.tuning.start import first_setting
from tidegate.documents import OpenLoop, ServiceTime, Setting, Trial, Tuning
from tidegate.documents.tuning import Origin
from tidegate.errors import RejectedError
from tidegate.operations.tuning import fresh, requests
from tidegate.operations.tuning.measuring import Measuring, Pace, sent
from tidegate.operations.tuning.source import Source
from tidegate.steps.progress import say

COMMAND = "tune"
LONGER = 2.0  # a finalist's levels last this many times as long
PROBE_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the person who typed the command wants."""

    objective: Objective
    space: Space
    pace: Pace
    budget: search.Budget
    processes: int = 1
    rate_rps: float = 0.0
    seed: int = 1


def space_for(source: Source, objective: Objective) -> Space:
    """The usual space on this machine."""
    groups = source.config.instance_group
    return usual(
        limit_ms=objective.limit_ms,
        cores=cores(),
        batches=source.config.max_batch_size > 0,
        has_threads=bool(threads_key(source.config.backend, source.config.platform)),
        gpu=any(group.kind == "KIND_GPU" for group in groups),
    )


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0))


@dataclass(slots=True, kw_only=True)
class Search:
    """A search as far as it has come."""

    source: Source
    wanted: Wanted
    measuring: Measuring
    fleet: Fleet  # on the rows of the search
    unseen: Fleet  # on the others
    trials: list[Trial]
    taken: int = 0

    def step(self, setting: Setting, origin: Origin, factor: float = 1) -> Trial:
        """Measure one setting, and say what came of it."""
        trial = self.measuring.trial(self.fleet, setting, origin, factor)
        self.taken += 1
        self.trials.append(trial)
        say(COMMAND, f"{self.taken}/{self.wanted.budget.measurements} {told(trial)}")
        return trial


def told(trial: Trial) -> str:
    """One trial, for people."""
    if trial.refused:
        return f"{trial.setting}: not loaded: {trial.refused}"
    best, nearest = trial.best, trial.nearest
    if best is None:
        seen = f"p99 {nearest.p99_ms:.1f} ms at best" if nearest else "no answer"
        return f"{trial.setting}: no level within the limit, {seen}"
    bound = " (the generator was the bottleneck)" if trial.client_bound else ""
    return (
        f"{trial.setting}: {best.throughput_rps:.0f} rps at p99 {best.p99_ms:.1f} ms, "
        f"{best.concurrency} in flight{bound}"
    )


@contextmanager
def opened(source: Source, wanted: Wanted) -> Iterator[Search]:
    """The server with the model loaded, and a generator on each half of the rows; gone with the block."""
    searched, others = requests.halves(source.golden)
    most = wanted.pace.most_in_flight
    with reloading(source.repository, source.config.name) as server:
        ways = [
            requests.way(server.model, source.config, rows, source.policy, connections=most)
            for rows in (searched, others)
        ]
        with (
            Fleet(way=ways[0], processes=wanted.processes) as fleet,
            Fleet(way=ways[1], processes=wanted.processes) as unseen,
        ):
            measuring = Measuring(
                server=server, config=source.config, objective=wanted.objective, pace=wanted.pace,
                load=source.policy.load,
            )  # fmt: skip
            yield Search(
                source=source, wanted=wanted, measuring=measuring, fleet=fleet, unseen=unseen, trials=[]
            )  # fmt: skip


def tuned(source: Source, wanted: Wanted) -> Tuning:
    """Search, confirm, and tell it all. Raises RejectedError or UnavailableError for a server that fails."""
    with opened(source, wanted) as going:
        version = going.measuring.server.model.server_version()
        service = _service_times(going)
        start = first_setting(
            {one.rows: one.ms for one in service},
            wanted.space,
            limit_ms=wanted.objective.limit_ms,
            cores=cores(),
            rate_rps=wanted.rate_rps,
        )
        say(COMMAND, f"starts at {start}: {_curve(service)}")
        searched(going, start)
        confirmed, loops = fresh.confirmed(going.measuring, going.unseen, going.trials, wanted.seed)
        return _document(going, version, service, start, confirmed, loops)


def searched(going: Search, start: Setting) -> None:
    """Steps to better neighbours until none is left or the budget is, then the finalists for longer."""
    wanted = going.wanted
    following: Setting | None = start
    while following is not None and going.taken < wanted.budget.search:
        going.step(following, "search" if going.trials else "start")
        following = search.next_setting(
            wanted.space, going.trials, start, limit_ms=wanted.objective.limit_ms
        )
    for setting in search.finalists(going.trials, wanted.budget.measurements - going.taken):
        going.step(setting, "finalist", LONGER)


def _service_times(going: Search) -> tuple[ServiceTime, ...]:
    """How long batches of each size take alone, in one load of the largest; counts as one measurement."""
    space, config = going.wanted.space, going.source.config
    largest, threads = space.max_batch_size[-1], space.threads[0]
    setting = Setting(max_batch_size=largest, instances=1, queue_delay_us=0, threads=threads)
    say(COMMAND, f"probing batches up to {max(1, largest)} on one instance")
    if refused := going.measuring.server.load(resized(config, setting)):
        raise RejectedError(f"Triton does not load {config.name} with {setting}: {refused}")
    going.taken += 1
    found = []
    for rows in powers(largest) if largest else (requests.fixed_rows(config),):
        one = requests.batches(going.measuring.server.model, config, going.source.golden, rows)
        with Fleet(way=one) as fleet:
            sent(fleet, 1, Pace(step_s=PROBE_S / 4, requests=2, most_in_flight=1))
            alone = sent(fleet, 1, Pace(step_s=PROBE_S, requests=5, most_in_flight=1))
        taken = measured.quantile(alone.latencies_ms, 0.5)
        if taken is None:
            raise RejectedError(
                f"Triton loads {config.name} and fails on {rows} golden row(s): {alone.first_problem}; "
                "correct the model or its golden data"
            )
        found.append(ServiceTime(rows=rows, ms=taken))
        if taken > going.wanted.objective.limit_ms:
            break
    return tuple(found)


def _curve(service: tuple[ServiceTime, ...]) -> str:
    return ", ".join(f"{one.rows} in {one.ms:.2f} ms" for one in service)


def _document(
    going: Search,
    version: str,
    service: tuple[ServiceTime, ...],
    start: Setting,
    confirmed: Trial | None,
    loops: tuple[OpenLoop, ...],
) -> Tuning:
    wanted, settings = going.wanted, going.wanted.space.settings()
    held = confirmed is not None and confirmed.best is not None and not outcome.is_broken(loops)
    return Tuning(
        model=going.source.config.name,
        server=version,
        limit_quantile=wanted.objective.limit.quantile,
        limit_ms=wanted.objective.limit_ms,
        max_error_share=wanted.objective.max_errors,
        space=settings,
        budget=wanted.budget.measurements,
        measured=going.taken,
        service_times=service,
        start=start,
        trials=tuple(going.trials),
        pruned=outcome.left_out(settings, going.trials, limit_ms=wanted.objective.limit_ms),
        winner=confirmed.setting if confirmed and held else None,
        confirmed=confirmed,
        open_loop=loops,
        reason=outcome.reason(going.trials, confirmed, loops, wanted.objective),
    )
