"""An InferenceGraph becomes a router behind a Knative Service, by KServe's rules, its silence among them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from tidegate.sandbox.api.kinds import CONFIGMAPS, EVENTS, KSERVICES, PODS
from tidegate.sandbox.controllers import graph_steps

from .emulated_cluster import ISVC, Cluster, running
from .fake_data_plane import READY

GRAPH = ("serving.kserve.io", "v1alpha1", "default", "inferencegraphs")
ROUTER = "checkout-00001"
HOST = "checkout.default.example.com"
DIGITS = {"serviceName": "digits", "name": "digits"}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with running() as started:
        yield started


@pytest.fixture(scope="module")
def door() -> Iterator[Cluster]:
    """For what is never stored."""
    with running() as started:
        yield started


@pytest.fixture
def served(cluster: Cluster) -> Cluster:
    cluster.create()
    cluster.ready(1)
    return cluster


def apply(cluster: Cluster, *steps: dict[str, Any], router: str = "Sequence", **spec: Any) -> None:
    body = {
        "apiVersion": "serving.kserve.io/v1alpha1", "kind": "InferenceGraph",
        "metadata": {"name": "checkout"},
        "spec": {"nodes": {"root": {"routerType": router, "steps": list(steps)}}, **spec},
    }  # fmt: skip
    cluster.objects.create_namespaced_custom_object(*GRAPH, body)
    cluster.loop.settle()


def status(cluster: Cluster) -> dict[str, Any]:
    found = cluster.objects.get_namespaced_custom_object(*GRAPH, "checkout")
    told: dict[str, Any] = found.get("status", {})
    return told


def condition(cluster: Cluster, name: str = "Ready") -> tuple[str, str, str]:
    listed = status(cluster)["conditions"]
    found: dict[str, str] = next((c for c in listed if c["type"] == name), {})
    return found.get("status", ""), found.get("reason", ""), found.get("message", "")


def routed_to(cluster: Cluster, revision: str = ROUTER) -> list[str]:
    """The URLs that this router asks."""
    program = cluster.runtime.specs[revision].program
    assert program is not None
    graph = json.loads(program.argv[program.argv.index("--graph-json") + 1])
    return [step["serviceUrl"] for node in graph["nodes"].values() for step in node["steps"]]


def up(cluster: Cluster, revision: str = ROUTER) -> None:
    cluster.runtime.seen[revision] = READY
    cluster.loop.settle()


def test_a_graph_is_ready_and_has_a_url_once_its_router_serves_its_host(served: Cluster) -> None:
    apply(served, DIGITS)
    assert condition(served)[0] == "Unknown"
    assert "url" not in status(served)
    up(served)
    assert condition(served) == ("True", "", "")
    assert condition(served, "Stopped")[0] == "False"
    assert status(served)["url"] == f"http://{HOST}"
    assert served.ingress.table[HOST] == {ROUTER: 100}
    spec = served.runtime.specs[ROUTER]
    assert (spec.has_model, spec.component, spec.inferenceservice) == (False, "", "")
    (pod,) = [p for p in served.api.store.items(PODS) if ROUTER in p["metadata"]["name"]]
    assert pod["metadata"]["labels"]["serving.kserve.io/inferencegraph"] == "checkout"
    assert pod["spec"]["containers"][0]["image"] == "kserve/router:v0.21.0"


def test_a_step_asks_its_service_inside_the_cluster_so_that_its_canary_applies(
    served: Cluster,
) -> None:
    apply(served, DIGITS, {"serviceUrl": "http://elsewhere.test/v1"})
    inside = "http://digits.default.svc.cluster.local/v2/models/digits/infer"
    assert routed_to(served) == [inside, "http://elsewhere.test/v1"]
    program = served.runtime.specs[ROUTER].program
    assert program is not None
    assert program.reaches == ("digits.default",)
    assert program.ready_path == "/readyz"


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ({}, "/v2/models/digits/infer"),  # the runtime speaks v2, and v1 is not asked for
        ({"runtime": "kserve-sklearnserver", "protocolVersion": "v2"}, "/v1/models/digits:predict"),
        ({"args": ["--model_name=mine"]}, "/v2/models/mine/infer"),
        ({"args": ["--model_name", "mine"]}, "/v2/models/mine/infer"),
    ],
)
def test_the_path_is_of_the_first_protocol_of_the_named_runtime_and_of_the_models_name(
    cluster: Cluster, model: dict[str, Any], path: str
) -> None:
    named = {"runtime": "kserve-tritonserver", "protocolVersion": "v2"} | model
    cluster.create(model={"modelFormat": {"name": "triton"}, "storageUri": "s3://m/1/", **named})
    cluster.ready(1)
    apply(cluster, DIGITS)
    assert routed_to(cluster) == [f"http://digits.default.svc.cluster.local{path}"]


def test_the_release_of_a_service_leaves_the_router_alone(served: Cluster) -> None:
    apply(served, DIGITS)
    up(served)
    served.stage("s3://models/v2/", canary=10)
    served.ready(2)
    assert served.shares() == {1: 90, 2: 10}
    assert [name for name in served.runtime.specs if "checkout" in name] == [ROUTER]
    assert served.ingress.table["digits.default.svc.cluster.local"] == {
        "digits-predictor-00001": 90, "digits-predictor-00002": 10,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["nobody", "digits"])
def test_a_graph_of_a_service_that_cannot_be_asked_has_no_status_and_the_log_says_why(
    cluster: Cluster, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.create()  # and its server never gets ready
    apply(cluster, {"serviceName": name})
    said = {
        "nobody": "Failed to find graph service nobody",
        "digits": "service digits is not ready",
    }[name]
    assert status(cluster) == {}
    assert cluster.api.store.find(KSERVICES, "default", "checkout") is None
    told = [e["involvedObject"]["name"] for e in cluster.api.store.items(EVENTS)]
    assert "checkout" not in told
    assert caplog.messages.count(f"InferenceGraph default/checkout: {said}") == 1


def test_it_gets_ready_when_its_service_does_and_stays_so_without_the_service_as_in_kserve(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """controller.go:166-180 returns the error before anything of the graph is written."""
    apply(cluster, DIGITS)
    assert status(cluster) == {}
    cluster.create()
    cluster.ready(1)
    up(cluster)
    before = status(cluster)
    assert condition(cluster) == ("True", "", "")
    caplog.clear()
    cluster.objects.delete_namespaced_custom_object(*ISVC, "digits")
    cluster.loop.settle()
    assert status(cluster) == before
    assert cluster.ingress.table[HOST] == {ROUTER: 100}  # which tells clients
    assert caplog.messages == [
        "InferenceGraph default/checkout: Failed to find graph service digits"
    ]


@pytest.mark.parametrize(
    ("runtime", "said"),
    [
        (None, "service digits: no ServingRuntime mine"),
        (["grpc-v2"], "the runtime does not support a protocol compatible with Inference Graphs"),
    ],
)
def test_a_service_whose_runtime_a_graph_cannot_speak_to_gives_no_router(
    runtime: list[str] | None, said: str
) -> None:
    isvc = {
        "metadata": {"name": "digits"}, "status": {"address": {"url": "http://digits"}},
        "spec": {"predictor": {"model": {"runtime": "mine", "protocolVersion": "v2"}}},
    }  # fmt: skip
    known = {"mine": {"spec": {"protocolVersions": runtime}}} if runtime else {}
    with pytest.raises(graph_steps.UnresolvedError, match=said):
        graph_steps.endpoint(isvc, known)


def test_another_graph_is_another_revision_of_the_router(served: Cluster) -> None:
    apply(served, DIGITS)
    up(served)
    steps = [DIGITS | {"dependency": "Hard"}]
    change = {"spec": {"nodes": {"root": {"routerType": "Ensemble", "steps": steps}}}}
    served.objects.patch_namespaced_custom_object(*GRAPH, "checkout", change)
    served.loop.settle()
    assert served.ingress.table[HOST] == {ROUTER: 100}  # until the new one can serve
    up(served, "checkout-00002")
    assert served.ingress.table[HOST] == {"checkout-00002": 100}


def test_a_deleted_graph_takes_its_router_with_it(served: Cluster) -> None:
    apply(served, DIGITS)
    up(served)
    served.objects.delete_namespaced_custom_object(*GRAPH, "checkout")
    served.loop.settle()
    assert HOST not in served.ingress.table
    assert ROUTER not in served.runtime.specs


def test_a_stopped_graph_has_no_router_and_comes_back(served: Cluster) -> None:
    apply(served, DIGITS)
    up(served)

    def stop(value: str) -> None:
        change = {"metadata": {"annotations": {"serving.kserve.io/stop": value}}}
        served.objects.patch_namespaced_custom_object(*GRAPH, "checkout", change)
        served.loop.settle()

    stop("true")
    assert condition(served) == ("False", "Stopped", "")
    assert condition(served, "Stopped")[0] == "True"
    assert ROUTER not in served.runtime.specs
    stop("false")
    up(served)
    assert (condition(served)[0], condition(served, "Stopped")[0]) == ("True", "False")


def test_replicas_timeout_and_headers_become_what_kserve_makes_of_them(served: Cluster) -> None:
    def propagate(item: dict[str, Any]) -> dict[str, Any]:
        router = json.dumps({"image": "r:1", "headers": {"propagate": ["X-Trace", "Auth.*"]}})
        return item | {"data": item["data"] | {"router": router}}

    served.api.store.edit(CONFIGMAPS, "kserve", "inferenceservice-config", propagate)
    apply(served, DIGITS, minReplicas=2, maxReplicas=3, timeout=30)
    ksvc = served.api.store.find(KSERVICES, "default", "checkout")
    assert ksvc is not None
    template = ksvc["spec"]["template"]
    scaling = "autoscaling.knative.dev"
    assert template["metadata"]["annotations"] == {
        f"{scaling}/class": "kpa.autoscaling.knative.dev", f"{scaling}/min-scale": "2",
        f"{scaling}/max-scale": "3",
    }  # fmt: skip
    assert template["spec"]["timeoutSeconds"] == 30
    program = served.runtime.specs[ROUTER].program
    assert program is not None
    assert program.env == {"PROPAGATE_HEADERS": "X-Trace,Auth.*"}
    assert f"{ROUTER}.1" in served.runtime.specs


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (DIGITS | {"condition": "a*"}, "nodes.root.steps[0].condition: '*' in the GJSON path 'a*'"),
        ({"nodeName": "root"}, "nodes root -> root lead back to themselves"),
    ],
)
def test_what_is_not_emulated_is_refused_by_its_place(
    served: Cluster, step: dict[str, Any], said: str
) -> None:
    apply(served, step, router="Switch")
    state, reason, message = condition(served)
    assert (state, reason) == ("False", "NotEmulated")
    assert said in message


def test_standard_mode_is_not_emulated(served: Cluster) -> None:
    body = {
        "apiVersion": "serving.kserve.io/v1alpha1", "kind": "InferenceGraph",
        "metadata": {
            "name": "checkout",
            "annotations": {"serving.kserve.io/deploymentMode": "Standard"},
        },
        "spec": {"nodes": {"root": {"routerType": "Sequence", "steps": [DIGITS]}}},
    }  # fmt: skip
    served.objects.create_namespaced_custom_object(*GRAPH, body)
    served.loop.settle()
    assert condition(served)[1:] == (
        "NotEmulated", "an InferenceGraph is emulated in Knative mode alone; annotate it so",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "nodes", "said"),
    [
        ("1st", {"root": {"routerType": "Switch"}}, "must start with alphabetical character"),
        ("a", {"first": {"routerType": "Switch"}}, "root node not found"),
        (
            "a",
            {"root": {"routerType": "Switch", "steps": [DIGITS, DIGITS]}},
            'contains more than one step with name "digits"',
        ),
        (
            "a",
            {"root": {"routerType": "Switch", "steps": [{"name": "x"}]}},
            'Step 0 ("x") in node "root" of InferenceGraph "a" does not specify an inference target',
        ),
        (
            "a",
            {"root": {"routerType": "Switch", "steps": [DIGITS | {"nodeName": "root"}]}},
            "specifies more than one of nodeName, serviceName, serviceUrl",
        ),
        ("a", {"root": {"routerType": "Splitter", "steps": [DIGITS]}}, "missing the 'Weight'"),
        (
            "a",
            {"root": {"routerType": "Splitter", "steps": [DIGITS | {"weight": 99}]}},
            "the sum of traffic weights for all routing targets should be 100",
        ),
        ("a", {"root": {"routerType": "Sequnce"}}, "Unsupported value"),
        ("a", {"root": {"routerType": "Switch", "steps": ["digits"]}}, "must be of type object"),
        ("a", {"root": {}}, "spec.nodes.root.routerType"),
    ],
)
def test_what_kserves_webhook_or_its_crd_refuse_is_refused_at_the_door(
    door: Cluster, name: str, nodes: dict[str, Any], said: str
) -> None:
    body = {
        "apiVersion": "serving.kserve.io/v1alpha1", "kind": "InferenceGraph",
        "metadata": {"name": name}, "spec": {"nodes": nodes},
    }  # fmt: skip
    with pytest.raises(ApiException) as error:
        door.objects.create_namespaced_custom_object(*GRAPH, body)
    assert said in json.loads(error.value.body)["message"]
