"""Which setting is measured next, from everything that was measured so far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tidegate.core.tuning.pruning import why_not
from tidegate.core.tuning.space import TRADES, Space
from tidegate.documents import Setting, Trial

SHARE = 5  # of the space: the search takes at most one in so many
LEAST = 6
FINALISTS = 3
CLOSE = 0.10  # of the best: within what short measurements of one setting differ

RIVAL = 0.25

Score = tuple[bool, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Measurements in all, and how many of them are kept for the finalists."""

    measurements: int
    finalists: int

    @property
    def search(self) -> int:
        """What the search itself may take."""
        return self.measurements - self.finalists


def budget_for(settings: int, wanted: int = 0) -> Budget:
    """A fifth of the space, or what was asked for; never more than there is. A quarter is for finalists."""
    total = min(wanted or max(LEAST, settings // SHARE), 2 * settings)
    return Budget(measurements=total, finalists=min(FINALISTS, total // 4))


def score(trial: Trial) -> Score:
    """What is better is larger: first whether the limit is kept, then throughput, or how near p99 came."""
    if trial.best is not None:
        return True, trial.rps
    nearest = trial.nearest
    return False, -(nearest.p99_ms or 0.0) if nearest else float("-inf")


def next_setting(
    space: Space, trials: Sequence[Trial], start: Setting, *, limit_ms: float
) -> Setting | None:
    """The next setting, never one that was measured or needs no measurement; None when none is left.

    First the neighbours of the best along one axis, in the direction that gained most; where those with
    another batch are known, before the others the best with batches that fill and the longest wait, which no
    step along one axis reaches. Then the neighbours of its rivals, the best settings that divide the cores
    otherwise and are not far behind: each may have a larger batch of its own. Then the best's diagonals.
    """
    if not trials:
        return start
    known = {trial.setting: score(trial) for trial in trials}
    best, *rivals = _centres(known)
    beside = _open_ways(space, trials, best, known, limit_ms)
    if not any(_is_batch(best, way[3]) for way in beside):
        filled = _filled(space, trials)
        if filled and not why_not(filled, trials, limit_ms=limit_ms):
            return filled
    for centre, most in ((best, 1), *((rival, 1) for rival in rivals), (best, 2)):
        ways = _open_ways(space, trials, centre, known, limit_ms)
        allowed = [way for way in ways if way[1] <= most]
        if allowed:
            return min(allowed, key=lambda way: way[:3])[3]
    return None


def _filled(space: Space, trials: Sequence[Trial]) -> Setting | None:
    """The largest batch that what is in flight fills in every instance, and the longest wait for it.

    Such a batch is sent as soon as it is full, so the wait costs nothing; a larger one is never full, and
    waits in vain. Without a wait the server takes what has come so far, and batches stay small. Of the best,
    and once for each number of instances and threads: steps find the way from there.
    """
    best, longest = max(trials, key=score), space.queue_delay_us[-1]
    one, most = best.setting, best.best.concurrency if best.best else 0
    fits = [size for size in space.max_batch_size if 1 < size <= most // one.instances]
    known = {_cores(trial.setting) for trial in trials if trial.setting.queue_delay_us == longest}
    if not fits or _cores(one) in known:
        return None
    return one.model_copy(update={"max_batch_size": fits[-1], "queue_delay_us": longest})


def _is_batch(one: Setting, other: Setting) -> bool:
    """Whether they differ by their batch alone."""
    return one.model_copy(update={"max_batch_size": other.max_batch_size}) == other


def _cores(one: Setting) -> tuple[int, int]:
    """How it divides the cores."""
    return one.instances, one.threads


def _centres(known: Mapping[Setting, Score]) -> tuple[Setting, ...]:
    """The best, then the best of every other number of instances and threads that is not far below it."""
    ordered = sorted(known, key=lambda one: known[one], reverse=True)
    first: dict[tuple[int, int], Setting] = {}
    for one in ordered:
        first.setdefault(_cores(one), one)
    best = known[ordered[0]]
    return tuple(one for one in first.values() if not _below(known[one], best, RIVAL))


Way = tuple[
    float, int, int, Setting
]  # what is known of it, its axes, its place; smaller is tried first


def _open_ways(
    space: Space,
    trials: Sequence[Trial],
    centre: Setting,
    known: Mapping[Setting, Score],
    limit_ms: float,
) -> list[Way]:
    return [
        (-_gain(space, centre, steps, known), _rank(steps), n, moved)
        for n, (steps, moved) in enumerate(space.beside(centre))
        if moved not in known
        and not _is_hopeless(space, centre, steps, known)
        and not why_not(moved, trials, limit_ms=limit_ms)
    ]


def _rank(steps: dict[str, int]) -> int:
    return 1 if steps in TRADES else len(steps)


def _gain(
    space: Space, centre: Setting, steps: dict[str, int], known: Mapping[Setting, Score]
) -> float:
    """How much better the centre is than the setting one step behind it; 0 where that is not known."""
    behind = space.moved(centre, {axis: -way for axis, way in steps.items()})
    if len(steps) > 1 or behind is None or behind not in known:
        return 0.0
    (kept, value), (was_kept, before) = known[centre], known[behind]
    if kept != was_kept:
        return 1.0 if kept else -1.0
    return (value - before) / max(abs(value), 1e-9)


def _is_hopeless(
    space: Space, centre: Setting, steps: dict[str, int], known: Mapping[Setting, Score]
) -> bool:
    """A diagonal between two ways that are both far worse leads nowhere, unless it is a trade."""
    if len(steps) == 1 or sum(steps.values()) == 0:
        return False
    beside = [space.moved(centre, {axis: way}) for axis, way in steps.items()]
    best = known[centre]
    return all(
        one is not None and one in known and _below(known[one], best, CLOSE) for one in beside
    )


def _below(one: Score, best: Score, share: float) -> bool:
    return one[0] < best[0] or (one[0] == best[0] and one[1] < best[1] - share * abs(best[1]))


def finalists(trials: Sequence[Trial], most: int) -> tuple[Setting, ...]:
    """The best settings that lie so close together that a short measurement cannot tell them apart."""
    ordered = sorted((t for t in trials if t.best), key=score, reverse=True)
    near = [t.setting for t in ordered if t.rps >= (1 - CLOSE) * ordered[0].rps]
    return tuple(dict.fromkeys(near))[:most] if len(near) > 1 else ()


def ranking(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """Settings that keep the limit, best first. What was measured again and for longer counts instead of
    what was measured first, and stands before everything that was measured once and is close to it."""
    again = [t for t in trials if t.origin == "finalist"]
    first = [t for t in trials if t.origin != "finalist"]
    seen = {t.setting for t in again}
    rest = sorted((t for t in first if t.best and t.setting not in seen), key=score, reverse=True)
    return (*sorted((t for t in again if t.best), key=score, reverse=True), *rest)
