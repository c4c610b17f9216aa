"""What a dashboard shows, without a word of Grafana's: titles, units, queries and the variables in them."""

from dataclasses import dataclass
from typing import Literal

Look = Literal["timeseries", "stat", "gauge", "timeline", "table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """PromQL with Grafana's variables, and the legend of its series."""

    promql: str
    legend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture. `unit` is Grafana's id of a unit (ms, s, percent, percentunit, reqps, bytes, watt ...)."""

    title: str
    unit: str
    queries: tuple[Query, ...]
    look: Look = "timeseries"
    description: str = ""
    wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A list to choose from: the values of a label of a metric, all of them at first."""

    name: str
    metric: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """`uid` is its address in Grafana and the name of its file."""

    uid: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    annotated: bool = False  # with what tidegate notes at each step of traffic


def panel(
    title: str,
    unit: str,
    promql: str,
    legend: str,
    *,
    look: Look = "timeseries",
    description: str = "",
    wide: bool = False,
) -> Panel:
    """A panel of one query."""
    asked = (Query(promql=promql, legend=legend),)
    return Panel(
        title=title, unit=unit, queries=asked, look=look, description=description, wide=wide
    )


def ratio(numerator: str, denominator: str, *, by: str, times: str = "") -> str:
    """The growth of one counter per growth of another, over Grafana's own choice of window."""
    above, below = (
        f"sum by ({by}) (rate({one}[$__rate_interval]))" for one in (numerator, denominator)
    )
    return f"{above} / {below}{times}"


def rate(counter: str, *, by: str) -> str:
    """The growth of a counter per second."""
    return f"sum by ({by}) (rate({counter}[$__rate_interval]))"


def quantile(q: float, buckets: str, *, by: str) -> str:
    """Of a classic histogram."""
    return f"histogram_quantile({q:g}, {rate(buckets, by=f'{by}, le')})"
