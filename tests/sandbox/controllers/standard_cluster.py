"""An emulated cluster in Standard mode for one test: a service `digits` whose predictors are colours."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes import client

from tidegate.sandbox.api.server import ApiServer
from tidegate.sandbox.interfaces import RevisionStatus

from .emulated_cluster import ISVC, Cluster
from .fake_data_plane import LOADING, READY

ROUTES = ("gateway.networking.k8s.io", "v1", "default", "httproutes")
MODE = "serving.kserve.io/deploymentMode"
AUTOSCALER = "serving.kserve.io/autoscalerClass"
STOP = "serving.kserve.io/stop"
HOSTS = ("digits.default.example.com", "digits-predictor.default.example.com")
CRASHED = RevisionStatus(
    phase="Failed", reason="CrashLoop", message="boom", exit_code=1, restarts=3
)


def model(uri: str, **more: Any) -> dict[str, Any]:
    return {"modelFormat": {"name": "triton"}, "storageUri": uri, **more}


def entry(name: str, percent: int, uri: str = "s3://models/v2/", **more: Any) -> dict[str, Any]:
    """One canary; more fields go into its predictor. Its model has a name, for the CRD wants one."""
    predictor = {"name": name, "model": model(uri, name=""), **more}
    return {"trafficPercent": percent, "predictor": predictor}


class StandardCluster:
    """What the tests do and see; a Deployment goes by the name of its predictor, `""` for none, or of its
    component."""

    def __init__(self, api: ApiServer, mode: str) -> None:
        self.base = Cluster(api, mode)
        self.apps = client.AppsV1Api(self.base.client)
        self.core = client.CoreV1Api(self.base.client)

    # -- acts

    def create(
        self, name: str = "blue", uri: str = "s3://models/v1/", autoscaler: str = "none",
        annotations: dict[str, str] | None = None, canary: Any = None,
        beside: dict[str, Any] | None = None, **more: Any,
    ) -> None:  # fmt: skip
        predictor = {"model": model(uri), **({"name": name} if name else {}), **more}
        noted = {MODE: "Standard", AUTOSCALER: autoscaler, **(annotations or {})}
        meta = {"name": "digits", "annotations": {k: v for k, v in noted.items() if v}}
        spec = {"predictor": predictor, **({"canary": canary} if canary else {}), **(beside or {})}
        body = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService"}
        body |= {"metadata": meta, "spec": spec}  # type: ignore[dict-item]
        self.base.objects.create_namespaced_custom_object(*ISVC, body)
        self.settle()

    def patch(self, body: dict[str, Any]) -> None:
        self.base.patch(body)

    def canary(self, *entries: dict[str, Any]) -> None:
        self.patch({"spec": {"canary": list(entries) or None}})

    def promote(self, name: str, uri: str = "s3://models/v2/", **more: Any) -> None:
        """One patch: the stable predictor takes the canary's name and model, the canaries go."""
        predictor = {"name": name, "model": {"storageUri": uri}, **more}
        self.patch({"spec": {"predictor": predictor, "canary": None}})

    def seen(self, name: str, status: RevisionStatus) -> None:
        """The newest server of a Deployment is now as told."""
        self.base.runtime.seen[self.server(name)] = status
        self.settle()

    def ready(self, *names: str) -> None:
        for name in names:
            self.seen(name, READY)

    def crash(self, name: str) -> None:
        self.seen(name, CRASHED)

    def settle(self) -> None:
        self.base.loop.settle()

    def wait(self, seconds: float) -> None:
        self.base.now += seconds
        self.settle()

    # -- sights

    def deployment(self, name: str) -> Any:
        return self.apps.read_namespaced_deployment(full(name), "default")

    def server(self, name: str) -> str:
        """The ReplicaSet of a Deployment's template that was started last."""
        found = [s for s in self.base.runtime.specs.values() if s.service == full(name)]
        return found[-1].name

    def deployments(self) -> dict[str, int]:
        listed = self.apps.list_namespaced_deployment("default").items
        return {short(d.metadata.name): d.spec.replicas for d in listed}

    def services(self) -> set[str]:
        listed = self.core.list_namespaced_service("default").items
        return {short(s.metadata.name) for s in listed}

    def route(self, name: str = "digits") -> dict[str, Any]:
        found: dict[str, Any] = self.base.objects.get_namespaced_custom_object(*ROUTES, name)
        return found

    def backends(self, name: str = "digits") -> dict[str, int]:
        """Weight by Deployment, as the HTTPRoute says it; empty without a route."""
        listed = self.base.objects.list_namespaced_custom_object(*ROUTES)["items"]
        routes = {item["metadata"]["name"]: item for item in listed}
        refs = routes[name]["spec"]["rules"][0]["backendRefs"] if name in routes else []
        return {short(ref["name"]): ref["weight"] for ref in refs}

    def shares(self, host: str = HOSTS[0]) -> dict[str, int]:
        """Percent by Deployment at the ingress; a server that is not there goes by its Service."""
        specs = self.base.runtime.specs
        table = self.base.ingress.table.get(host, {})
        return {
            short(specs[name].service if name in specs else name): share
            for name, share in table.items()
        }

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.base.isvc().get("status", {})
        return found

    def canaries(self) -> dict[str, tuple[bool, int]]:
        listed = self.status().get("canaryStatuses", [])
        assert all("modelStatus" not in item for item in listed)
        return {item["name"]: (item["ready"], item["trafficPercent"]) for item in listed}

    def condition(self, name: str) -> tuple[str, str]:
        """(status, reason)."""
        found = self.base.condition(name)
        return found["status"], found.get("reason", "")

    def warnings(self) -> str:
        found = self.core.list_namespaced_event("default").items
        return " ".join(event.message for event in found if event.type == "Warning")

    def configure(self, key: str, document: str) -> None:
        """Write one document of KServe's ConfigMap."""
        self.core.patch_namespaced_config_map(
            "inferenceservice-config", "kserve", {"data": {key: document}}
        )
        self.settle()


def full(name: str) -> str:
    if name in {"transformer", "explainer"}:
        return f"digits-{name}"
    return f"digits-{name}-predictor" if name else "digits-predictor"


def short(name: str) -> str:
    return name.removeprefix("digits").removesuffix("-predictor").removeprefix("-")


@contextmanager
def running(*, mode: str = "Standard", crd_dir: Path | None = None) -> Iterator[StandardCluster]:
    api = ApiServer(crd_dir=crd_dir)
    api.start()
    cluster = StandardCluster(api, mode)
    try:
        yield cluster
    finally:
        cluster.base.client.close()
        api.stop()


__all__ = ["LOADING", "READY"]
