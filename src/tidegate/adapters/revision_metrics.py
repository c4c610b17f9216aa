"""What is counted of each revision's requests, read from Prometheus: who counts depends on the mode."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidegate.adapters.prometheus import Prometheus, gap, staleness
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
from tidegate.documents import Deployment
from tidegate.errors import RejectedError, UnavailableError
from tidegate.policy import Policy

MARGIN_S = 60.0  # samples before the window, so that growth has a base
WINDOWS_S = (15.0, 60.0, 300.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One histogram of requests: its name, how it names namespace and revision, and its unit."""

    metric: str
    namespace: str
    revision: str
    code: str
    unit_ms: float
    reporter: str = ""  # a label by which both ends of a request may count it


SOURCES: Mapping[str, Source] = {
    # Knative's queue-proxy (1.19.8, 1.20.1 and newer); the revision is a label because a PodMonitor copies
    # it from the pod. Buckets end at 5, 10, 25, 50, 75, 100, 250, 500, 750 ms and so on.
    "Knative": Source(
        metric="kn_serving_invocation_duration_seconds",
        namespace="namespace",
        revision="serving_knative_dev_revision",
        code="http_response_status_code",
        unit_ms=1000.0,
    ),
    # Istio's gateway and sidecars; a Deployment goes by its Service's name. Buckets end at 0.5, 1, 5, 10,
    # 25, 50, 100, 250, 500 ms and so on.
    "Standard": Source(
        metric="istio_request_duration_milliseconds",
        namespace="destination_service_namespace",
        revision="destination_service_name",
        code="response_code",
        unit_ms=1.0,
        reporter="reporter",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionMetrics:
    """Request metrics by revision of one namespace; `pods` is known where the metrics do not tell it."""

    prometheus: Prometheus
    namespace: str
    source: Source = SOURCES["Knative"]
    pods: Mapping[str, int] = field(default_factory=dict)

    def _selector(self, suffix: str, revision: str) -> str:
        one = self.source
        labels = f'{one.namespace}="{self.namespace}",{one.revision}="{revision}"'
        return f"{one.metric}_{suffix}{{{labels}}}"

    def _series(self, suffix: str, revision: str, *, window_s: float) -> tuple[Series, ...]:
        selector = self._selector(suffix, revision)
        found = self.prometheus.series(selector, window_s=window_s)
        if not is_finite(found):
            raise RejectedError(f"{selector} has samples that are no number; repair its exporter")
        return of_one_end(found, self.source.reporter)

    def served(self, revision: str, *, elapsed_s: float) -> tuple[Served | None, str]:
        """What a revision answered in the last `elapsed_s`, and words when its series are stale.

        Raises UnavailableError or RejectedError.
        """
        found = self._series("bucket", revision, window_s=elapsed_s + MARGIN_S)
        now = self.prometheus.now()
        stale = staleness(found, now=now) or gap(found, since=now - elapsed_s) if found else ""
        code, unit_ms = self.source.code, self.source.unit_ms
        return served(found, since=now - elapsed_s, code_label=code, unit_ms=unit_ms), stale

    def production(self, revision: str) -> Production:
        """The rate of requests to a revision just now: over 15 s, or more where scrapes are rarer.

        A revision without series has served nobody yet: rate 0.
        """
        try:
            found = self._series("count", revision, window_s=MARGIN_S * 5)
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
            found = self._series("count", revision, window_s=elapsed_s + MARGIN_S)
            since = self.prometheus.now() - elapsed_s
        except (UnavailableError, RejectedError) as error:
            return Production(rate_rps=None, why=str(error))
        window = span(found, since=since)
        if window is None or window[1] <= window[0]:
            return Production(rate_rps=None, why=f"no request metrics of {revision}")
        total = sum(growth(one.samples, since=since, first=window[0]) for one in found)
        if total < 0.5 * sent:
            why = f"{self.source.metric} of {revision} counts {total:.0f} requests, {sent} were sent to it"
            return Production(rate_rps=None, why=why)
        return Production(rate_rps=max(0.0, total - sent) / (window[1] - window[0]))

    def replicas(self, revision: str) -> int:
        """How many pods a revision has, as known or as scraped; 1 when that cannot be told."""
        if revision in self.pods:
            return max(1, self.pods[revision])
        selector = self._selector("count", revision)
        answer = self.prometheus.number(f"count(count by (instance, pod) ({selector}))")
        return max(1, round(answer.value)) if answer.value is not None else 1


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
    url = settings().prometheus_url
    if not url:
        return None, f"{VARIABLES['prometheus_url']} is not set, so Prometheus cannot be asked"
    return Prometheus(url=url, budget_s=budget_s), ""


def open_metrics(
    policy: Policy, deployed: Deployment, *, budget_s: float = 15.0
) -> tuple[RevisionMetrics | None, str]:
    """The request metrics of a deployment's revisions, or None and why they are not asked."""
    asked, why = open_prometheus(policy, budget_s=budget_s)
    if asked is None:
        return None, why
    metrics = RevisionMetrics(
        prometheus=asked,
        namespace=deployed.namespace,
        source=SOURCES[deployed.mode],
        pods=deployed.pods,
    )
    return metrics, ""
