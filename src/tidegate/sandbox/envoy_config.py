"""Pure: routes and endpoints in, Envoy's bootstrap and xDS documents out, as plain JSON values."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tidegate.sandbox.endpoint import Endpoint
from tidegate.sandbox.interfaces import HostRoute, Key, Weights

Json = dict[str, Any]

BUCKETS_MS = (5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000)  # Knative's
ISTIO_BUCKETS_MS = (
    0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000,
    1800000, 3600000,
)  # fmt: skip
EDGES_MS = tuple(sorted({*BUCKETS_MS, *ISTIO_BUCKETS_MS}))  # what Envoy counts by: all of both
REVISION_HEADER = "x-tidegate-revision"
VERSION_HOST = "version.tidegate.invalid"  # answers with the version of the routes in force
STAT_PREFIX = "tidegate"
HISTOGRAM = "revision_duration"
ROUTES = "routes"
_TYPE = "type.googleapis.com/envoy."
_NO_LIMIT = 1 << 20


def cluster_name(key: Key, protocol: str) -> str:
    """The cluster of one revision and protocol (http or grpc)."""
    return f"{key[0]}/{key[1]}/{protocol}"


def revision_of(cluster: str) -> Key | None:
    """The revision a cluster name is about; None for anything else."""
    parts = cluster.split("/")
    return (parts[0], parts[1]) if len(parts) == 3 else None


def bootstrap(*, port: int, admin_port: int, clusters: Path, listeners: Path, routes: Path) -> Json:
    """What Envoy is started with; everything that changes is read from three watched files."""
    return {
        "node": {"id": "tidegate", "cluster": "tidegate"},
        "admin": {"address": _address(admin_port)},
        "stats_flush_interval": "0.2s",  # how old a histogram may be when it is asked for
        "stats_config": {"histogram_bucket_settings": [_buckets()]},
        "dynamic_resources": {"cds_config": _file(clusters), "lds_config": _file(listeners)},
        "static_resources": {"listeners": [_listener("ingress", port, routes)]},
    }


def clusters_document(version: int, endpoints: Mapping[Key, Sequence[Endpoint]]) -> Json:
    """Two clusters per revision; one without an endpoint stays, empty, and answers 503."""
    resources = []
    for key, servers in sorted(endpoints.items()):
        held = any(one.is_activator for one in servers)
        at = {"http": [(one.entry, one.replica) for one in servers]}
        at["grpc"] = [(one.grpc_entry, one.replica) for one in servers]
        resources += [_cluster(key, protocol, at[protocol], held=held) for protocol in at]
    return {"version_info": str(version), "resources": resources}


def listeners_document(version: int, local: Mapping[str, int], routes: Path) -> Json:
    """A listener for each name of the cluster that a process here asks; all share the table of routes."""
    resources = [
        {"@type": f"{_TYPE}config.listener.v3.Listener", **_listener(name, port, routes)}
        for name, port in sorted(local.items())
    ]
    return {"version_info": str(version), "resources": resources}


def routes_document(
    version: int, routes: Sequence[HostRoute], local: Mapping[str, int] | None = None
) -> Json:
    """Every host as a virtual host, and the one that tells the version.

    `local`: host -> the port of its own listener; what is sent to that port has it for its host.
    """
    hosts = [_virtual_host(route, (local or {}).get(route.host)) for route in routes]
    return {
        "version_info": str(version),
        "resources": [
            {
                "@type": f"{_TYPE}config.route.v3.RouteConfiguration",
                "name": ROUTES,
                "virtual_hosts": [*hosts, _version_host(version)],
            }
        ],
    }


def revisions_of(routes: Iterable[HostRoute]) -> set[Key]:
    """Every revision that a table names."""
    listed = [w for r in routes for w in (r.weights, *(rule.weights for rule in r.rules))]
    return {(namespace, name) for weights in listed for namespace, name, _ in weights}


def _virtual_host(route: HostRoute, port: int | None) -> Json:
    # With any port or none; `ignore_port_in_host_matching` would make all local listeners one host.
    named = [route.host, f"{route.host}:*", *([f"127.0.0.1:{port}"] if port else [])]
    ruled = [
        {"match": {"safe_regex": {"regex": rule.regex}}, **_action(route, "http", rule.weights)}
        for rule in route.rules
    ]
    return {
        "name": route.host,
        "domains": named,
        "routes": [
            *ruled,
            {"match": {"prefix": "/", "grpc": {}}, **_action(route, "grpc", route.weights)},
            {"match": {"prefix": "/"}, **_action(route, "http", route.weights)},
        ],
    }


def _action(route: HostRoute, protocol: str, to: Weights) -> Json:
    weights = [(ns, name, percent) for ns, name, percent in to if percent > 0]
    if not weights:
        body = {"inline_string": f"no revision serves {route.host}"}
        return {"direct_response": {"status": 503, "body": body}}
    clusters = [
        _weight((ns, name), protocol, percent, says=route.answers.get(name, name))
        for ns, name, percent in weights
    ]
    # No retry policy: a failure that Envoy repaired would be evidence lost.
    return {"route": {"weighted_clusters": {"clusters": clusters}, "timeout": "300s"}}


def _weight(key: Key, protocol: str, percent: int, *, says: str) -> Json:
    header = {"header": {"key": REVISION_HEADER, "value": says}}
    return {
        "name": cluster_name(key, protocol),
        "weight": percent,
        "response_headers_to_add": [{**header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
    }


def _version_host(version: int) -> Json:
    answer = {"status": 200, "body": {"inline_string": str(version)}}
    return {
        "name": "version",
        "domains": [VERSION_HOST],
        "routes": [{"match": {"prefix": "/"}, "direct_response": answer}],
    }


def _cluster(key: Key, protocol: str, servers: Sequence[tuple[int, int]], *, held: bool) -> Json:
    """`servers`: port and replica of each; Istio's choice of one is Envoy's LEAST_REQUEST, too."""
    name = cluster_name(key, protocol)
    listed = [{"endpoint": _endpoint(port, replica)} for port, replica in servers]
    endpoints = [{"lb_endpoints": listed}] if listed else []
    return {
        "@type": f"{_TYPE}config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC",
        "lb_policy": "LEAST_REQUEST",
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
        "circuit_breakers": {"thresholds": [_thresholds()]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": _protocol(protocol, held=held)
        },
    }


def _protocol(protocol: str, *, held: bool) -> Json:
    """Every request that the activator may hold has a connection of its own, by which it is counted."""
    options: Json = {"idle_timeout": "60s"} | ({"max_requests_per_connection": 1} if held else {})
    chosen = "http2_protocol_options" if protocol == "grpc" else "http_protocol_options"
    return {
        "@type": f"{_TYPE}extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {chosen: {}},
        "common_http_protocol_options": options,
    }


def _thresholds() -> Json:
    """Envoy's default of 1024 would answer 503 under load where Knative queues."""
    kinds = ("max_connections", "max_pending_requests", "max_requests")
    return dict.fromkeys(kinds, _NO_LIMIT)


