"""A real Prometheus that scrapes each pod with the labels a PodMonitor would give it.

Its data directory is emptied at the start: a new cluster re-uses revision names, and samples of an
earlier life would answer queries about this one.
"""

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import yaml

from tidegate.errors import RejectedError, UnavailableError
from tidegate.sandbox import binaries
from tidegate.sandbox.container import answers
from tidegate.sandbox.interfaces import RevisionSpec
from tidegate.sandbox.ports import wanted_or_free
from tidegate.sandbox.process import Child, Spawner
from tidegate.sandbox.queue_proxy import page_path, pod_name
from tidegate.sandbox.triton import Pod

_ASK_S = 3.0  # KEDA's own timeout


class Prometheus:
    """The server and its list of targets."""

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        scrape_interval: str = "1s",
        spawner: Spawner | None = None,
        sandbox_id: str | None = None,
        log: Path | None = None,
        on_exit: Callable[[Child], None] | None = None,
        rules: Sequence[Path] = (),
    ) -> None:
        self.port = wanted_or_free(port, flag="--prometheus-port")
        self._directory = directory
        self._targets = directory / "targets" / "revisions.json"
        self._interval = scrape_interval
        self._log = log or directory / "prometheus.log"
        self._owned_spawner = None if spawner else Spawner()
        self._spawner = spawner or self._owned_spawner
        self._sandbox_id = sandbox_id or uuid.uuid4().hex
        self._on_exit = on_exit
        self._rules = rules
        self.child: Child | None = None

    @property
    def url(self) -> str:
        """Base URL of its HTTP API."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, timeout_s: float = 30.0) -> None:
        """Start it without targets."""
        shutil.rmtree(self._directory / "data", ignore_errors=True)
        self._targets.parent.mkdir(parents=True, exist_ok=True)
        self.set_targets([])
        config = self._directory / "prometheus.yml"
        config.write_text(self._config())
        self.child = self._spawn(config)
        with httpx.Client(timeout=1.0, trust_env=False) as client:
            self.child.wait_ready(
                lambda: answers(client, f"{self.url}/-/ready"), timeout_s=timeout_s
            )

    def set_targets(self, groups: Iterable[Mapping[str, Any]]) -> None:
        """Replace the scrape targets; Prometheus watches the file."""
        temporary = self._targets.with_suffix(".new")
        temporary.write_text(json.dumps(list(groups), indent=1))
        temporary.replace(self._targets)

    def ask(self, query: str) -> tuple[float, ...]:
        """The values of an instant query, whose answer is a vector or a scalar."""
        try:
            answer = httpx.get(
                f"{self.url}/api/v1/query", params={"query": query}, timeout=_ASK_S, trust_env=False
            )
            body = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise UnavailableError(f"Prometheus at {self.url} did not answer: {error}") from error
        if answer.status_code != 200:
            raise RejectedError(
                f"Prometheus refuses {query}: {body.get('error', answer.status_code)}"
            )
        kind, result = body["data"]["resultType"], body["data"]["result"]
        if kind == "string":
            raise RejectedError(f"Prometheus answers {query} with a text, which is no number")
        if kind == "scalar":
            return (float(result[1]),)
        return tuple(float(one["value"][1]) for one in result if "value" in one)

    def close(self) -> None:
        """End it."""
        if self.child is not None:
            self.child.stop(grace_s=3.0)
        if self._owned_spawner is not None:
            self._owned_spawner.close()

    def _config(self) -> str:
        made = _config(self._targets, self._interval)
        made["rule_files"] = [str(path) for path in self._rules]
        return yaml.safe_dump(made, sort_keys=False)

    def _spawn(self, config: Path) -> Child:
        assert self._spawner is not None
        argv = [
            str(binaries.prometheus()),
            f"--config.file={config}",
            f"--storage.tsdb.path={self._directory / 'data'}",
            "--storage.tsdb.retention.time=1d",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
        ]
        return Child(
            "prometheus",
            argv,
            env=os.environ,
            log=self._log,
            spawner=self._spawner,
            sandbox_id=self._sandbox_id,
            on_exit=self._on_exit,
        )


def targets_of(pods: Iterable[Pod], *, queue_proxy_port: int) -> list[dict[str, Any]]:
    """Of each pod: a revision's queue-proxy and its Triton, a Deployment's Triton alone; and the gateway.

    Pods of a transformer or an explainer are not scraped: the PodMonitor selects `component: predictor`.
    """
    groups = [_gateway(queue_proxy_port)]
    for pod in (pod for pod in pods if pod.spec.component == "predictor"):
        spec = pod.spec
        if spec.workload == "Revision":
            path = page_path(spec.namespace, spec.name, spec.replica)
            groups.append(_target(pod, queue_proxy_port, path=path, container="queue-proxy"))
        groups.append(
            _target(pod, pod.endpoint.metrics, path="/metrics", container="kserve-container")
        )
    return groups


def _gateway(port: int) -> dict[str, Any]:
    """Istio's ingress gateway, with the labels of Istio's own PodMonitor sample."""
    labels = {
        "__metrics_path__": "/mesh/metrics",
        "namespace": "istio-system",
        "pod": "istio-ingressgateway-0",
        "container": "istio-proxy",
        "job": "istio-system/envoy-stats-monitor",
    }
    return {"targets": [f"127.0.0.1:{port}"], "labels": labels}


def _target(pod: Pod, port: int, *, path: str, container: str) -> dict[str, Any]:
    spec = pod.spec
    wanted = _own_labels(spec) | {
        "serving.kserve.io/inferenceservice": spec.inferenceservice,
        "component": "predictor",
    }
    labels = {_sanitised(key): spec.labels.get(key, value) for key, value in wanted.items()}
    return {
        "targets": [f"127.0.0.1:{port}"],
        "labels": {
            **labels,
            "__metrics_path__": path,
            "namespace": spec.namespace,
            "pod": _pod_name(spec),
            "container": container,
            "job": f"{spec.namespace}/kserve-predictors",
        },
    }


def _pod_name(spec: RevisionSpec) -> str:
    """A Deployment's ends in five letters or digits, as Kubernetes' do; it keeps them over restarts."""
    if spec.workload == "Deployment":
        return f"{spec.name}-{spec.replica:05}"
    return pod_name(spec.name, spec.replica)


def _own_labels(spec: RevisionSpec) -> dict[str, str]:
    """`podTargetLabels` of the PodMonitor for each mode, less what both have."""
    if spec.workload == "Deployment":
        return {"app": f"isvc.{spec.service}"}
    return {
        "serving.knative.dev/revision": spec.name,
        "serving.knative.dev/service": spec.service,
    }


def _sanitised(label: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in label)


def _config(targets: Path, interval: str) -> dict[str, Any]:
    discovery = {"files": [str(targets)], "refresh_interval": "1s"}
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [
            {"job_name": "kserve-predictors", "file_sd_configs": [discovery]},
        ],
    }
