"""What is counted of each revision's requests, read from Prometheus by the preset of who counts them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from tidegate.adapters.prometheus import Prometheus, gap, staleness
from tidegate.adapters.prometheus_access import Access
from tidegate.config import VARIABLES, settings
from tidegate.core.counters import (
    Series,
    Served,
    growth,
    is_finite,
    of_one_end,
    scrape_interval,
    served,
    span,
)
from tidegate.core.load_plan import Production
from tidegate.core.readings import Reading, pods_of
from tidegate.documents import Deployment
from tidegate.errors import RejectedError, UnavailableError
from tidegate.policy import Policy
from tidegate.policy.presets import BY_MODE, PRESETS, Preset, Requests
from tidegate.policy.promql import filled

MARGIN_S = 60.0  # samples before the window, so that growth has a base
WINDOWS_S = (15.0, 60.0, 300.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionMetrics:
    """Request metrics by revision of one namespace; `pods` is known where the metrics do not tell it."""

    prometheus: Prometheus
    namespace: str
    preset: Preset = PRESETS["knative"]
    pods: Mapping[str, int] = field(default_factory=dict)

    @property
    def requests(self) -> Requests:
        """How the preset counts requests; the policy allows only presets that do."""
        assert self.preset.requests is not None
        return self.preset.requests

    @property
    def counts(self) -> tuple[str, ...]:
        """The counters that together count every request."""
        return self.requests.counters or (f"{self.requests.histogram}_count",)

    def _selector(self, metric: str, revision: str, further: str = "") -> str:
        one = self.requests
        labels = f'{one.namespace}="{self.namespace}",{one.revision}="{revision}"'
        return f"{metric}{{{','.join(filter(None, (labels, further)))}}}"

    def _series(
        self, metric: str, revision: str, *, window_s: float, further: str = ""
    ) -> tuple[Series, ...]:
        selector = self._selector(metric, revision, further)
        found = self.prometheus.series(selector, window_s=window_s)
        if not is_finite(found):
            raise RejectedError(f"{selector} has samples that are no number; repair its exporter")
        return of_one_end(found, self.requests.reporter)

    def _counted(self, revision: str, *, window_s: float) -> tuple[Series, ...]:
        """The counters of all requests."""
        return tuple(
            one for name in self.counts for one in self._series(name, revision, window_s=window_s)
        )

    def served(self, revision: str, *, elapsed_s: float) -> tuple[Served | None, str]:
        """What a revision answered in the last `elapsed_s`, and words when its series are stale.

        Raises UnavailableError or RejectedError.
        """
        one, window_s = self.requests, elapsed_s + MARGIN_S
        bucket = f"{one.histogram}_bucket"
        buckets = self._series(bucket, revision, window_s=window_s) if one.histogram else ()
        totals = self._counted(revision, window_s=window_s) if one.counters else ()
        failures: tuple[Series, ...] = ()
        if one.failures:
            failures = self._series(one.failures, revision, window_s=window_s, further=one.failing)
        now = self.prometheus.now()
        found = buckets + totals + failures
        stale = staleness(found, now=now) or gap(found, since=now - elapsed_s) if found else ""
        counted = served(
            buckets,
            since=now - elapsed_s,
            code_label=one.code,
            unit_ms=one.unit_ms,
            totals=totals,
            failures=failures,
        )
        return counted, stale

    def peak(self, name: str, *, window_s: float) -> Reading:
        """The highest rate of a whole InferenceService over any 5 minutes of the last window, per second."""
        one = self.requests
        service = filled(one.service_of, name=name)
        labels = f'{one.namespace}="{self.namespace}",{one.service}=~"{service}"'
        if one.reporter:
            labels += f',{one.reporter}!="destination"'
        rates = " + ".join(f"sum(rate({count}{{{labels}}}[5m]))" for count in self.counts)
        return self.prometheus.number(f"max_over_time(({rates})[{math.ceil(window_s)}s:1m])")

    def requests_within(self, revision: str, *, window_s: float) -> int:
        """How many requests a revision served in the window. Raises UnavailableError or RejectedError."""
        found = self._counted(revision, window_s=window_s + MARGIN_S)
        since = self.prometheus.now() - window_s
        window = span(found, since=since)
        first = window[0] if window else since
        return round(sum(growth(one.samples, since=since, first=first) for one in found))

    def production(self, revision: str) -> Production:
        """The rate of requests to a revision just now: over 15 s, or more where scrapes are rarer.

        A revision without series has served nobody yet: rate 0.
        """
        try:
            found = self._counted(revision, window_s=MARGIN_S * 5)
            now = self.prometheus.now()
        except (UnavailableError, RejectedError) as error:
            return Production(rate_rps=None, why=str(error))
        if not found:
            return Production(rate_rps=0.0)
        stale = staleness(found, now=now)
        return Production(rate_rps=None, why=stale) if stale else _recent(found, now)

    def beside(self, revision: str, *, elapsed_s: float, sent: int) -> Production:
        """Production's rate on a revision during the test: what it served, less what we sent."""
        try:
            found = self._counted(revision, window_s=elapsed_s + MARGIN_S)
            since = self.prometheus.now() - elapsed_s
        except (UnavailableError, RejectedError) as error:
            return Production(rate_rps=None, why=str(error))
        window = span(found, since=since)
        if window is None or window[1] <= window[0]:
            return Production(rate_rps=None, why=f"no request metrics of {revision}")
        total = sum(growth(one.samples, since=since, first=window[0]) for one in found)
        if total < 0.5 * sent:
            why = f"{self.counts[0]} of {revision} counts {total:.0f} requests, {sent} were sent to it"
            return Production(rate_rps=None, why=why)
        return Production(rate_rps=max(0.0, total - sent) / (window[1] - window[0]))

    def replicas(self, revision: str, *, untold: int = 0) -> int:
        """How many pods a revision has, as known or as scraped; `untold` when that cannot be told, or 1.

        A pod that has answered nobody yet has no series of requests, but `up` where its scrape is labelled.
        What deploy has seen (Standard mode) counts where no pod is scraped by its name: an HPA, or KEDA, may
        have made it another number since.
        """
        if revision in self.pods:
            named = f'up{{namespace="{self.namespace}",pod=~"{pods_of(revision)}"}}'
            now = self.prometheus.number(f"count(count by (pod) ({named}))").value
            return max(1, (untold or self.pods[revision]) if now is None else round(now))
        asked = f"count(count by (instance, pod) ({self._selector(self.counts[0], revision)}))"
        scraped = f"count(count by (pod) ({self._selector('up', revision)}))"
        found = [self.prometheus.number(query).value for query in (asked, scraped)]
        told = [round(value) for value in found if value is not None]
        return max([1, *(told or [untold])])


