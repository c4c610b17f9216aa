"""A transformer and an explainer of their own, in Standard mode: why no canary is released behind them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client

from tests import crd
from tests.kserve_judge import read_by_kserve
from tidegate.sandbox.api.admission import Admission
from tidegate.sandbox.api.kinds import HTTPROUTES, INFERENCESERVICES, PODS
from tidegate.sandbox.api.schemas import load
from tidegate.sandbox.interfaces import RevisionStatus

from .emulated_cluster import ISVC
from .standard_cluster import HOSTS, STOP, StandardCluster, entry, running
from .test_components import component

HOST, PREDICTOR = HOSTS
BLUE = "digits-blue-predictor.default.svc.cluster.local"
CRASHED = RevisionStatus(
    phase="Failed", reason="CrashLoop", message="Traceback\nno background given", exit_code=1,
    restarts=2, container="kserve-container",
)  # fmt: skip


@pytest.fixture
def cluster() -> Iterator[StandardCluster]:
    with running() as started:
        yield started


@pytest.fixture
def whole(cluster: StandardCluster) -> StandardCluster:
    cluster.create(beside={"transformer": component(), "explainer": component()})
    cluster.ready("blue", "transformer", "explainer")
    return cluster


def explained(cluster: StandardCluster) -> dict[str, int]:
    """Percent by Service of what the rule for `:explain` sends where."""
    (route,) = [r for r in cluster.base.ingress.routes if r.host == HOST]
    assert [rule.regex for rule in route.rules] == [r"^/v1/models/[\w-]+:explain$"]
    return {route.answers[name]: percent for _, name, percent in route.rules[0].weights}


def asked(cluster: StandardCluster, name: str) -> str:
    """What a component's newest pods are told to ask."""
    program = cluster.base.runtime.specs[cluster.server(name)].program
    assert program is not None
    assert program.argv[4] == "--predictor_host"
    assert program.argv[5] in program.reaches
    return program.argv[5]


def test_each_component_is_a_deployment_with_a_service_a_route_and_a_status_of_its_own(
    whole: StandardCluster,
) -> None:
    assert whole.deployments() == {"blue": 1, "transformer": 1, "explainer": 1}
    assert whole.services() == {"blue", "transformer", "explainer"}
    assert set(whole.status()["components"]) == {"predictor", "transformer", "explainer"}
    for name in ("transformer", "explainer"):
        url = whole.status()["components"][name]["url"]
        assert url == f"http://digits-{name}.default.example.com"
        assert whole.shares(url.removeprefix("http://")) == {name: 100}
        told = whole.base.condition(f"{name.capitalize()}Ready")
        assert (told["status"], told["severity"]) == ("True", "Info")
        assert whole.deployment(name).spec.template.metadata.labels["component"] == name
    assert whole.condition("Ready") == ("True", "")


def test_predictions_go_to_the_transformer_and_explain_to_the_explainer(
    whole: StandardCluster,
) -> None:
    assert whole.shares(HOST) == {"transformer": 100}
    assert explained(whole) == {"digits-explainer": 100}
    assert whole.shares(PREDICTOR) == {"blue": 100}  # past both
    address = whole.status()["address"]["url"]
    assert address == "http://digits-transformer.default.svc.cluster.local"
    assert "digits.default.svc.cluster.local" not in whole.base.ingress.table  # no such Service


def test_a_component_is_told_the_stable_predictors_service_and_has_no_model(
    whole: StandardCluster,
) -> None:
    for name in ("transformer", "explainer"):
        assert asked(whole, name) == "digits-blue-predictor.default"
        spec = whole.base.runtime.specs[whole.server(name)]
        assert (spec.has_model, spec.storage_uri, spec.component) == (False, "", name)
    found = client.CoreV1Api(whole.base.client).list_namespaced_pod(
        "default", label_selector="component=explainer"
    )
    assert found.items[0].spec.init_containers is None
    assert whole.status()["modelStatus"]["copies"]["totalCopies"] == 1


