"""What a search comes to: fields for the policy, or how far off everything was."""

from collections import Counter
from collections.abc import Sequence

from tidegate.core.tuning.objective import Objective
from tidegate.core.tuning.pruning import why_not
from tidegate.documents import CurvePoint, OpenLoop, Setting, Trial


def policy_fields(setting: Setting) -> str:
    """The `triton:` section, for the policy file."""
    return (
        "triton:\n"
        f"  max_batch_size: {setting.max_batch_size}\n"
        f"  instances: {setting.instances}\n"
        f"  max_queue_delay_us: {setting.queue_delay_us}\n"
        f"  threads: {setting.threads}\n"
    )


def reason(
    trials: Sequence[Trial],
    confirmed: Trial | None,
    loops: Sequence[OpenLoop],
    objective: Objective,
) -> str:
    """The outcome in one line."""
    if confirmed is None:
        return how_far_off(trials, objective)
    if confirmed.best is None:
        return _unsure(confirmed, objective)
    best = confirmed.best
    within = f"p99 {best.p99_ms:.1f} ms (limit: {objective.name} {objective.limit_ms:g} ms)"
    told = f"{confirmed.setting}: {best.throughput_rps:.0f} rps at {within} on rows of its own"
    if is_broken(loops):
        last = loops[-1]
        seen = f" ({last.p99_ms:.1f} ms at {last.rate_rps:.0f} rps)" if last.p99_ms else ""
        return (
            f"{told}, but with arrivals that do not wait for answers even a small share of it breaks the "
            f"limit{seen}; raise the limit or make the model faster"
        )
    bound = (
        "; the generator was the bottleneck, the server may do more"
        if confirmed.client_bound
        else ""
    )
    return f"{told}; {_open(loops)}{bound}"


def _unsure(confirmed: Trial, objective: Objective) -> str:
    """What kept the limit in the search, and on rows of its own not, or not surely."""
    nearest, name, limit_ms = confirmed.nearest, objective.name, objective.limit_ms
    if nearest is None:
        return f"{confirmed.setting} kept the limit in the search, and answered nothing on rows of its own"
    if _fails(nearest, objective.max_errors):
        return (
            f"{confirmed.setting} kept the limit in the search, and on rows of its own "
            f"{nearest.errors + nearest.wrong} of {nearest.requests} requests failed or were wrong; correct "
            "the model or its golden rows first"
        )
    seen = nearest.p99_ms or 0.0
    return (
        f"no setting that kept {name} within {limit_ms:g} ms in the search surely keeps it on rows of its "
        f"own: p99 was {seen:.2f} ms, {seen / limit_ms:.2f} x the limit, on {nearest.requests} requests with "
        f"{confirmed.setting} and {nearest.concurrency} in flight; give --step-s more, or raise the limit"
    )


def is_broken(loops: Sequence[OpenLoop]) -> bool:
    """Whether the open loop says that no share keeps the limit; a generator that was late says nothing."""
    return bool(loops) and not loops[-1].keeps_limit and not loops[-1].client_bound


def _open(loops: Sequence[OpenLoop]) -> str:
    if loops and loops[-1].keeps_limit:
        return f"{loops[-1].rate_rps:.0f} rps with Poisson arrivals"
    why = loops[-1].client_bound if loops else "it was not run"
    return f"not known with Poisson arrivals: {why}"


def how_far_off(trials: Sequence[Trial], objective: Objective) -> str:
    """One line for a search that found nothing: the best p99, against the limit, and where."""
    name, limit_ms, max_errors = objective.name, objective.limit_ms, objective.max_errors
    answered = [(trial, level) for trial in trials for level in trial.levels if level.p99_ms]
    if not answered:
        refused = next((trial.refused for trial in trials if trial.refused), "it was never asked")
        return f"no setting answered at all: {refused}"
    trial, level = min(answered, key=lambda pair: (_fails(pair[1], max_errors), pair[1].p99_ms))
    best = level.p99_ms or 0.0
    if _fails(level, max_errors):
        return (
            f"no setting kept errors within {max_errors:.2%}: {level.errors + level.wrong} of "
            f"{level.requests} requests failed or were wrong with {trial.setting}; correct the model first"
        )
    return (
        f"no setting kept {name} within {limit_ms:g} ms: the best p99 was {best:.2f} ms, "
        f"{best / limit_ms:.2f} x the limit, with {trial.setting} and {level.concurrency} in flight; "
        "raise the limit or make the model faster (optimize.precision, optimize.target)"
    )


def _fails(level: CurvePoint, max_errors: float) -> bool:
    return level.errors + level.wrong > max_errors * level.requests


def left_out(
    settings: Sequence[Setting], trials: Sequence[Trial], *, limit_ms: float
) -> dict[str, int]:
    """How many settings needed no measurement, by reason."""
    known = {trial.setting for trial in trials}
    words = Counter(why_not(one, trials, limit_ms=limit_ms) for one in settings if one not in known)
    words.pop("", None)
    return dict(words)
