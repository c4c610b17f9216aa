"""Load tests that were never sent: latencies drawn from a queue, or from a real load test's own.

What a gate says of them is counted by `tidegate calibrate` and by benchmarks/gate, because there the truth
is known. Latencies are arrays of (pairs, requests of a block) in ms, by arm.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegate.core.measured import quantile_index
from tidegate.core.slo import Judgement, judge, per_look
from tidegate.documents import Arm, ArmSummary, Block, Generator, LoadReport, Subject, Word
from tidegate.policy import Load, Slo

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]

SUBJECT = Subject(model="simulated", version="1", digest="sha256:" + "0" * 64)
FIT = Generator(lag_p99_ms=0.0, cpu_share=0.0, delivered_ratio=1.0, saturated=False)
PERSISTENCE = 0.9  # of the machine's drift from one block to the next


def gamma(mean_ms: float, cv: float) -> Draw:
    """Service times of a mean and a coefficient of variation."""
    shape = 1 / cv**2
    return lambda rng, size: np.asarray(rng.gamma(shape, mean_ms / shape, size))


def arrivals(rng: np.random.Generator, load: Load, blocks: int) -> Floats:
    """Intended starts in ms, (blocks, requests), as load-test draws them."""
    length, requests = 1000 * load.block_requests / load.rate_rps, load.block_requests
    if load.arrivals == "constant":
        return np.tile(np.arange(requests) * length / requests, (blocks, 1))
    return np.asarray(np.sort(rng.uniform(0, length, (blocks, requests)), axis=1))


def sojourns(service_ms: Floats, starts_ms: Floats) -> Floats:
    """What requests wait and take, one server first come first served: (blocks, requests) in ms.

    Lindley's recursion (Proceedings of the Cambridge Philosophical Society 48, 1952) by partial sums: the
    wait is the walk of service minus gap above its lowest point. A block begins idle, as load-test's do.
    """
    steps = service_ms[:, :-1] - np.diff(starts_ms, axis=1)
    walk = np.concatenate([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)], axis=1)
    return np.asarray(walk - np.minimum.accumulate(walk, axis=1) + service_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms:
    """Latencies of both arms, (pairs, requests) in ms; a row of each is a pair."""

    candidate: Floats
    baseline: Floats

    def and_then(self, more: "Arms") -> "Arms":
        """With further pairs."""
        return Arms(
            candidate=np.concatenate([self.candidate, more.candidate]),
            baseline=np.concatenate([self.baseline, more.baseline]),
        )


def queues(
    rng: np.random.Generator,
    load: Load,
    service: Draw,
    *,
    drift: float = 0.0,
    slower_service: float = 1.0,
    slower: float = 1.0,
) -> Iterator[Arms]:
    """One load test of two M/G/1 queues: its pairs, and those of each extension when they are asked for.

    The machine's speed drifts by `drift` (relative) from block to block. The candidate's service takes
    `slower_service` times the incumbent's, and its latencies `slower` times what its queue makes of them.
    """
    size, looks = (load.pairs, load.block_requests), load.max_extensions + 1
    machine = drifting(rng, len_blocks=2 * load.pairs * looks, spread=drift).reshape(looks, -1, 1)
    mine = np.tile([True, False, False, True], load.pairs)[: 2 * load.pairs]  # A B, B A, in time
    for speeds in machine:
        taken = service(rng, size) * speeds[mine] * slower_service
        usual = service(rng, size) * speeds[~mine]
        yield Arms(
            candidate=slower * sojourns(taken, arrivals(rng, load, load.pairs)),
            baseline=sojourns(usual, arrivals(rng, load, load.pairs)),
        )


def judged(looks: Iterator[Arms], slo: Slo, load: Load) -> Judgement:
    """What the gate says in the end: an INCONCLUSIVE load test is extended as long as there are more."""
    arms = next(looks)
    said = _said(arms, slo, load)
    for more in looks:
        if said.word is not Word.INCONCLUSIVE:
            break
        arms = arms.and_then(more)
        said = _said(arms, slo, load)
    return said


def _said(arms: Arms, slo: Slo, load: Load) -> Judgement:
    return judge(load_report(arms, load), per_look(slo, load), first_release=False)


def drifting(rng: np.random.Generator, *, len_blocks: int, spread: float) -> Floats:
    """The machine's slowness from block to block: exp of a first-order autoregression around 0."""
    steps = rng.normal(0, spread, len_blocks)
    for n in range(1, len_blocks):
        steps[n] = PERSISTENCE * steps[n - 1] + np.sqrt(1 - PERSISTENCE**2) * steps[n]
    return np.asarray(np.exp(steps))


def load_report(arms: Arms, load: Load) -> LoadReport:
    """The report that load-test would have written of these latencies, nothing failed."""
    return LoadReport(
        subject=SUBJECT,
        release_id="simulated",
        started_s=0.0,
        ended_s=1.0,
        protocol=load.protocol,
        candidate=_summary(Arm.CANDIDATE, arms.candidate, load),
        baseline=_summary(Arm.BASELINE, arms.baseline, load),
        blocks=(
            *_blocks(Arm.CANDIDATE, arms.candidate, load),
            *_blocks(Arm.BASELINE, arms.baseline, load),
        ),
        generator=FIT,
        fairness="simulated at equal rates",
        fair=True,
    )


def _summary(arm: Arm, latencies: Floats, load: Load) -> ArmSummary:
    p50, p95, p99 = _quantiles(latencies.reshape(1, -1))[0]
    return ArmSummary(
        arm=arm,
        host=arm.value,
        revision=arm.value,
        requests=latencies.size,
        errors=0,
        wrong=0,
        rate_rps=load.rate_rps,
        total_rate_rps=load.rate_rps,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        max_ms=float(latencies.max()),
        latencies_ms=tuple(latencies.ravel().tolist()),
    )


def _blocks(arm: Arm, latencies: Floats, load: Load) -> tuple[Block, ...]:
    requests = latencies.shape[1]
    return tuple(
        Block(
            arm=arm,
            pair=pair,
            started_s=0.0,
            duration_s=requests / load.rate_rps,
            offered=requests,
            delivered=requests,
            errors=0,
            wrong=0,
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
        )
        for pair, (p50, p95, p99) in enumerate(_quantiles(latencies))
    )


def _quantiles(latencies: Floats) -> list[list[float]]:
    """p50, p95 and p99 of each row."""
    ordered = np.sort(latencies, axis=1)
    at = [quantile_index(share, latencies.shape[1]) for share in (0.5, 0.95, 0.99)]
    quantiles: list[list[float]] = ordered[:, at].tolist()
    return quantiles