def _listener(name: str, port: int, routes: Path) -> Json:
    manager = {
        "@type": f"{_TYPE}extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "codec_type": "AUTO",
        "stream_idle_timeout": "0s",
        "rds": {"route_config_name": ROUTES, "config_source": _file(routes)},
        "access_log": [_duration_logger()],
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPE}extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {
        "name": name,
        "address": _address(port),
        # Envoy's default would let a second Envoy on the port have every other connection, unnoticed.
        "enable_reuse_port": False,
        "filter_chains": [{"filters": filters}],
    }


def _duration_logger() -> Json:
    """Envoy's own histogram by revision and status code: its cluster histograms lack the code."""
    tags = [
        {"name": "tidegate_cluster", "value_format": "%UPSTREAM_CLUSTER_RAW%"},
        {"name": "tidegate_code", "value_format": "%RESPONSE_CODE%"},
        {"name": "tidegate_replica", "value_format": "%UPSTREAM_HOST_NAME%"},
    ]
    config = {
        "@type": f"{_TYPE}extensions.access_loggers.stats.v3.Config",
        "stat_prefix": STAT_PREFIX,
        "histograms": [
            {
                "stat": {"name": HISTOGRAM, "tags": tags},
                "unit": "Microseconds",
                "value_format": "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%",
            }
        ],
    }
    return {"name": "envoy.access_loggers.stats", "typed_config": config}


def _buckets() -> Json:
    # Keeps duplicates out of the way: only our own histogram is exposed with these edges.
    return {
        "match": {"contains": HISTOGRAM},
        "buckets": [edge * 1000 for edge in EDGES_MS],
    }


def _file(path: Path) -> Json:
    source = {"path": str(path), "watched_directory": {"path": str(path.parent)}}
    return {"path_config_source": source, "resource_api_version": "V3"}


def _endpoint(port: int, replica: int) -> Json:
    """The host's name is the replica's number, so that what is counted tells the pods apart."""
    return {"address": _address(port), "hostname": str(replica)}


def _address(port: int) -> Json:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
