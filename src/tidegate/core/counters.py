"""Counters and histograms as a monitoring system keeps them: growth, quantile brackets, exceedances.

Counters only grow, and start again at 0 with their process; a histogram knows no value between two
bucket edges, so what is asked between them is answered as a bracket. No numpy: steps read these often.
"""

import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Samples of one time series: labels, and (Unix time, value) in order of time."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]


def scrape_interval(series: Iterable[Series]) -> float | None:
    """The usual gap between two samples; None when no series has two."""
    gaps = [
        later[0] - earlier[0]
        for one in series
        for earlier, later in itertools.pairwise(one.samples)
    ]
    return statistics.median(gaps) if gaps else None


def newest(series: Iterable[Series]) -> float | None:
    """Time of the newest sample of all."""
    return max((one.samples[-1][0] for one in series if one.samples), default=None)


def growth(samples: Sequence[tuple[float, float]], *, since: float, first: float) -> float:
    """How much a counter grew between the first sample at or after `since` and the newest one.

    A drop is a restart: the counter began again at 0. A series that appears only after `first`, the
    first scrape of its group, began at 0 too (a response code seen for the first time, a new pod).
    """
    inside = [value for time, value in samples if time >= since]
    if not inside:
        return 0.0
    started_later = next(time for time, _ in samples if time >= since) > first
    total = inside[0] if started_later and len(inside) == len(samples) else 0.0
    for earlier, later in itertools.pairwise(inside):
        total += later - earlier if later >= earlier else later
    return total


def span(series: Iterable[Series], *, since: float) -> tuple[float, float] | None:
    """First and newest sample time at or after `since`, over all series."""
    times = [time for one in series for time, _ in one.samples if time >= since]
    return (min(times), max(times)) if times else None


def longest_gap(series: Iterable[Series], *, since: float) -> float:
    """The longest time without a sample of any series, between two samples at or after `since`."""
    times = sorted({time for one in series for time, _ in one.samples if time >= since})
    return max((later - earlier for earlier, later in itertools.pairwise(times)), default=0.0)


def of_one_end(series: Sequence[Series], reporter: str) -> tuple[Series, ...]:
    """A request that both ends of a connection report, by a label of this name, is counted once: where it
    arrives. A mesh without sidecars at the servers has its gateway's word alone."""
    arrived = tuple(one for one in series if one.labels.get(reporter) == "destination")
    return arrived or tuple(series)


def is_finite(series: Iterable[Series]) -> bool:
    """Whether every sample is a number; a counter that is not cannot be counted with."""
    return all(math.isfinite(value) for one in series for _, value in one.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Finite upper edges in ms (rising), the count at or below each, and the count of all."""

    edges_ms: tuple[float, ...]
    cumulative: tuple[float, ...]
    total: float

    def over(self, limit_ms: float) -> tuple[int, int]:
        """Fewest and most observations over the limit; equal when the limit is a bucket edge."""
        above, below = 0.0, self.total
        for edge, count in zip(self.edges_ms, self.cumulative, strict=True):
            if edge <= limit_ms * (1 + 1e-9):
                below = self.total - count
            if edge >= limit_ms * (1 - 1e-9):
                above = self.total - count
                break
        return round(above), round(below)

    def bracket(self, quantile: float) -> tuple[float, float] | None:
        """The bucket that holds the quantile: its lower and upper edge (inf beyond the last)."""
        if self.total <= 0:
            return None
        wanted, lower = quantile * self.total, 0.0
        for edge, count in zip(self.edges_ms, self.cumulative, strict=True):
            if count >= wanted:
                return lower, edge
            lower = edge
        return lower, math.inf

    def shown(self, quantile: float) -> float | None:
        """The quantile interpolated inside its bucket: for display, never for a decision."""
        found = self.bracket(quantile)
        if found is None:
            return None
        lower, upper = found
        if math.isinf(upper):
            return lower if self.edges_ms else None
        counts = {0.0: 0.0, **dict(zip(self.edges_ms, self.cumulative, strict=True))}
        inside = counts[upper] - counts[lower]
        fraction = (quantile * self.total - counts[lower]) / inside if inside else 1.0
        return lower + (upper - lower) * min(1.0, max(0.0, fraction))


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What one revision answered in a window."""

    requests: int
    errors: int
    latency: Histogram
    started_s: float
    ended_s: float
    resets: int = 0  # how often a counter began again
    interval_s: float = 0.0  # between two scrapes; 0 where it is not known

    @property
    def seconds(self) -> float:
        """Length of the window that the scrapes cover."""
        return self.ended_s - self.started_s


def served(
    buckets: Sequence[Series],
    *,
    since: float,
    code_label: str,
    unit_ms: float = 1000.0,
    totals: Sequence[Series] = (),
    failures: Sequence[Series] = (),
) -> Served | None:
    """Requests, 5xx and latencies since a time from a revision's `_bucket` series; None without samples.

    Where the buckets know no status code `failures` are counted, and where they do not count every request
    (or there are none) `totals` are. Without buckets no latency is known.
    """
    window = span((*buckets, *totals, *failures), since=since)
    if window is None:
        return None
    grown = partial(_grown, since=since, first=window[0])
    infinite = [one for one in buckets if not math.isfinite(_edge(one))]
    total = grown(totals or infinite)
    bad = [one for one in infinite if one.labels.get(code_label, "").startswith("5")]
    return Served(
        requests=round(total),
        errors=round(grown(failures or bad)),
        latency=_histogram(buckets, grown, unit_ms, grown(infinite) if infinite else total),
        started_s=window[0],
        ended_s=window[1],
        resets=_resets((*infinite, *totals), since=since),
        interval_s=scrape_interval((*infinite, *totals)) or 0.0,
    )


def _edge(one: Series) -> float:
    return float(one.labels.get("le", "+Inf"))


def _grown(series: Iterable[Series], *, since: float, first: float) -> float:
    return sum(growth(one.samples, since=since, first=first) for one in series)


def _histogram(
    buckets: Sequence[Series],
    grown: Callable[[Iterable[Series]], float],
    unit_ms: float,
    total: float,
) -> Histogram:
    edges: dict[float, float] = {}
    for one in buckets:
        edge = _edge(one) * unit_ms
        if math.isfinite(edge):
            edges[edge] = edges.get(edge, 0.0) + grown([one])
    ordered = tuple(sorted(edges))
    return Histogram(
        edges_ms=ordered, cumulative=tuple(edges[edge] for edge in ordered), total=total
    )


def _resets(series: Iterable[Series], *, since: float) -> int:
    """The most often that any one counter fell: its process was started again."""
    falls = (
        sum(
            later < earlier
            for (_, earlier), (at, later) in itertools.pairwise(one.samples)
            if at >= since
        )
        for one in series
    )
    return max(falls, default=0)
