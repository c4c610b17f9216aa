"""An InferenceGraph in a policy: what the router would get wrong is refused, the rest is KServe's object."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kserve_judge import read_by_kserve
from tidegate.adapters.files import parse_policy
from tidegate.core.isvc.graph import graph
from tidegate.errors import DocumentError
from tidegate.policy import Policy
from tidegate.sandbox.api import webhook_graph
from tidegate.sandbox.api.graph_schema import SCHEMA
from tidegate.sandbox.api.kinds import INFERENCEGRAPHS
from tidegate.sandbox.api.schemas import Schemas
from tidegate.sandbox.router import routing

OWN, OTHER = {"service": "fraud"}, {"service": "limits"}
IMAGE = {"image": "t:1"}


def policy(wanted: dict[str, Any], serving: dict[str, Any] | None = None, **parts: Any) -> Policy:
    given = {
        "name": "fraud", "model": {"uri": "models:/fraud/1"},
        "serving": {"graph": {"name": "checkout", **wanted}, **(serving or {})}, **parts,
    }  # fmt: skip
    return parse_policy(yaml.safe_dump(given), what="policy.yaml")


def made(wanted: dict[str, Any], mode: str = "Knative", **serving: Any) -> dict[str, Any]:
    read = policy(wanted, serving)
    assert read.serving.graph is not None
    return graph(read, read.serving.graph, mode)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"steps": []}, "graph.steps"),
        ({"steps": [OTHER]}, "no step is the service fraud; add it"),
        ({"steps": [OWN, {}]}, "a step needs one of service, node and url; write exactly one"),
        ({"steps": [OWN | {"url": "http://a"}]}, "write exactly one"),
        ({"steps": [OWN, {"url": "grpc://a"}]}, "graph.steps.1.url"),
        ({"steps": [OWN, OTHER | {"data": "$answer"}]}, "'$request' or '$response'"),
        ({"name": "fraud", "steps": [OWN]}, "name 'fraud' is a service's already"),
        ({"name": "limits-predictor", "steps": [OWN, OTHER]}, "is a service's already"),
        ({"name": "Checkout", "steps": [OWN]}, "graph.name"),
        ({"steps": [OWN | {"weight": 5}]}, "a weight goes with router: Splitter, not Sequence"),
        ({"router": "Splitter", "steps": [OWN, OTHER]}, "weights [None, None] of a Splitter must add up"),
        (
            {"router": "Splitter", "steps": [OWN | {"weight": 60}, OTHER | {"weight": 60}]},
            "weights [60, 60] of a Splitter must add up to 100",
        ),
        ({"router": "Switch", "steps": [OWN | {"condition": "a"}, OTHER]}, "needs a condition"),
        ({"router": "Switch", "steps": [OWN | {"condition": " "}]}, "needs a condition"),
        ({"router": "Ensemble", "steps": [OWN | {"condition": "a"}]}, "write router: Switch"),
        ({"steps": [OWN | {"condition": "a"}]}, "step fraud is the first of a Sequence"),
        ({"steps": [OWN | {"data": "$response"}]}, "there is no answer before it; remove data"),
        ({"router": "Ensemble", "steps": [OWN, OTHER | {"data": "$request"}]}, "data goes with"),
        ({"steps": [OWN, OTHER | {"map_predictions": True}]}, "write data: $response too"),
        (
            {"router": "Switch", "steps": [OWN | {"condition": "a", "dependency": "Hard"}]},
            "dependency does nothing in router: Switch",
        ),
        ({"steps": [OWN | {"name": "a"}, OTHER | {"name": "a"}]}, "two steps have the name 'a'"),
        ({"steps": [OWN, {"node": "b"}]}, "node 'b' of a step is none of nodes []; add it"),
        ({"steps": [OWN], "nodes": {"b": {"steps": [OTHER]}}}, "nodes.b is the node of no step"),
        ({"steps": [OWN], "nodes": {"root": {"steps": [OTHER]}}}, "name the node otherwise"),
        ({"steps": [OWN, {"node": "root"}]}, "nodes root -> root lead back to themselves"),
        (
            {
                "steps": [OWN, {"node": "b"}],
                "nodes": {"b": {"steps": [{"node": "c"}]}, "c": {"steps": [{"node": "b"}]}},
            },
            "nodes b -> c -> b lead back to themselves",
        ),
        ({"steps": [OTHER, OWN | {"data": "$response"}]}, "no request (`inputs`, kserve#3051)"),
    ],
)  # fmt: skip
def test_what_the_router_would_get_wrong_is_refused_with_what_to_write(
    wanted: dict[str, Any], said: str
) -> None:
    with pytest.raises(DocumentError) as refused:
        policy(wanted)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("serving", "parts", "said"),
    [
        ({"port": "grpc"}, {"load": {"protocol": "grpc"}}, "speaks REST alone; write serving.port: http"),
        ({}, {"triton": {"model_name": "other"}}, "asks for the model fraud, and triton.model_name is other"),
        (
            {"transformer": IMAGE | {"collocated": False}, "mode": "Knative"},
            {},
            "write serving.transformer.env: {PROTOCOL: v2}",
        ),
        ({"format": "sklearn"}, {}, "asks kserve-sklearnserver by v1, the first protocol that it offers"),
    ],
)  # fmt: skip
def test_a_service_that_the_router_cannot_ask_is_in_no_graph(
    serving: dict[str, Any], parts: dict[str, Any], said: str
) -> None:
    with pytest.raises(DocumentError) as refused:
        policy({"steps": [OWN, OTHER]}, serving, **parts)
    assert said in str(refused.value)


CHAIN = {"steps": [OTHER, OWN | {"data": "$response"}]}


@pytest.mark.parametrize(
    ("wanted", "serving"),
    [
        (CHAIN, {"transformer": IMAGE | {"collocated": False, "env": {"PROTOCOL": "v2"}}}),
        (CHAIN, {"format": "sklearn", "protocol": "v1"}),
        (
            {"steps": [OWN, OTHER | {"data": "$response"}]},
            {},
        ),  # what limits takes is not known here
    ],
)
def test_a_chain_is_taken_where_the_service_may_read_the_answer(
    wanted: dict[str, Any], serving: dict[str, Any]
) -> None:
    assert policy(wanted, {"mode": "Knative", **serving}).serving.graph is not None


WHOLE: dict[str, Any] = {
    "router": "Sequence",
    "step_timeout_s": 5,
    "steps": [
        OWN | {"name": "first", "dependency": "Hard"},
        {"node": "choice", "condition": "outputs.#(name==label)"},
        {"url": "http://sink.default/v1/models/m:predict", "data": "$response", "map_predictions": True},
    ],
    "nodes": {
        "choice": {
            "router": "Switch",
            "steps": [OTHER | {"condition": "inputs"}, {"node": "halves", "condition": "instances"}],
        },
        "halves": {
            "router": "Splitter",
            "steps": [OTHER | {"weight": 30}, {"service": "older", "weight": 70}],
        },
    },
}  # fmt: skip


def test_a_graph_of_several_routers_is_kserves_object_in_every_field() -> None:
    found = made(WHOLE)
    assert (found["kind"], found["metadata"]["name"]) == ("InferenceGraph", "checkout")
    assert found["spec"]["routerTimeouts"] == {"serviceClient": 5}
    assert found["spec"]["nodes"]["root"]["steps"] == [
        {"serviceName": "fraud", "name": "first", "dependency": "Hard"},
        {"nodeName": "choice", "condition": "outputs.#(name==label)"},
        {
            "serviceUrl": "http://sink.default/v1/models/m:predict",
            "data": "$response",
            "mapPredictionsToInstances": True,
        },
    ]
    assert read_by_kserve([found]) == [found]
    Schemas({INFERENCEGRAPHS: SCHEMA}).check(INFERENCEGRAPHS, found)
    assert Schemas({INFERENCEGRAPHS: SCHEMA}).prune(INFERENCEGRAPHS, found)[1] == []
    assert list(webhook_graph.complaints(found)) == []


def test_the_graph_says_its_mode_for_the_clusters_default_may_be_another() -> None:
    annotations = made({"steps": [OWN, OTHER]}, "Standard")["metadata"]["annotations"]
    assert annotations == {"serving.kserve.io/deploymentMode": "Standard"}


STEPS = st.fixed_dictionaries(
    {"service": st.sampled_from(["fraud", "limits", "older"])},
    optional={
        "dependency": st.sampled_from(["Soft", "Hard"]),
        "data": st.sampled_from(["$request", "$response"]),
        "condition": st.sampled_from(["inputs", "a.b"]),
        "weight": st.sampled_from([50, 100]),
    },
)


@given(
    router=st.sampled_from(["Sequence", "Splitter", "Ensemble", "Switch"]),
    steps=st.lists(STEPS, min_size=1, max_size=3),
)
@settings(max_examples=150, deadline=None)
def test_what_the_policy_takes_kserves_webhook_takes_and_a_router_can_run(
    router: str, steps: list[dict[str, Any]]
) -> None:
    try:
        found = made({"router": router, "steps": steps})
    except DocumentError:
        return
    assert list(webhook_graph.complaints(found)) == []
    assert routing.not_emulated(routing.read(found["spec"])) == ""