def test_a_canarys_share_goes_past_transformer_and_explainer_and_neither_asks_the_canary(
    whole: StandardCluster,
) -> None:
    whole.canary(entry("green", 30, minReplicas=1))
    whole.ready("green")
    assert whole.shares(HOST) == {"transformer": 70, "green": 30}  # as the clients sent it
    assert explained(whole) == {"digits-explainer": 70, "digits-green-predictor": 30}
    assert whole.shares(PREDICTOR) == {"blue": 70, "green": 30}
    # What a KServe that weighs the predictor's rules alone (kserve#5944) would leave of the share:
    own = "digits-transformer.default.example.com"
    assert whole.shares(own) == {"transformer": 100}
    assert asked(whole, "transformer") == "digits-blue-predictor.default"
    assert whole.shares(BLUE) == {"blue": 100}


def test_a_promotion_takes_away_what_the_old_pods_of_a_component_still_ask(
    whole: StandardCluster,
) -> None:
    whole.canary(entry("green", 0, minReplicas=1))
    whole.ready("green")
    old = whole.server("transformer")
    whole.promote("green")
    assert whole.server("transformer") != old  # the address is in its template
    assert asked(whole, "transformer") == "digits-green-predictor.default"
    assert whole.base.ingress.table[HOST] == {old: 100}
    assert BLUE not in whole.base.ingress.table
    assert whole.services() == {"green", "transformer", "explainer"}
    whole.ready("transformer", "explainer")
    assert old not in whole.base.runtime.specs


def test_a_service_is_not_ready_before_its_explainer_is_and_the_pod_alone_has_its_last_line(
    cluster: StandardCluster,
) -> None:
    cluster.create(beside={"explainer": component()})
    cluster.ready("blue")
    cluster.seen("explainer", CRASHED)
    assert cluster.condition("PredictorReady")[0] == "True"
    assert cluster.condition("ExplainerReady") == ("False", "MinimumReplicasUnavailable")
    assert cluster.condition("IngressReady") == ("False", "Explainer Deployment NotReady")
    assert cluster.condition("Ready")[0] == "False"
    assert cluster.shares(PREDICTOR) == {"blue": 100}
    assert HOST not in cluster.base.ingress.table
    assert "url" not in cluster.status()
    assert "no background" not in json.dumps(cluster.status()["conditions"])
    (pod,) = [
        item
        for item in cluster.base.api.store.items(PODS)
        if item["metadata"]["labels"]["component"] == "explainer"
    ]
    (shown,) = pod["status"]["containerStatuses"]
    assert "no background given" in shown["lastState"]["terminated"]["message"]


def test_the_url_waits_for_the_transformer(cluster: StandardCluster) -> None:
    cluster.create(beside={"transformer": component()})
    assert cluster.condition("IngressReady") == ("False", "Predictor Deployment NotReady")
    cluster.ready("blue")
    assert cluster.condition("IngressReady") == ("False", "Transformer Deployment NotReady")
    assert "url" not in cluster.status()
    cluster.ready("transformer")
    assert cluster.status()["url"] == f"http://{HOST}"


def test_a_later_explainer_that_does_not_start_leaves_the_old_one_and_every_route(
    whole: StandardCluster,
) -> None:
    before = dict(whole.base.ingress.table)
    whole.patch({"spec": {"explainer": component(command=["python3", "broken.py"])}})
    whole.seen("explainer", CRASHED)
    assert whole.base.ingress.table == before
    assert explained(whole) == {"digits-explainer": 100}
    assert whole.condition("Ready") == ("True", "")


