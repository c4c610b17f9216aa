"""A whole emulated cluster for one test: real HTTP API, real controllers, data plane in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes import client

from tidegate.sandbox.api.server import ApiServer
from tidegate.sandbox.controllers.loop import ControllerLoop

from .fake_data_plane import (
    READY,
    FakeDemand,
    FakeIngress,
    FakeMeter,
    FakeQueries,
    FakeRuntime,
)  # fmt: skip

ISVC = ("serving.kserve.io", "v1beta1", "default", "inferenceservices")


class Cluster:
    """The controllers run in `settle`, in the test's own thread: no waiting, no flakes."""

    def __init__(self, api: ApiServer, mode: str = "Knative") -> None:
        self.api, self.runtime, self.ingress, self.now = api, FakeRuntime(), FakeIngress(), 1000.0
        self.demand = FakeDemand(lambda: self.now)
        self.queries = FakeQueries()
        self.meter = FakeMeter(lambda: self.now, self.runtime)
        self.loop = ControllerLoop(
            api.store, self.runtime, self.ingress, clock=lambda: self.now, scale_down_grace_s=15.0,
            mode=mode, demand=self.demand, meter=self.meter, queries=self.queries,
        )  # fmt: skip
        configuration = client.Configuration(host=api.url)
        self.client = client.ApiClient(configuration)
        self.objects = client.CustomObjectsApi(self.client)

    def create(self, uri: str = "s3://models/v1/", canary: int | None = None, **more: Any) -> None:
        model = {"modelFormat": {"name": "triton"}, "storageUri": uri}
        predictor = {"model": model, "canaryTrafficPercent": canary, **more}
        predictor = {key: value for key, value in predictor.items() if value is not None}
        annotations = {"serving.kserve.io/enable-tag-routing": "true"}
        body = {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {"name": "digits", "annotations": annotations},
            "spec": {"predictor": predictor},
        }
        self.objects.create_namespaced_custom_object(*ISVC, body)
        self.loop.settle()

    def patch(self, body: dict[str, Any]) -> None:
        """One merge-patch, then the controllers finish."""
        self.objects.patch_namespaced_custom_object(*ISVC, "digits", body)
        self.loop.settle()

    def stage(self, uri: str, canary: int | None = 0) -> None:
        model = {"storageUri": uri}
        self.patch({"spec": {"predictor": {"canaryTrafficPercent": canary, "model": model}}})

    def percent(self, value: int | None) -> None:
        self.patch({"spec": {"predictor": {"canaryTrafficPercent": value}}})

    def ready(self, number: int) -> None:
        self.runtime.seen[revision(number)] = READY
        self.loop.settle()

    def isvc(self) -> dict[str, Any]:
        found: dict[str, Any] = self.objects.get_namespaced_custom_object(*ISVC, "digits")
        return found

    def predictor(self) -> dict[str, Any]:
        found: dict[str, Any] = self.isvc()["status"]["components"]["predictor"]
        return found

    def condition(self, name: str) -> dict[str, Any]:
        listed = self.isvc()["status"]["conditions"]
        return next((c for c in listed if c["type"] == name), {"status": "absent"})

    def shares(self, host: str = "digits-predictor.default.example.com") -> dict[int, int]:
        """Percent by revision number at the ingress."""
        table = self.ingress.table.get(host, {})
        return {int(name.rpartition("-")[2]): share for name, share in table.items()}

    def previous(self) -> int:
        """The revision behind the `prev` tag."""
        entry = next(t for t in self.predictor()["traffic"] if t.get("tag") == "prev")
        return int(entry["revisionName"].rpartition("-")[2])

    def promoted(self) -> None:
        """r1 rolled out, then r2 through 0 and 10 to 100."""
        self.create()
        self.ready(1)
        self.stage("s3://models/v2/")
        self.ready(2)
        self.percent(10)
        self.percent(100)


def revision(number: int) -> str:
    return f"digits-predictor-{number:05d}"


@contextmanager
def running(crd_dir: Path | None = None) -> Iterator[Cluster]:
    api = ApiServer(crd_dir=crd_dir)
    api.start()
    cluster = Cluster(api)
    try:
        yield cluster
    finally:
        cluster.client.close()
        api.stop()
