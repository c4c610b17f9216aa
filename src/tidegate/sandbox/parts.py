"""The rows of `tidegate sandbox status`, as the supervisor knows them."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypedDict

import psutil

from tidegate.sandbox.process import Child, Spawner
from tidegate.sandbox.state import Part
from tidegate.sandbox.triton import Pod

if TYPE_CHECKING:
    from tidegate.sandbox.cluster import Sandbox


class Common(TypedDict):
    """What every infrastructure server is given."""

    spawner: Spawner
    sandbox_id: str
    on_exit: Callable[[Child], None]


def rows(sandbox: "Sandbox") -> list[Part]:
    """Every part, infrastructure first."""
    api = sandbox.api
    servers = [
        _server("mlflow", sandbox.mlflow.child, {"http": sandbox.mlflow.port}),
        _server("prometheus", sandbox.prometheus.child, {"http": sandbox.prometheus.port}),
        _server(
            "envoy",
            sandbox.ingress.child,
            {"ingress": sandbox.ingress.port, "admin": sandbox.ingress.admin_port},
        ),
        _inside("kubernetes-api", _port(api.url) if api else 0),
        _inside("queue-proxy-metrics", sandbox.queue_proxy.port),
    ]
    return [*servers, *(_revision(pod) for pod in sandbox.runtime.pods())]


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
    return Part(
        name=f"{pod.spec.namespace}/{pod.spec.name}",
        state=status.phase,
        pid=pod.pid or 0,
        create_time=pod.create_time,
        ports={"http": ends.http, "grpc": ends.grpc, "metrics": ends.metrics},
        since=pod.since,
        log=str(pod.log),
        detail=f"{status.reason} {status.message}".strip(),
    )


def _port(url: str) -> int:
    return int(url.rsplit(":", 1)[1].rstrip("/"))
