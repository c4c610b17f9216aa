"""The queue-proxy's metrics of each revision's pods, under Knative's names, from Envoy's own histograms.

Knative renamed them twice; the era is a setting so that query presets can be tried against each.
Revision and pod are not on the newer series (they are labels of the scrape), as in Knative.
"""

import http.server
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tidegate.errors import UnavailableError
from tidegate.sandbox.envoy_config import (
    BUCKETS_MS,
    EDGES_MS,
    HISTOGRAM,
    STAT_PREFIX,
    revision_of,
)
from tidegate.sandbox.interfaces import Key
from tidegate.sandbox.ports import free_port

Era = Literal["revision_app", "queueproxy_app", "serving_invocation"]
_SAMPLE = re.compile(
    rf'envoy_{STAT_PREFIX}_{HISTOGRAM}_(?P<kind>bucket|sum|count)\{{tidegate_cluster="(?P<cluster>[^"]*)",'
    r'tidegate_code="(?P<code>\d+)",tidegate_replica="(?P<replica>[^"]*)"'
    r'(?:,le="(?P<le>[^"]+)")?\} (?P<value>\S+)'
)
_INDEX = {edge: index for index, edge in enumerate(EDGES_MS)}
_MESH = "/mesh/metrics"
_PATH = re.compile(r"/(?P<namespace>[^/]+)/(?P<name>[^/]+?)(?:/(?P<replica>\d+))?/metrics")


@dataclass(slots=True, kw_only=True)
class Histogram:
    """Durations of a revision's answers, or of one pod's, with one status code; buckets are cumulative."""

    buckets: list[int]  # by EDGES_MS, and the last without an end
    sum_ms: float
    count: int

    def up_to(self, edges_ms: Sequence[float]) -> list[int]:
        """The counts at some of the edges, and the whole."""
        return [*(self.buckets[_INDEX[edge]] for edge in edges_ms), self.buckets[-1]]


