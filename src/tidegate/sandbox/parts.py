"""The rows of `tidegate sandbox status`, as the supervisor knows them."""

import os

import psutil

from tidegate.sandbox.data_plane import DataPlane
from tidegate.sandbox.process import Child
from tidegate.sandbox.state import Part
from tidegate.sandbox.triton import Pod


def rows(data: DataPlane | None, *, api_url: str | None) -> list[Part]:
    """Every part, infrastructure first."""
    if data is None:
        return []
    envoy = {"ingress": data.ingress.port, "admin": data.ingress.admin_port}
    servers = [
        _server("mlflow", data.mlflow.child, {"http": data.mlflow.port}),
        _server("prometheus", data.prometheus.child, {"http": data.prometheus.port}),
        _server("envoy", data.ingress.child, envoy),
        _inside("kubernetes-api", _port(api_url) if api_url else 0),
        _inside("queue-proxy-metrics", data.queue_proxy.port),
    ]
    return [*servers, *(_revision(pod) for pod in data.runtime.pods())]


def _server(name: str, child: Child | None, ports: dict[str, int]) -> Part:
    if child is None:
        return Part(name=name, state="Starting", ports=ports)
    dead = not child.is_alive and not child.stopping
    return Part(
        name=name,
        state="DEAD" if dead else "Running" if child.is_ready else "Starting",
        pid=child.pid,
        create_time=child.create_time,
        ports=ports,
        since=child.create_time,
        log=str(child.log),
        detail="\n".join([f"exit code {child.exit_code}", *child.last_lines(5)]) if dead else "",
    )


def _inside(name: str, port: int) -> Part:
    """A service inside the supervisor lives as long as the supervisor does."""
    created = psutil.Process().create_time()
    state = "Running" if port else "Starting"
    return Part(
        name=name,
        state=state,
        pid=os.getpid(),
        create_time=created,
        ports={"http": port} if port else {},
        since=created,
    )


def _revision(pod: Pod) -> Part:
    ends, status = pod.endpoint, pod.status
    ports = {"http": ends.http}
    if pod.spec.has_model:
        ports |= {"grpc": ends.grpc, "metrics": ends.metrics}
        ports |= {"transformer": ends.program} if ends.program else {}
    return Part(
        name=f"{pod.spec.namespace}/{pod.spec.server}",
        state=status.phase,
        pid=pod.pid or 0,
        create_time=pod.create_time,
        ports=ports,
        since=pod.since,
        log=str(pod.log),
        detail=f"{status.reason} {status.message}".strip(),
    )


def _port(url: str) -> int:
    return int(url.rsplit(":", 1)[1].rstrip("/"))
