"""The winner on rows that the search has not seen: by the gate's test in a closed loop, then in an open."""

from collections.abc import Sequence

from tidegate.adapters.fleet import Fleet
from tidegate.adapters.load import Schedule, arrivals
from tidegate.core import measured
from tidegate.core.tuning import levels, search
from tidegate.documents import OpenLoop, Trial
from tidegate.operations.tuning.measuring import Measuring
from tidegate.steps.progress import say

COMMAND = "tune"
LONGER = 4.0  # the gate's test needs 300 answers to be sure of a p99, and more where some are slow
PLACES = 3  # so many of the best are tried until one holds
SHARES = (
    0.9,
    0.8,
    0.7,
    0.6,
    0.5,
    0.4,
    0.3,
    0.2,
)  # a queue at its capacity has no bound (Kingman, 1961)
OPEN_LOOP = 3.0  # times the length of a level of the search


def confirmed(
    measuring: Measuring, unseen: Fleet, trials: Sequence[Trial], seed: int
) -> tuple[Trial | None, tuple[OpenLoop, ...]]:
    """The first of the best settings that surely keeps the limit, and the open loops up to the one that does.

    None and no loops when none does.
    """
    last = None
    for trial in search.ranking(trials)[:PLACES]:
        last = measuring.again(unseen, trial, LONGER)
        if last.best is not None:
            say(COMMAND, f"on rows of its own, {last.setting}: {last.rps:.0f} rps")
            return last, open_loops(measuring, unseen, last, seed)
        say(COMMAND, f"{last.setting} does not surely keep the limit on rows of its own")
    return last, ()


def open_loops(
    measuring: Measuring, unseen: Fleet, winner: Trial, seed: int
) -> tuple[OpenLoop, ...]:
    """Poisson arrivals at falling shares of the closed loop's throughput until one keeps the limit."""
    found: list[OpenLoop] = []
    for share in SHARES:
        found.append(_open_loop(measuring, unseen, winner.rps, share, seed))
        loop = found[-1]
        shown = "no answer" if loop.p99_ms is None else f"p99 {loop.p99_ms:.1f} ms"
        bound = f" (not judged: {loop.client_bound})" if loop.client_bound else ""
        say(COMMAND, f"with Poisson arrivals at {loop.rate_rps:.0f} rps: {shown}{bound}")
        if loop.keeps_limit:
            break
    return tuple(found)


def _open_loop(
    measuring: Measuring, unseen: Fleet, rps: float, share: float, seed: int
) -> OpenLoop:
    rate = share * rps
    requests = max(measuring.pace.requests, round(OPEN_LOOP * measuring.pace.step_s * rate))
    starts = arrivals("poisson", requests=requests, duration_s=requests / rate, seed=seed)
    block = unseen.send(Schedule(starts=starts), lambda _: None, watch_every_s=60)
    latencies = block.latencies_ms
    return OpenLoop(
        rate_rps=rate,
        share=share,
        requests=block.offered,
        errors=block.unanswered + block.wrong,
        p50_ms=measured.quantile(latencies, 0.5),
        p99_ms=measured.quantile(latencies, 0.99),
        keeps_limit=levels.keeps(block, measuring.objective),
        client_bound=measured.generator([block], measuring.load).message,
    )