Histograms = dict[Key, dict[int, Histogram]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionLabels:
    """Whose pod it is, for the labels of its series."""

    namespace: str
    name: str
    service: str
    replica: int = 0


def parse(text: str, replica: int | None = None) -> Histograms:
    """Read Envoy's Prometheus exposition; http and grpc of one revision are one, and so are its pods
    unless a replica is named. Requests that found no pod are the first one's, lest they be lost."""
    found: Histograms = {}
    for match in _SAMPLE.finditer(text):
        key = revision_of(match["cluster"])
        if key is not None and replica in {None, _replica(match["replica"])}:
            histogram = found.setdefault(key, {}).setdefault(int(match["code"]), _empty())
            _add(histogram, match["kind"], match["le"], float(match["value"]))
    return found


def _replica(host: str) -> int:
    return int(host) if host.isdecimal() else 0


def exposition(who: RevisionLabels, codes: Mapping[int, Histogram], era: Era) -> str:
    """One pod's metrics page in the names of the era."""
    return "".join(f"{line}\n" for line in _ERAS[era](who, codes))


def _empty() -> Histogram:
    return Histogram(buckets=[0] * (len(EDGES_MS) + 1), sum_ms=0.0, count=0)


def _add(histogram: Histogram, kind: str, le: str | None, value: float) -> None:
    if kind == "sum":
        histogram.sum_ms += value / 1000
    elif kind == "count":
        histogram.count += int(value)
    elif le == "+Inf":
        histogram.buckets[-1] += int(value)
    elif le is not None:
        histogram.buckets[_INDEX[float(le) / 1000]] += int(value)


def _serving_invocation(who: RevisionLabels, codes: Mapping[int, Histogram]) -> Iterator[str]:
    """Knative 1.19.8, 1.20.1 and later; seconds."""
    yield _target_info(who)
    name = "kn_serving_invocation_duration_seconds"
    yield f"# TYPE {name} histogram"
    for code, histogram in sorted(codes.items()):
        labels = {"http_response_status_code": str(code)}
        yield from _series(name, labels, histogram, per_ms=1000.0)


def _queueproxy_app(who: RevisionLabels, codes: Mapping[int, Histogram]) -> Iterator[str]:
    """Knative 1.19.0 to 1.19.7 and 1.20.0; seconds."""
    yield _target_info(who)
    for name in ("kn_queueproxy_app_duration_seconds", "http_server_request_duration_seconds"):
        yield f"# TYPE {name} histogram"
        for code, histogram in sorted(codes.items()):
            labels = {"http_response_status_code": str(code)}
            yield from _series(name, labels, histogram, per_ms=1000.0)


def _revision_app(who: RevisionLabels, codes: Mapping[int, Histogram]) -> Iterator[str]:
    """Knative up to 1.18; milliseconds, identity on the series, and a counter of its own."""
    for prefix in ("revision_app_request", "revision_request"):
        yield f"# TYPE {prefix}_count counter"
        for code, histogram in sorted(codes.items()):
            yield f"{prefix}_count{_labels(_identity(who, code))} {histogram.count}"
        yield f"# TYPE {prefix}_latencies histogram"
        for code, histogram in sorted(codes.items()):
            yield from _series(f"{prefix}_latencies", _identity(who, code), histogram, per_ms=1.0)


_ERAS: Mapping[Era, Callable[[RevisionLabels, Mapping[int, Histogram]], Iterator[str]]] = {
    "revision_app": _revision_app,
    "queueproxy_app": _queueproxy_app,
    "serving_invocation": _serving_invocation,
}


def _series(
    name: str, labels: Mapping[str, str], histogram: Histogram, *, per_ms: float
) -> Iterator[str]:
    edges = [f"{edge / per_ms:g}" for edge in BUCKETS_MS]
    for edge, count in zip([*edges, "+Inf"], histogram.up_to(BUCKETS_MS), strict=True):
        yield f"{name}_bucket{_labels({**labels, 'le': edge})} {count}"
    yield f"{name}_sum{_labels(labels)} {histogram.sum_ms / per_ms!r}"
    yield f"{name}_count{_labels(labels)} {histogram.count}"


def _target_info(who: RevisionLabels) -> str:
    labels = {
        "service_name": who.service,
        "kn_service_name": who.service,
        "kn_configuration_name": who.service,
        "kn_revision_name": who.name,
        "k8s_namespace_name": who.namespace,
        "k8s_pod_name": pod_name(who.name, who.replica),
    }
    return f"# TYPE target_info gauge\ntarget_info{_labels(labels)} 1"


def _identity(who: RevisionLabels, code: int) -> dict[str, str]:
    return {
        "namespace_name": who.namespace,
        "service_name": who.service,
        "configuration_name": who.service,
        "revision_name": who.name,
        "pod_name": pod_name(who.name, who.replica),
        "container_name": "queue-proxy",
        "response_code": str(code),
        "response_code_class": f"{code // 100}xx",
    }


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def pod_name(revision: str, replica: int) -> str:
    """A pod as the metrics name it; it keeps the name over restarts and scalings."""
    return f"{revision}-deployment-{replica}"


def page_path(namespace: str, name: str, replica: int) -> str:
    """Where a pod's page is served; the first one's path has no number."""
    return f"/{namespace}/{name}{f'/{replica}' if replica else ''}/metrics"


class QueueProxyMetrics:
    """Serves a page on loopback for every known pod (`page_path`), and /mesh/metrics.

    `mesh` makes the gateway's page of the same scrape; a Deployment has no queue-proxy.
    """

    def __init__(
        self,
        *,
        scrape: Callable[[], str],
        revisions: Callable[[], Sequence[RevisionLabels]],
        era: Era = "serving_invocation",
        mesh: Callable[[Histograms], str] = lambda _: "",
    ) -> None:
        self.port = free_port()
        self._mesh = mesh
        self.era = era
        self._scrape = scrape
        self._revisions = revisions
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="queue-proxy-metrics", daemon=True
        )

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def mesh_page(self) -> str:
        """The metrics that the ingress gateway has of every Service."""
        return self._mesh(parse(self._scrape()))

    def page(self, namespace: str, name: str, replica: int = 0) -> str | None:
        """The metrics of one pod; None when there is no such pod."""
        for who in self._revisions():
            if (who.namespace, who.name, who.replica) == (namespace, name, replica):
                found = parse(self._scrape(), replica)
                return exposition(who, found.get((namespace, name), {}), self.era)
        return None


def _handler(metrics: QueueProxyMetrics) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = _answer(metrics, self.path)
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Scrapes are not worth a line."""

    return Handler


def _answer(metrics: QueueProxyMetrics, path: str) -> tuple[int, bytes]:
    match = _PATH.fullmatch(path)
    try:
        if path == _MESH:
            return 200, metrics.mesh_page().encode()
        page = _page(metrics, match) if match else None
    except UnavailableError as error:
        return 503, f"{error}\n".encode()
    return (404, b"no such pod\n") if page is None else (200, page.encode())


def _page(metrics: QueueProxyMetrics, match: re.Match[str]) -> str | None:
    return metrics.page(match["namespace"], match["name"], int(match["replica"] or 0))
