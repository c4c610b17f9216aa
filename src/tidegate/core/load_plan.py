"""Plans the load test: which block goes to whom, at which rate, for how long, and whether that is fair.

The incumbent serves production beside the test's load, so an equal test load would make it look slower
than it is and hide a slow candidate: the incumbent gets only what production leaves ("matched load"). A
dedicated baseline serves nobody else, so it gets what the candidate gets.
"""

from dataclasses import dataclass, replace

from tidegate.documents import Arm, Finding, Word
from tidegate.errors import DocumentError
from tidegate.policy import Load

MOST_UNEQUAL = 0.15  # total rates per replica may differ by this much
MOST_BASELINE_ERRORS = 0.01
LEAST_BASELINE = (
    0.1  # of the candidate's rate: fewer requests would say nothing about the incumbent
)
DEFAULT_PAIRS, DEFAULT_REQUESTS = 20, 1000
WINDOWS = 6  # of a warm-up, at least (core.warm_up)
LEAST_WINDOW = 10  # requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Production:
    """What others send to the baseline: production, or nobody to a dedicated one. Rate None when it could
    not be asked, with the reason."""

    rate_rps: float | None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedBlock:
    """One block of load; windows of the warm-up are sent and not judged."""

    arm: Arm
    pair: int
    rate_rps: float
    requests: int
    duration_s: float
    warmup: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """The judged blocks in order, and one window of each arm's warm-up."""

    blocks: tuple[PlannedBlock, ...]
    windows: tuple[PlannedBlock, ...]
    candidate_rps: float
    baseline_rps: float | None  # None: candidate alone
    warmup_s: float = 0.0  # of all arms, at least
    replicas: tuple[int, int] = (1, 1)  # the candidate's and the incumbent's that the rates are for

    @property
    def duration_s(self) -> float:
        """How long all of it takes when nothing stalls and no warm-up is drawn out."""
        return self.warmup_s + sum(block.duration_s for block in self.blocks)


def plan(
    load: Load,
    *,
    has_incumbent: bool,
    production: Production,
    replicas: tuple[int, int] = (1, 1),
) -> LoadPlan:
    """Lay out warm-up and ABBA blocks, so that a replica of either arm (candidate's, incumbent's) serves the
    same total. Raises DocumentError when they do not fit max_duration_s."""
    compared = has_incumbent and load.baseline != "none"
    wanted = load.rate_rps * replicas[1] / replicas[0]
    left = min(load.max_rate_rps, wanted - (production.rate_rps or 0.0))
    rates = {Arm.CANDIDATE: load.rate_rps, Arm.BASELINE: max(left, LEAST_BASELINE * load.rate_rps)}
    duration = load.block_requests / load.rate_rps
    order = _order(load.pairs) if compared else tuple((n, Arm.CANDIDATE) for n in range(load.pairs))
    arms = (Arm.CANDIDATE, Arm.BASELINE) if compared else (Arm.CANDIDATE,)
    windows = tuple(_window(arm, rates[arm], load) for arm in arms if load.warmup_s > 0)
    planned = LoadPlan(
        blocks=tuple(_block(arm, pair, rates[arm], duration) for pair, arm in order),
        windows=windows,
        candidate_rps=load.rate_rps,
        baseline_rps=rates[Arm.BASELINE] if compared else None,
        warmup_s=sum(max(load.warmup_s, WINDOWS * one.duration_s) for one in windows),
        replicas=replicas,
    )
    _check_fits(planned, load, duration)
    return planned


def extended(planned: LoadPlan, load: Load, extension: int) -> tuple[PlannedBlock, ...]:
    """The judged blocks once more, as further pairs: extension 1 follows the plan itself."""
    offset = extension * load.pairs
    return tuple(replace(block, pair=block.pair + offset) for block in planned.blocks)


def _order(pairs: int) -> tuple[tuple[int, Arm], ...]:
    """A B, B A, A B ...: a drift of the machine meets both arms alike."""
    forth, back = (Arm.CANDIDATE, Arm.BASELINE), (Arm.BASELINE, Arm.CANDIDATE)
    return tuple((n, arm) for n in range(pairs) for arm in (back if n % 2 else forth))


def _block(arm: Arm, pair: int, rate: float, duration: float) -> PlannedBlock:
    requests = max(1, round(rate * duration))
    return PlannedBlock(arm=arm, pair=pair, rate_rps=rate, requests=requests, duration_s=duration)


def _window(arm: Arm, rate: float, load: Load) -> PlannedBlock:
    """A part of the warm-up that is long enough to have a median."""
    duration = max(load.warmup_s / WINDOWS, LEAST_WINDOW / rate)
    return replace(_block(arm, 0, rate, duration), warmup=True)


