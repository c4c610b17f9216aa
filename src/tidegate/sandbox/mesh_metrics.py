"""The mesh's request metrics of each Service in Standard mode, under Istio's names, from Envoy's counts.

There is no queue-proxy in Standard mode: what a cluster has of requests is what its ingress gateway
says, with `reporter="source"`, by the Service that a request was sent to. The edges are all of Istio's
own (0.5 ms to 1 h), in milliseconds. Left out of Istio's labels: workloads, protocol, response flags and
`grpc_response_status`, so a gRPC error over HTTP counts as `response_code="200"`, as in Istio.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from tidegate.sandbox.envoy_config import EDGES_MS, ISTIO_BUCKETS_MS
from tidegate.sandbox.interfaces import Key, RevisionSpec
from tidegate.sandbox.queue_proxy import Histogram, Histograms

_TOTAL, _DURATION = "istio_requests_total", "istio_request_duration_milliseconds"
_Series = dict[tuple[Key, int], Histogram]  # ((namespace, Service), status code)


class MeshMetrics:
    """Makes the page; remembers which Service a server stood behind, for counters never go back."""

    def __init__(self, specs: Callable[[], Iterable[RevisionSpec]]) -> None:
        self._specs = specs
        self._services: dict[Key, str] = {}

    def __call__(self, histograms: Histograms) -> str:
        """The page of this scrape. Servers of an earlier life of a Service still count."""
        for spec in self._specs():
            if spec.workload == "Deployment":
                self._services[spec.namespace, spec.name] = spec.service
                # requests that found no server of the Service go by its own name
                self._services[spec.namespace, spec.service] = spec.service
        return exposition(histograms, self._services)


def exposition(histograms: Histograms, services: Mapping[Key, str]) -> str:
    """One page over all Services: a counter and a histogram each by status code."""
    return "".join(f"{line}\n" for line in _lines(_by_service(histograms, services)))


def _by_service(histograms: Histograms, services: Mapping[Key, str]) -> _Series:
    """The servers of a Service are one series: a rollout changes the server and not the Service."""
    found: _Series = {}
    for key, codes in histograms.items():
        for code, histogram in codes.items() if key in services else ():
            service = ((key[0], services[key]), code)
            found[service] = _sum(found[service], histogram) if service in found else histogram
    return found


def _sum(one: Histogram, other: Histogram) -> Histogram:
    buckets = [a + b for a, b in zip(one.buckets, other.buckets, strict=True)]
    assert len(buckets) == len(EDGES_MS) + 1
    return Histogram(
        buckets=buckets, sum_ms=one.sum_ms + other.sum_ms, count=one.count + other.count
    )


def _lines(series: _Series) -> Iterator[str]:
    yield f"# TYPE {_TOTAL} counter"
    for (service, code), histogram in sorted(series.items(), key=lambda item: item[0]):
        yield f"{_TOTAL}{_labels(service, code)} {histogram.count}"
    yield f"# TYPE {_DURATION} histogram"
    for (service, code), histogram in sorted(series.items(), key=lambda item: item[0]):
        yield from _histogram(_labels(service, code), histogram)


def _histogram(labels: str, histogram: Histogram) -> Iterator[str]:
    edges = [*(f"{edge:.15g}" for edge in ISTIO_BUCKETS_MS), "+Inf"]
    for edge, count in zip(edges, histogram.up_to(ISTIO_BUCKETS_MS), strict=True):
        yield f'{_DURATION}_bucket{labels[:-1]},le="{edge}"}} {count}'
    yield f"{_DURATION}_sum{labels} {histogram.sum_ms!r}"
    yield f"{_DURATION}_count{labels} {histogram.count}"


def _labels(service: Key, code: int) -> str:
    namespace, name = service
    labels = {
        "reporter": "source",
        "destination_service_name": name,
        "destination_service_namespace": namespace,
        "destination_service": f"{name}.{namespace}.svc.cluster.local",
        "response_code": str(code),
    }
    return "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"
