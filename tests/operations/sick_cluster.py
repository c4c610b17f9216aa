"""A cluster that is as a release needs it, and the list of what can be wrong with it, one thing at a time."""

import copy
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from deploy.objects.rbac import DOCTOR
from tests.rbac.verbs import load, rules_for
from tidegate.core.checkup import State
from tidegate.sandbox.api import kinds
from tidegate.sandbox.api.kubeconfig import write_kubeconfig
from tidegate.sandbox.api.rbac import Rule
from tidegate.sandbox.api.server import ApiServer

Json = dict[str, Any]
MANAGER = ("kserve", "kserve-controller-manager")
KNATIVE = "knative-serving"
AWAY = "http://127.0.0.1:9"
NAMESPACE = "ml"
CLAIM = "runs"
MIG = "nvidia.com/mig-1g.10gb"


class Endpoints(BaseHTTPRequestHandler):
    """Prometheus' query API and MLflow's registry, as far as doctor asks them."""

    world: "World"

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._send(self.world.mlflow, {"registered_models": []})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
        query = parse_qs(raw)["query"][0]
        now = 1_000_000.0
        if query == "time()":
            data: Json = {"resultType": "scalar", "result": [now, str(now)]}
        else:
            times = [now - self.world.age_s - 10 * i for i in range(6, 0, -1)]
            values = [[at, str(i)] for i, at in enumerate(times)]
            result = [{"metric": one, "values": values} for one in self.world.series]
            data = {"resultType": "matrix", "result": result}
        self._send(self.world.prometheus, {"status": "success", "data": data})

    def _send(self, code: int, body: Json) -> None:
        text = json.dumps(body if code == 200 else {"message": "no", "error": "no"}).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


