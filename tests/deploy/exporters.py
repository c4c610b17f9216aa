"""Pages of metrics served on loopback, and pods whose ports they are, as Kubernetes' discovery shows them."""

import contextlib
import http.server
import itertools
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deploy.objects.monitoring.labels import sanitised

RECORDED = Path(__file__).parent / "recorded"

Group = dict[str, Any]


def recorded(name: str) -> str:
    """A page that no machine of ours can write: there is no GPU, no TorchServe, no Kourier here."""
    return (RECORDED / f"{name}.prom").read_text(encoding="utf-8")


def grown(page: str, looks: int) -> str:
    """The page after some more looks at it: its counters and histograms have grown, its gauges stay."""
    lines, grows = list[str](), False
    for line in page.splitlines():
        if line.startswith("# TYPE"):
            grows = line.split()[-1] in {"counter", "histogram"}
        elif grows and not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            line = f"{name} {float(value) * (1 + looks / 100)}"
        lines.append(line)
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def serving(page: str) -> Iterator[int]:
    """A server that answers every GET with the page, grown a little with each; its port."""
    looks = itertools.count()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(grown(page, next(looks)).encode())

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def pod(
    name: str,
    ports: Mapping[tuple[str, str], int],
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    namespace: str = "prod",
) -> list[Group]:
    """A target for every port, (container, name of the port) -> number, that a container declares."""
    meta = {"namespace": namespace, "pod_name": name, "pod_ip": "127.0.0.1"}
    return [
        _group(
            number,
            meta | {"pod_container_name": container, "pod_container_port_name": port},
            "pod",
            labels,
            annotations,
        )
        for (container, port), number in ports.items()
    ]


def service(
    name: str,
    port: tuple[str, int],
    *,
    labels: Mapping[str, str],
    namespace: str = "prod",
    pod_name: str = "",
) -> list[Group]:
    """The one endpoint of a Service."""
    meta = {"namespace": namespace, "service_name": name, "pod_name": pod_name}
    return [_group(port[1], meta | {"endpoint_port_name": port[0]}, "service", labels, {})]


def _group(
    number: int,
    meta: Mapping[str, str],
    kind: str,
    labels: Mapping[str, str] | None,
    annotations: Mapping[str, str] | None,
) -> Group:
    shown = {f"__meta_kubernetes_{key}": value for key, value in meta.items()}
    for what, given in (("label", labels or {}), ("annotation", annotations or {})):
        for key, value in given.items():
            shown[f"__meta_kubernetes_{kind}_{what}_{sanitised(key)}"] = value
            shown[f"__meta_kubernetes_{kind}_{what}present_{sanitised(key)}"] = "true"
    return {"targets": [f"127.0.0.1:{number}"], "labels": shown}