def _check_fits(planned: LoadPlan, load: Load, block_s: float) -> None:
    judged = sum(block.duration_s for block in planned.blocks)
    curve = len(load.curve.concurrencies) * load.curve.max_step_s if load.curve else 0.0
    longest = planned.duration_s + load.max_extensions * judged + curve
    if longest <= load.max_duration_s:
        return
    raise DocumentError(
        f"load: {len(planned.blocks)} blocks of {load.block_requests} requests at "
        f"{planned.candidate_rps:g} rps ({block_s:.1f} s each), {planned.warmup_s:.0f} s of warm-up and "
        f"{curve:.0f} s of curve take {longest:.0f} s with {load.max_extensions} extensions, more than "
        f"max_duration_s {load.max_duration_s:g}; lower pairs or block_requests, or raise rate_rps or "
        "max_duration_s"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fairness:
    """Whether the arms can be compared, in words with the numbers, and each arm's total rate per replica."""

    fair: bool
    text: str
    candidate_rps: float
    baseline_rps: float
    replicas: tuple[int, int] = (1, 1)


def fairness(
    planned: LoadPlan,
    *,
    has_incumbent: bool,
    before: Production,
    during: Production,
    replicas: tuple[int, int] = (1, 1),
    dedicated: str = "",
) -> Fairness:
    """Compare the arms' total rates per replica (candidate's, baseline's), with what others sent as it was
    measured DURING the test. `dedicated`: the InferenceService that the baseline is, in place of the
    incumbent's own."""
    if planned.baseline_rps is None:
        text = "the policy asks for no baseline" if has_incumbent else "no incumbent"
        text += f", {replicas[0]} replicas of the candidate" * (replicas[0] > 1)
        return Fairness(
            fair=True,
            text=f"{text}: absolute objectives only",
            candidate_rps=planned.candidate_rps / replicas[0],
            baseline_rps=0.0,
            replicas=replicas,
        )
    total = planned.baseline_rps + (during.rate_rps or 0.0)
    candidate, baseline = planned.candidate_rps / replicas[0], total / replicas[1]
    unknown = _unknown(before, during, dedicated)
    off = abs(candidate - baseline) / max(candidate, baseline)
    pods = "" if replicas == (1, 1) else f", on {replicas[0]} and {replicas[1]} replicas"
    named = f"dedicated baseline {dedicated}" if dedicated else "incumbent"
    others = "others" if dedicated else "production"
    text = unknown or (
        f"matched load per replica: candidate {candidate:.1f} rps, {named} {baseline:.1f} rps "
        f"({planned.baseline_rps:.1f} of load + {during.rate_rps or 0.0:.1f} of {others}{pods}), "
        f"{off:.0%} apart (allowed {MOST_UNEQUAL:.0%})"
    )
    if not unknown and off > MOST_UNEQUAL:
        moved = _moved(planned.replicas) if planned.replicas != replicas else ""
        text += f"; {_advice(candidate, baseline, replicas, moved, dedicated)}"
    return Fairness(
        fair=not unknown and off <= MOST_UNEQUAL,
        text=text,
        candidate_rps=candidate,
        baseline_rps=baseline,
        replicas=replicas,
    )


def _moved(before: tuple[int, int]) -> str:
    return (
        f"pods came or went during the test, which was planned for {before[0]} of the candidate and "
        f"{before[1]} of the incumbent: load.max_extensions lets it begin again"
    )


def replanned(before: tuple[int, int], now: tuple[int, int]) -> Finding:
    """What was sent until the pods came or went is no evidence; the report says that it was sent."""
    message = (
        f"planned for {before[0]} pods of the candidate and {before[1]} of the incumbent; now there are "
        f"{now[0]} and {now[1]}, so the rates are planned and the blocks are sent anew"
    )
    return Finding(name="pods under load", word=Word.PASS, blocking=False, message=message)


def _advice(
    candidate: float, baseline: float, replicas: tuple[int, int], moved: str, dedicated: str
) -> str:
    """What made a replica of one arm do more than one of the other."""
    if candidate > baseline:
        return "a replica of the candidate had more to do: it may look slow because it is small"
    if replicas[0] != replicas[1]:
        return "they did not scale alike: set serving.min_replicas to serving.max_replicas"
    if moved:
        return moved
    if not dedicated:
        return "raise load.rate_rps above production's rate"
    return "somebody else sends to it: find out who"


def _unknown(before: Production, during: Production, dedicated: str) -> str:
    if dedicated and during.rate_rps is None:
        return (
            f"what reached the dedicated baseline {dedicated} during the test is not known ({during.why}), "
            "so neither is whether the load on both arms was the same"
        )
    for when, production in (("before", before), ("during", during)):
        if production.rate_rps is None:
            return (
                f"production's rate {when} the test is not known ({production.why}), so the load on "
                f"candidate and incumbent cannot be matched"
            )
    return ""


def reduced(load: Load) -> str:
    """How this is less evidence than the defaults; '' when it is not."""
    less = []
    if load.pairs < DEFAULT_PAIRS:
        less.append(f"{load.pairs} block pairs instead of {DEFAULT_PAIRS}")
    if load.block_requests < DEFAULT_REQUESTS:
        less.append(f"{load.block_requests} requests per block instead of {DEFAULT_REQUESTS}")
    return ", ".join(less)


def failing_baseline(fair: Fairness, *, requests: int, bad: int) -> Fairness:
    """A baseline that fails is no yardstick: refusals are fast, timeouts are slow."""
    if not requests or bad <= MOST_BASELINE_ERRORS * requests:
        return fair
    text = f"the baseline failed {bad} of {requests} requests of the test; {fair.text}"
    return replace(fair, fair=False, text=text)


def cached(hits: int, sent: int) -> Finding:
    """INVALID: what the server's response cache answered says nothing of the model's speed."""
    return Finding(
        name="response cache",
        word=Word.INVALID,
        observed=float(hits),
        limit=0.0,
        samples=sent,
        message=f"the server's response cache answered {hits} of {sent} requests; switch response_cache off "
        "for the release, or send captured requests (load.capture) that do not repeat",
    )