class World:
    """What doctor looks at; a test breaks one thing in it before it looks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects: dict[tuple[str, str, str], Json] = {}
        self.rules = [*self._needed(), *self._reads()]
        self.series: list[Json] = [{"serving_knative_dev_revision": "digits-predictor-00001"}]
        self.age_s, self.prometheus, self.mlflow = 0.0, 200, 200
        self.environment: dict[str, str] = {}
        (folder / "store").mkdir()
        self._fill()

    @staticmethod
    def _needed() -> list[Rule]:
        return [one for rules in load().values() for one in rules_for(rules, NAMESPACE)]

    @staticmethod
    def _reads() -> list[Rule]:
        """Of the role that deploy/ gives to doctor, and no more."""
        return [
            Rule(verb=verb, group=rule["apiGroup"], resource=rule["resource"], name=name)
            for rule in DOCTOR
            for verb in rule["verbs"]
            for name in rule.get("resourceNames", [""])
        ]

    def put(self, kind: str, name: str, namespace: str = "", **body: Any) -> None:
        self.objects[kind, namespace, name] = body

    def _fill(self) -> None:
        for name, version in (
            ("inferenceservices.serving.kserve.io", "v1beta1"),
            ("services.serving.knative.dev", "v1"), ("revisions.serving.knative.dev", "v1"),
        ):  # fmt: skip
            spec: Json = {"properties": {"spec": {"properties": {"predictor": {}}}}}
            served = [{"name": version, "served": True, "schema": {"openAPIV3Schema": spec}}]
            self.put("CustomResourceDefinition", name, spec={"versions": served})
        deploy = json.dumps({"defaultDeploymentMode": "Knative"})
        self.put("ConfigMap", "inferenceservice-config", "kserve", data={"deploy": deploy})
        image = "kserve/kserve-controller:v0.21.0"
        self.controller("kserve", "kserve-controller-manager", image=image)
        self.controller("knative-serving", "controller", version="1.21.1")
        metrics = {"request-metrics-protocol": "prometheus"}
        self.put("ConfigMap", "config-observability", "knative-serving", data=metrics)
        self.put("ConfigMap", "config-features", "knative-serving", data={"x": "y"})
        self.runtime("24.12-py3")
        annotations = {"serving.kserve.io/enable-tag-routing": "true"}
        self.service(annotations)
        self.claim("Bound", "ReadWriteMany")
        self.node("a", {"cpu": "8", MIG: "2"})
        self.node("b", {"cpu": "8"})

    def controller(self, namespace: str, name: str, *, image: str = "i", version: str = "") -> None:
        labels = {"app.kubernetes.io/version": version} if version else {}
        pod = {"spec": {"containers": [{"name": "c", "image": image}]}}
        self.put("Deployment", name, namespace, metadata={"labels": labels}, spec={"template": pod})

    def runtime(self, tag: str, **spec: Any) -> None:
        container = {"name": "kserve-container", "image": f"nvcr.io/nvidia/tritonserver:{tag}"}
        self.put(
            "ServingRuntime", "tidegate-triton", NAMESPACE, spec={"containers": [container], **spec}
        )

    def service(self, annotations: Json) -> None:
        model = {"modelFormat": {"name": "triton"}, "storageUri": "s3://m/1/"}
        self.put(
            "InferenceService", "digits", NAMESPACE, metadata={"annotations": annotations},
            spec={"predictor": {"model": model}},
        )  # fmt: skip

    def claim(self, phase: str, *modes: str, name: str = CLAIM, namespace: str = NAMESPACE) -> None:
        status = {"phase": phase, "accessModes": list(modes)}
        self.put("PersistentVolumeClaim", name, namespace, spec={}, status=status)

    def node(self, name: str, allocatable: Json, *, ready: str = "True", **spec: Any) -> None:
        condition = {"type": "Ready", "status": ready}
        status = {"allocatable": allocatable, "conditions": [condition]}
        self.put("Node", name, spec=spec, status=status)

    def drop(self, kind: str) -> None:
        self.objects = {key: body for key, body in self.objects.items() if key[0] != kind}

    def forget(self, name: str) -> None:
        self.objects = {key: body for key, body in self.objects.items() if key[2] != name}

    def deny(self, verb: str, resource: str) -> None:
        self.rules = [r for r in self.rules if (r.verb, r.resource) != (verb, resource)]


@contextmanager
def api_of(world: World) -> Iterator[str]:
    """The world's objects behind the embedded API; a kubeconfig of a user with the world's rules."""
    accounts = {"system:serviceaccount:argo:tidegate-sweep": world.rules}
    server = ApiServer(rules={"me": world.rules, **accounts})
    by_kind = {
        one.kind: one for one in reversed(kinds.ALL)
    }  # Service: the core one is not asked for
    for namespace in ("kserve", "knative-serving", "argo", NAMESPACE):
        server.store.create(kinds.NAMESPACES, {"metadata": {"name": namespace}})
    for (kind, namespace, name), body in world.objects.items():
        item = copy.deepcopy(body)
        item["metadata"] = {**item.get("metadata", {}), "name": name}
        server.store.create(by_kind[kind], item, namespace)
    server.start()
    try:
        yield str(write_kubeconfig(world.folder / "kubeconfig", server.url, token="me"))
    finally:
        server.stop()


@contextmanager
def endpoints_of(world: World) -> Iterator[str]:
    handler = type("Bound", (Endpoints,), {"world": world})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextmanager
def visited(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with api_of(world) as kubeconfig, endpoints_of(world) as url:
        given = {
            "KUBECONFIG": kubeconfig, "TIDEGATE_PROMETHEUS_URL": url, "TIDEGATE_INGRESS_URL": url,
            "MLFLOW_TRACKING_URI": url, "TIDEGATE_STORAGE_URI": (world.folder / "store").as_uri(),
        }  # fmt: skip
        for name, value in (given | world.environment).items():
            monkeypatch.setenv(name, value)
        yield


def no_store(world: World) -> None:
    (world.folder / "store").rmdir()


BROKEN: list[tuple[str, Callable[[World], None], str, State, str, str]] = [
    ("KServe is absent", lambda w: w.forget("inferenceservices.serving.kserve.io"),
     "CRD inferenceservices.serving.kserve.io", State.FAIL, "not installed", "install KServe"),
    ("the CRD is older", lambda w: w.put("CustomResourceDefinition", "inferenceservices.serving.kserve.io",
        spec={"versions": [{"name": "v1alpha2", "served": True}]}),
     "CRD inferenceservices.serving.kserve.io", State.FAIL, "serves v1alpha2, not v1beta1", "newer KServe"),
    ("KServe is old", lambda w: w.controller(*MANAGER, image="kserve/kserve-controller:v0.11.2"),
     "KServe's version", State.FAIL, "0.11", "0.16 or newer"),
    ("KServe's image is a digest", lambda w: w.controller(*MANAGER, image="x@sha256:1"),
     "KServe's version", State.WARN, "cannot be told", "see to 0.16"),
    ("Knative is absent", lambda w: w.forget("services.serving.knative.dev"),
     "CRD services.serving.knative.dev", State.FAIL, "not installed", "or say serving.mode: Standard"),
    ("Knative is old", lambda w: w.controller("knative-serving", "controller", version="1.18.2"),
     "Knative's version", State.FAIL, "1.18.2: request metrics have other names", "1.20.1 or newer"),
    ("Knative has no label", lambda w: w.controller("knative-serving", "controller"),
     "Knative's version", State.WARN, "cannot be told", "see to 1.20.1"),
    ("the default is ModelMesh", lambda w: w.put("ConfigMap", "inferenceservice-config", "kserve",
        data={"deploy": '{"defaultDeploymentMode": "ModelMesh"}'}),
     "deployment mode", State.FAIL, "ModelMesh is not released to", "Knative or Standard"),
    ("the default cannot be read", lambda w: w.forget("inferenceservice-config"),
     "deployment mode", State.FAIL, "cannot be read", "say serving.mode in the policy"),
    ("request metrics are off", lambda w: w.put("ConfigMap", "config-observability", KNATIVE, data={}),
     "request metrics", State.FAIL, "request-metrics-protocol is none", "kubectl -n knative-serving patch"),
    ("the runtime needs a flag",
     lambda w: w.runtime("24.12-py3", nodeSelector={"gpu": "a"}, tolerations=[{}]),
     "feature flags", State.FAIL, "podspec-nodeselector, kubernetes.podspec-tolerations",
     '"kubernetes.podspec-nodeselector":"enabled"'),
    ("a service lacks tag routing", lambda w: w.service({}),
     "tag routing", State.WARN, "off on digits", "enable-tag-routing=true"),
    ("the runtime is absent", lambda w: w.drop("ServingRuntime"),
     "serving runtime tidegate-triton", State.FAIL, "not there", "kubectl apply -k"),
    ("Triton is KServe's own", lambda w: w.runtime("23.05-py3"),
     "serving runtime tidegate-triton", State.FAIL, "Triton 23.05-py3 does not read", "tidegate-triton"),
    ("no node has the kind", lambda w: w.node("a", {"nvidia.com/gpu": "4"}),
     f"accelerators {MIG}", State.FAIL, r"kinds there: nvidia.com/gpu", "device plugin"),
    ("the node is not ready", lambda w: w.node("a", {MIG: "2"}, ready="False"),
     f"accelerators {MIG}", State.FAIL, "no ready node offers it", "device plugin"),
    ("the node is cordoned", lambda w: w.node("a", {MIG: "2"}, unschedulable=True),
     f"accelerators {MIG}", State.FAIL, "no ready node offers it", "device plugin"),
    ("there is room for one only", lambda w: w.node("a", {MIG: "1"}),
     f"accelerators {MIG}", State.WARN,
     "1 on 1 nodes; incumbent and candidate together take 2", "add nodes"),
    ("nodes may not be read", lambda w: w.deny("list", "nodes"),
     f"accelerators {MIG}", State.UNKNOWN, "cannot list resource", "role tidegate-doctor"),
    ("a verb is missing", lambda w: w.deny("patch", "inferenceservices"),
     "permissions of sweep", State.FAIL, "may not patch inferenceservices.serving.kserve.io in ml",
     "bind role tidegate-sweep"),
    ("a verb in all namespaces is missing", lambda w: w.deny("list", "configmaps"),
     "permissions of sweep", State.FAIL, "list configmaps in all namespaces", "kubectl apply -k"),
    ("an optional verb is missing", lambda w: w.deny("get", "pods/log"),
     "permissions of sweep", State.WARN, "may not get pods/log in ml: the release tells",
     "tidegate-sweep"),
    ("Prometheus is away", lambda w: w.environment.update(TIDEGATE_PROMETHEUS_URL=AWAY),
     "Prometheus", State.UNKNOWN, "cannot be asked", "can be reached from here"),
    ("Prometheus is not named", lambda w: w.environment.update(TIDEGATE_PROMETHEUS_URL=""),
     "Prometheus", State.FAIL, "TIDEGATE_PROMETHEUS_URL is not set", "set it to Prometheus"),
    ("Prometheus refuses", lambda w: setattr(w, "prometheus", 404),
     "Prometheus", State.FAIL, "404", "TIDEGATE_PROMETHEUS_URL|correct"),
    ("nothing is scraped", lambda w: w.series.clear(),
     "scraping", State.FAIL, "no kn_serving_invocation_duration_seconds_count", "PodMonitor"),
    ("series lack the revision", lambda w: w.series.append({"pod": "p"}),
     "scraping", State.FAIL,
     "1 of 2 series .* lack label serving_knative_dev_revision", "podTargetLabels"),
    ("scrapes have stopped", lambda w: setattr(w, "age_s", 300.0),
     "scraping", State.FAIL, "newest sample is 3[0-9]+ s old", "targets are up"),
    ("the ingress is away", lambda w: w.environment.update(TIDEGATE_INGRESS_URL=AWAY),
     "ingress", State.UNKNOWN, "nothing answers at 127.0.0.1:9", "reached from here"),
    ("the ingress is no URL", lambda w: w.environment.update(TIDEGATE_INGRESS_URL="gateway"),
     "ingress", State.FAIL, "is 'gateway'", "set it to the ingress gateway"),
    ("storage is not named", lambda w: w.environment.update(TIDEGATE_STORAGE_URI=""),
     "storage", State.FAIL, "TIDEGATE_STORAGE_URI is not set", "set it to"),
    ("storage is not there", no_store, "storage", State.FAIL, "is no folder here", "mount it"),
    ("storage is a bucket that does not answer",
     lambda w: w.environment.update(
         TIDEGATE_STORAGE_URI="s3://models/t", AWS_ENDPOINT_URL="http://127.0.0.1:1",
         AWS_ACCESS_KEY_ID="k", AWS_SECRET_ACCESS_KEY="s"),
     "storage", State.UNKNOWN, r"does not answer \(connection refused\)", "reached from here"),
    ("storage is Azure's, by another tool's name",
     lambda w: w.environment.update(TIDEGATE_STORAGE_URI="abfs://c@a/t"),
     "storage", State.FAIL, "is no storage that tidegate and KServe", "https://ACCOUNT"),
    ("storage is a claim that is not mounted here",
     lambda w: w.environment.update(TIDEGATE_STORAGE_URI=f"pvc://{CLAIM}/t"),
     "storage", State.FAIL, "is not mounted here", "TIDEGATE_CLAIM_MOUNTS"),
    ("storage is nonsense", lambda w: w.environment.update(TIDEGATE_STORAGE_URI="ftp://a/b"),
     "storage", State.FAIL, "is no storage that tidegate and KServe", "s3://BUCKET"),
    ("storage has a bracket too much",
     lambda w: w.environment.update(TIDEGATE_STORAGE_URI="s3://[models/t"),
     "storage", State.FAIL, "cannot be read", "s3://BUCKET"),
    ("the claim is absent", lambda w: w.drop("PersistentVolumeClaim"),
     "claim runs", State.FAIL, "not there", "ReadWriteMany"),
    ("the claim waits", lambda w: w.claim("Pending"),
     "claim runs", State.UNKNOWN, "not bound", "binds it with the first run"),
    ("the claim's volume is gone", lambda w: w.claim("Lost", "ReadWriteMany"),
     "claim runs", State.FAIL, "Lost", "anew"),
    ("the claim is for one node", lambda w: w.claim("Bound", "ReadWriteOnce"),
     "claim runs", State.WARN, "ReadWriteOnce: pods on two nodes", "ReadWriteMany"),
    ("the claim is for readers", lambda w: w.claim("Bound", "ReadOnlyMany"),
     "claim runs", State.FAIL, "cannot write", "ReadWriteMany"),
    ("the claim may not be read", lambda w: w.deny("get", "persistentvolumeclaims"),
     "claim runs", State.UNKNOWN, "cannot get resource", "role tidegate-doctor"),
    ("MLflow is away", lambda w: w.environment.update(MLFLOW_TRACKING_URI=AWAY),
     "MLflow", State.UNKNOWN, "does not answer", "reached from here"),
    ("MLflow refuses", lambda w: setattr(w, "mlflow", 401),
     "MLflow", State.FAIL, "refused the credentials", "MLFLOW_TRACKING_TOKEN"),
    ("MLflow is not named", lambda w: w.environment.update(MLFLOW_TRACKING_URI=""),
     "MLflow", State.FAIL, "MLFLOW_TRACKING_URI is not set", "set it to the tracking server"),
]  # fmt: skip
