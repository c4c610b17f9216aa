"""calibrate: how often this policy's gate errs, before anybody trusts it with a release.

Load tests of the policy's own size are simulated at known differences and judged by the gate's own code.
Only what a load report can tell is judged so: latencies, absolute and against the incumbent; nothing fails.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from tidegate.documents import Arm, ArmSummary, Block, LoadReport, Strict, Word
from tidegate.errors import DocumentError
from tidegate.operations.simulation import Arms, Floats, gamma, judged, queues
from tidegate.policy import LatencySlo, Load, Policy, RelativeLatencySlo, Slo

TOGETHER = 50  # consecutive requests that stay so, and with them how alike neighbours are
MOST_APART = 0.15  # of the rate that the latencies were measured at
USUAL = (1.0, 1.3, 2.0)

Source = Callable[[np.random.Generator, float], Iterator[Arms]]


class Rate(Strict):
    """What the gate said of candidates whose latencies are this many times the incumbent's."""

    slower: float
    runs: int
    words: dict[Word, int]

    def share(self, word: Word) -> float:
        """How often it said this."""
        return self.words.get(word, 0) / self.runs


class Calibration(Strict):
    """How a policy's gate errs; a rate of runs has a standard error of at most 0.5/sqrt(runs)."""

    basis: str
    rates: tuple[Rate, ...]


def calibrated(policy: Policy, source: Source, *, basis: str, runs: int, seed: int) -> Calibration:
    """Judge `runs` simulated load tests for each difference: none, the margins, 30 % and twofold.

    Raises DocumentError when no objective can be judged so.
    """
    slo = _judgeable(policy.slo)
    margins = {1 + one.margin for one in slo.objectives if isinstance(one, RelativeLatencySlo)}
    rates = [
        _rate(slo, policy.load, source, slower=slower, runs=runs, seed=seed)
        for slower in sorted({*USUAL, *margins})
    ]
    return Calibration(basis=basis, rates=tuple(rates))


def _judgeable(slo: Slo) -> Slo:
    kept = tuple(o for o in slo.objectives if isinstance(o, LatencySlo | RelativeLatencySlo))
    if not any(one.severity == "blocking" for one in kept):
        raise DocumentError(
            "slo.objectives: none is a blocking latency objective, so there is nothing to calibrate; "
            "add one of kind latency or relative_latency"
        )
    return slo.model_copy(update={"objectives": kept})


def _rate(slo: Slo, load: Load, source: Source, *, slower: float, runs: int, seed: int) -> Rate:
    words: Counter[Word] = Counter()
    for run in range(runs):  # the same draws for every difference
        looks = source(np.random.default_rng([seed, run]), slower)
        words[judged(looks, slo, load).word] += 1
    return Rate(slower=slower, runs=runs, words=dict(words))


def lines(calibration: Calibration) -> Iterator[str]:
    """For people."""
    yield f"on {calibration.basis}, {calibration.rates[0].runs} load tests each:"
    for rate in calibration.rates:
        said = ", ".join(
            f"{word.value} {rate.share(word):.1%}" for word in Word if rate.words.get(word)
        )
        name = "an equal candidate" if rate.slower == 1 else f"{rate.slower - 1:+.0%} latency"
        yield f"  {name}: {said}"
    yield f"false alarms: {calibration.rates[0].share(Word.FAIL):.1%} of equal candidates FAIL"


# -- what the latencies are drawn from


def from_queue(load: Load, *, service_ms: float, cv: float, drift: float) -> tuple[Source, str]:
    """One queue with gamma service times; the source and its description. Raises DocumentError."""
    utilisation = load.rate_rps * service_ms / 1000
    if not 0 < utilisation < 1:
        raise DocumentError(
            f"a service of {service_ms:g} ms cannot take load.rate_rps {load.rate_rps:g}: it would be "
            f"busy {utilisation:.0%} of the time; lower the rate or --service-ms"
        )
    service = gamma(service_ms, cv)

    def source(rng: np.random.Generator, slower: float) -> Iterator[Arms]:
        return queues(rng, load, service, drift=drift, slower=slower)

    basis = (
        f"a queue at {load.rate_rps:g} rps with service times of {service_ms:g} ms (cv {cv:g}), "
        f"{utilisation:.0%} busy, drifting by {drift:.0%}"
    )
    return source, basis


def from_report(report: LoadReport, load: Load) -> tuple[Source, str]:
    """A real load test's own latencies of the incumbent (or the only arm), in runs of neighbours.

    Moving blocks of TOGETHER requests (Kuensch, Annals of Statistics 17, 1989) out of one measured block
    make a simulated one; a pair comes out of two measured blocks that followed each other, so that what
    drifts between them is in it. Raises DocumentError when they were measured at another rate.
    """
    arm = report.baseline or report.candidate
    if abs(arm.total_rate_rps - load.rate_rps) > MOST_APART * load.rate_rps:
        raise DocumentError(
            f"the report's {arm.arm} was measured at {arm.total_rate_rps:g} rps, the policy asks for "
            f"load.rate_rps {load.rate_rps:g}; at another rate it waits otherwise: measure it again"
        )
    measured = [one for one in _by_block(arm, report.blocks) if len(one) >= TOGETHER]
    if len(measured) < 2:
        raise DocumentError(
            f"the report has {len(measured)} blocks of {TOGETHER} answers or more, 2 are needed; give "
            f"one of a whole load test"
        )

    def source(rng: np.random.Generator, slower: float) -> Iterator[Arms]:
        for _ in range(load.max_extensions + 1):
            first, swap = (
                rng.integers(0, len(measured) - 1, load.pairs),
                rng.integers(0, 2, load.pairs),
            )
            yield Arms(
                candidate=slower * _moved(rng, [measured[n] for n in first + swap], load),
                baseline=_moved(rng, [measured[n] for n in first + 1 - swap], load),
            )

    basis = f"the {arm.arm}'s latencies of release {report.release_id}, {len(measured)} blocks"
    return source, basis


def _by_block(arm: ArmSummary, blocks: tuple[Block, ...]) -> list[Floats]:
    """The arm's latencies, block by block in order of time."""
    sizes = [one.offered - one.errors for one in blocks if one.arm is Arm(arm.arm)]
    ends = itertools.accumulate(sizes, initial=0)
    return [np.asarray(arm.latencies_ms[a:b]) for a, b in itertools.pairwise(ends)]


def _moved(rng: np.random.Generator, blocks: list[Floats], load: Load) -> Floats:
    """One simulated block out of each measured one."""
    runs = -(-load.block_requests // TOGETHER)
    rows = [
        block[
            (
                rng.integers(0, len(block) - TOGETHER + 1, runs)[:, None] + np.arange(TOGETHER)
            ).ravel()
        ]
        for block in blocks
    ]
    return np.asarray(rows)[:, : load.block_requests]
