"""What the candidate can carry at the latency limit: its rate, its headroom over production, its price.

All three judge the curve of the load test. A rate is the highest level that surely kept the limit, so more
than that is not known to be possible, and less than the limit is a FAIL only where the levels went on.
"""

from tidegate.core.readings import Reading, Trouble
from tidegate.documents import Capacity, Finding, LoadReport, Word
from tidegate.policy import CapacitySlo, CostSlo, ThroughputSlo

SECONDS_PER_HOUR_PER_1000 = 3.6


def judge_throughput(objective: ThroughputSlo, report: LoadReport) -> Finding:
    """The sustained rate of all replicas of the test, requests per second."""
    name, rate, word, why = _sustained(objective.name or "throughput", report.capacity)
    if rate is not None and report.capacity is not None:
        word = _at_least(rate, objective.limit_rps, report.capacity)
        why = f"{rate:.1f} rps sustained, {objective.limit_rps:g} are wanted ({report.capacity.message})"
    return Finding(
        name=name,
        word=word,
        observed=rate,
        limit=objective.limit_rps,
        unit="rps",
        message=f"{name}: {why}",
        blocking=objective.blocks,
        warns=objective.warns,
    )


def judge_cost(objective: CostSlo, report: LoadReport) -> Finding:
    """Price of 1,000 inferences: GPUs * price per hour / (rate * 3.6), of the replicas of the test."""
    name, rate, word, why = _sustained(objective.name or "cost", report.capacity)
    price = None
    if rate is not None and report.capacity is not None:
        gpus = objective.gpus * report.capacity.replicas
        price = objective.gpu_hour * gpus / (rate * SECONDS_PER_HOUR_PER_1000)
        dearest = objective.gpu_hour * gpus / (objective.limit * SECONDS_PER_HOUR_PER_1000)
        word = _at_least(rate, dearest, report.capacity)
        why = (
            f"{price:.4g} per 1,000 inferences, at most {objective.limit:g} is allowed "
            f"({gpus:g} GPUs at {objective.gpu_hour:g} an hour carry {rate:.1f} rps)"
        )
    return Finding(
        name=name,
        word=word,
        observed=price,
        limit=objective.limit,
        unit="per 1k",
        message=f"{name}: {why}",
        blocking=objective.blocks,
        warns=objective.warns,
    )


def judge_capacity(
    objective: CapacitySlo, capacity: Capacity | None, peak: Reading, *, replicas: int
) -> Finding:
    """rate per replica * replicas >= headroom * the peak that production has seen."""
    name, rate, word, why = _sustained(objective.name or "capacity", capacity)
    carried = wanted = None
    if peak.trouble or peak.value is None:
        silent = peak.trouble in (Trouble.EMPTY, Trouble.NAN)
        word = Word(objective.on_no_data) if silent else Word.INVALID
        why = f"production's peak is not known: {peak.trouble or 'no number'} ({peak.detail})"
    elif rate is not None and capacity is not None:
        carried = rate / capacity.replicas * replicas
        wanted = objective.headroom * peak.value
        word = _at_least(carried, wanted, capacity)
        why = (
            f"{replicas} replicas carry {carried:.1f} rps, {wanted:.1f} are wanted "
            f"({objective.headroom:g} times the peak of {peak.value:.1f}; {capacity.message})"
        )
    return Finding(
        name=name,
        word=word,
        observed=carried,
        limit=wanted,
        unit="rps",
        message=f"{name}: {why}",
        blocking=objective.blocks,
        warns=objective.warns,
        query=peak.query,
    )


def _sustained(name: str, capacity: Capacity | None) -> tuple[str, float | None, Word, str]:
    """The name, the rate, and the word and reason where there is none."""
    if capacity is None:
        return name, None, Word.INVALID, "the load test measured no curve; set load.curve"
    if not capacity.rate_rps:
        return name, None, Word.INCONCLUSIVE, f"no rate surely kept the limit ({capacity.message})"
    return name, capacity.rate_rps, Word.INCONCLUSIVE, ""


def _at_least(rate: float, wanted: float, capacity: Capacity) -> Word:
    if rate >= wanted:
        return Word.PASS
    return Word.INCONCLUSIVE if capacity.is_lower_bound else Word.FAIL
