"""One setting, measured: loaded into the running server, warmed up, then asked at one level after another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tidegate.adapters.fleet import Fleet
from tidegate.adapters.load import Schedule
from tidegate.adapters.reloading import Reloading
from tidegate.core import curve, measured
from tidegate.core.measured import Measured
from tidegate.core.model_config import ModelConfig
from tidegate.core.model_config.resizing import resized
from tidegate.core.tuning import levels
from tidegate.core.tuning.objective import Objective
from tidegate.documents import CurvePoint, Setting, Trial
from tidegate.documents.tuning import Origin
from tidegate.policy import Load

MOST_RPS = 20_000  # of one level; a closed loop of one machine does not get there
WARM_UP_S = 0.3
PATIENCE = 3.0  # times the length of a level, for slow models to answer often enough
FRESH_PATIENCE = 15.0  # where a test must be sure, and not only a comparison fair

Next = Callable[[Sequence[CurvePoint]], int | None]
Judge = Callable[[CurvePoint, Measured], bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long a level lasts: `step_s` and `requests` both, but at most `patience` times step_s."""

    step_s: float
    requests: int
    most_in_flight: int
    patience: float = PATIENCE

    def times(self, factor: float) -> "Pace":
        """The same for longer."""
        return replace(self, step_s=factor * self.step_s, requests=round(factor * self.requests))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measuring:
    """The server, the config as it was written, the rows that it is asked, and what it must keep."""

    server: Reloading
    config: ModelConfig
    objective: Objective
    pace: Pace
    load: Load  # the policy's: how late a generator may be

    def trial(self, fleet: Fleet, setting: Setting, origin: Origin, factor: float = 1) -> Trial:
        """From the level that saturates it down to one that keeps the limit."""

        def following(seen: Sequence[CurvePoint]) -> int | None:
            most, limit_ms = self.pace.most_in_flight, self.objective.limit_ms
            return levels.next_level(seen, setting, most=most, limit_ms=limit_ms)

        pace = self.pace.times(factor)
        return self._measured(fleet, setting, origin, following, self._kept, pace)

    def again(self, fleet: Fleet, trial: Trial, factor: float) -> Trial:
        """On fresh data, at the load that the search found, by the gate's own test."""
        first = trial.best.concurrency if trial.best else 1

        def following(seen: Sequence[CurvePoint]) -> int | None:
            return levels.next_fresh_level(seen, first)

        pace = replace(self.pace.times(factor), patience=FRESH_PATIENCE)
        return self._measured(fleet, trial.setting, "fresh data", following, self._tested, pace)

    def _kept(self, _: CurvePoint, found: Measured) -> bool | None:
        return levels.keeps(found, self.objective)

    def _tested(self, point: CurvePoint, _: Measured) -> bool | None:
        failed = point.errors + point.wrong > self.objective.max_errors * point.requests
        return False if failed else point.keeps_limit

    def _measured(
        self,
        fleet: Fleet,
        setting: Setting,
        origin: Origin,
        following: Next,
        judged: Judge,
        pace: Pace,
    ) -> Trial:
        refused = self.server.load(resized(self.config, setting))
        if refused:
            return Trial(setting=setting, origin=origin, refused=refused)
        first, bound, seen = following(()), False, list[CurvePoint]()
        sent(fleet, first or 1, Pace(step_s=WARM_UP_S, requests=1, most_in_flight=first or 1))
        while (concurrency := following(seen)) is not None:
            found = sent(fleet, concurrency, pace)
            bound = bound or bool(measured.busy(found))
            point = curve.point(concurrency, found, self.objective.limit)
            seen.append(point.model_copy(update={"keeps_limit": judged(point, found)}))
        return Trial(setting=setting, origin=origin, levels=tuple(seen), client_bound=bound)


def sent(fleet: Fleet, concurrency: int, pace: Pace) -> Measured:
    """A closed loop with so many requests in flight."""
    schedule = Schedule(
        starts=(0.0,) * round(MOST_RPS * pace.patience * pace.step_s),
        closed=True,
        workers=concurrency,
        least_s=pace.step_s,
        least_requests=pace.requests,
        most_s=pace.patience * pace.step_s,
    )
    return fleet.send(schedule, lambda _: None, watch_every_s=60)