def test_a_component_has_replicas_and_a_port_of_its_own(cluster: StandardCluster) -> None:
    made = component(ports=[{"containerPort": 9001}], args=["--http_port=9001"])
    cluster.create(beside={"transformer": made | {"minReplicas": 2}})
    assert cluster.deployments() == {"blue": 1, "transformer": 2}
    (port,) = cluster.core.read_namespaced_service("digits-transformer", "default").spec.ports
    assert (port.port, port.target_port) == (80, 9001)
    program = cluster.base.runtime.specs[cluster.server("transformer")].program
    assert program is not None
    assert program.port == 9001


def test_without_the_gateway_api_hosts_are_kserves_faults_included(whole: StandardCluster) -> None:
    def hosts() -> dict[str, dict[str, int]]:
        rest = ("digits", "digits-transformer", "digits-explainer")
        return {name: whole.shares(f"{name}.default.example.com") for name in rest}

    whole.base.objects.delete_namespaced_custom_object(*ISVC, "digits")
    whole.configure("ingress", json.dumps({"enableGatewayApi": False}))
    whole.create(beside={"explainer": component()})
    assert whole.condition("IngressReady") == ("False", "Predictor ingress not created")
    whole.ready("blue")
    assert whole.condition("IngressReady") == ("False", "Explainer ingress not created")
    whole.ready("explainer")
    plain = {"digits": {"blue": 100}, "digits-explainer": {"explainer": 100}}
    assert hosts() == plain | {"digits-transformer": {}}
    assert all(not route.rules for route in whole.base.ingress.routes)  # nothing for :explain
    whole.patch({"spec": {"transformer": component()}})
    whole.ready("transformer")
    assert hosts()["digits"] == {"transformer": 100}
    assert hosts()["digits-transformer"] == {"blue": 100}


def test_the_explainer_of_a_service_that_drops_it_stays_and_gets_nothing(
    whole: StandardCluster,
) -> None:
    whole.patch({"spec": {"explainer": None}})
    (route,) = [r for r in whole.base.ingress.routes if r.host == HOST]
    assert route.rules == ()
    assert "explainer" in whole.deployments()
    assert whole.condition("ExplainerReady")[0] == "True"
    assert "explainer" in whole.status()["components"]


def test_stop_and_delete_take_every_component_away(whole: StandardCluster) -> None:
    whole.patch({"metadata": {"annotations": {STOP: "true"}}})
    assert whole.base.ingress.table == {}
    assert whole.condition("ExplainerReady") == ("False", "Stopped")
    whole.patch({"metadata": {"annotations": {STOP: None}}})
    whole.ready("blue", "transformer", "explainer")
    assert whole.shares(HOST) == {"transformer": 100}
    whole.base.objects.delete_namespaced_custom_object(*ISVC, "digits")
    whole.settle()
    assert whole.base.ingress.table == {}
    assert whole.base.runtime.specs == {}
    assert (whole.deployments(), whole.services()) == ({}, set())
    store = whole.base.api.store
    assert store.items(HTTPROUTES) == store.items(PODS) == []


def test_a_component_whose_program_is_not_here_is_refused(cluster: StandardCluster) -> None:
    cluster.create(beside={"explainer": {"art": {"type": "SquareAttack"}}})
    told: dict[str, Any] = cluster.base.condition("PredictorReady")
    assert (told["status"], told["reason"]) == ("False", "NotEmulated")
    assert "spec.explainer.art: no image is run here" in told["message"]
    assert cluster.base.runtime.specs == {}


@pytest.mark.skipif(not crd.SHARED, reason="TIDEGATE_SHARED names no folder with the CRDs")
def test_what_the_controllers_write_is_known_by_the_crds_and_by_kserves_own_models(
    whole: StandardCluster,
) -> None:
    admission = Admission(load(crd.KSERVE))
    (item,) = whole.base.api.store.items(INFERENCESERVICES)
    assert admission.unknown_fields(INFERENCESERVICES, item) == []
    admission.schemas.check(INFERENCESERVICES, item)
    (again,) = read_by_kserve([whole.base.isvc()])
    assert set(again["status"]["components"]) == {"predictor", "transformer", "explainer"}