def _recent(found: tuple[Series, ...], now: float) -> Production:
    """The rate over the shortest window that holds two scrapes."""
    for window in WINDOWS_S:
        covered = span(found, since=now - window)
        if covered and covered[1] - covered[0] >= min(
            window / 2, 2 * (scrape_interval(found) or window)
        ):
            grown = sum(growth(one.samples, since=now - window, first=covered[0]) for one in found)
            return Production(rate_rps=grown / (covered[1] - covered[0]))
    return Production(rate_rps=None, why="fewer than two scrapes of the incumbent in 5 minutes")


def open_prometheus(policy: Policy, *, budget_s: float = 15.0) -> tuple[Prometheus | None, str]:
    """Prometheus and '', or None and why it is not asked."""
    if not policy.slo.prometheus:
        return None, "slo.prometheus is false, so Prometheus is not asked"
    where = settings()
    if not where.prometheus_url:
        return None, f"{VARIABLES['prometheus_url']} is not set, so Prometheus cannot be asked"
    try:
        access = Access.of(where)
    except RejectedError as error:
        return None, str(error)
    return Prometheus(url=where.prometheus_url, access=access, budget_s=budget_s), ""


def open_metrics(
    policy: Policy, deployed: Deployment, *, budget_s: float = 15.0
) -> tuple[RevisionMetrics | None, str]:
    """The request metrics of a deployment's revisions, or None and why they are not asked."""
    asked, why = open_prometheus(policy, budget_s=budget_s)
    if asked is None:
        return None, why
    try:
        preset = preset_for(asked, policy.slo.source, deployed.mode)
    except (UnavailableError, RejectedError) as error:
        return None, str(error)
    by_service = deployed.mode == "Standard"  # as the mesh counts; elsewhere its pods are scraped
    metrics = RevisionMetrics(
        prometheus=asked,
        namespace=deployed.namespace,
        preset=preset,
        pods=deployed.pods if by_service else {},
    )
    return metrics, ""


def preset_for(prometheus: Prometheus, source: str, mode: str) -> Preset:
    """The policy's, or the mode's; of several eras the newest that Prometheus has series of.

    Raises UnavailableError or RejectedError.
    """
    if source != "auto":
        return PRESETS[source]
    eras = [PRESETS[name] for name in BY_MODE[mode]]
    if len(eras) == 1:
        return eras[0]
    counters = {f"{era.requests.histogram}_count": era for era in eras if era.requests}
    present = prometheus.metric_names("|".join(counters))
    return next((era for name, era in counters.items() if name in present), eras[0])
