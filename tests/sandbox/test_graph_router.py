"""The router of an InferenceGraph as a process, which asks Triton through Envoy by its services' names."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.sandbox.real_servers import (
    BLUE,
    GREEN,
    NAMESPACE,
    Digits,
    body,
    settled,
)
from tidegate.sandbox import router_command
from tidegate.sandbox.envoy import EnvoyIngress
from tidegate.sandbox.interfaces import HostRoute, RevisionSpec
from tidegate.sandbox.triton import TritonRuntime

pytestmark = pytest.mark.real
ROUTER = "checkout-00001"
FRONT = "checkout.prod.example.com"
DIGITS, OTHER, GONE = "digits.prod", "other.prod", "gone.prod"


def step(name: str, **more: Any) -> dict[str, Any]:
    url = f"http://{name}.svc.cluster.local/v2/models/digits/infer"
    service = name.partition(".")[0]
    return {"serviceName": service, "serviceUrl": url, "name": service, **more}


NODES = {
    "root": {
        "routerType": "Switch",
        "steps": [
            {"nodeName": "lost", "condition": "lost"},
            {"nodeName": "chain", "condition": "chain"},
            {"nodeName": "both", "condition": "inputs.#(name==X)"},
        ],
    },
    "both": {"routerType": "Ensemble", "steps": [step(DIGITS), step(OTHER, dependency="Hard")]},
    "lost": {"routerType": "Sequence", "steps": [step(GONE)]},
    "chain": {
        "routerType": "Sequence",
        "steps": [step(DIGITS), step(OTHER, data="$response")],
    },
}


def router() -> RevisionSpec:
    args = [router_command.GRAPH, json.dumps({"nodes": NODES})]
    container = {"name": "user-container", "args": args}
    return RevisionSpec(
        namespace=NAMESPACE, name=ROUTER, service="checkout", inferenceservice="", storage_uri="",
        labels={router_command.LABEL: "checkout"}, program=router_command.program(container),
    )  # fmt: skip


def to(name: str) -> tuple[tuple[str, str, int], ...]:
    return ((NAMESPACE, name, 100),)


def table(other: str) -> list[HostRoute]:
    return [
        HostRoute(host=f"{DIGITS}.svc.cluster.local", weights=to(BLUE)),
        HostRoute(host=f"{OTHER}.svc.cluster.local", weights=to(other)),
        HostRoute(host=FRONT, weights=to(ROUTER)),
    ]


@pytest.fixture(scope="module")
def served(runtime: TritonRuntime, _envoy: EnvoyIngress) -> Iterator[EnvoyIngress]:
    _envoy.program(table(GREEN))
    runtime.start(router())
    assert settled(runtime, ROUTER).phase == "Ready", runtime.status(NAMESPACE, ROUTER)
    yield _envoy
    runtime.stop(NAMESPACE, ROUTER)


@pytest.fixture
def ask(served: EnvoyIngress) -> Callable[[Any], httpx.Response]:
    served.program(table(GREEN))

    def post(sent: Any) -> httpx.Response:
        return httpx.post(
            served.url, json=sent, headers={"Host": FRONT}, trust_env=False, timeout=30
        )

    return post


def test_one_request_is_answered_by_both_models_and_each_by_its_name(
    ask: Callable[[Any], httpx.Response], digits: Digits
) -> None:
    answer = ask(body(digits.images[:3]))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert list(found) == ["digits", "other"]
    labels = digits.answers(digits.images[:3])[0].tolist()
    for one in found.values():
        assert next(o["data"] for o in one["outputs"] if o["name"] == "label") == labels


def test_an_answer_in_v2_is_no_request_in_v2_so_a_chain_of_two_ends_with_tritons_error(
    ask: Callable[[Any], httpx.Response], digits: Digits
) -> None:
    """Why examples/inference-graph is no Sequence by $response (kserve#3051)."""
    answer = ask({"chain": 1, **body(digits.images[:1])})
    assert answer.status_code == 500  # Triton's own, of the second
    assert "Unable to parse 'inputs'" in answer.json()["error"]


def test_a_failed_hard_step_is_the_answer_and_a_lost_service_is_told_by_its_name(
    ask: Callable[[Any], httpx.Response], digits: Digits
) -> None:
    sent = body(digits.images[:1])
    (tensor,) = sent["inputs"]
    wrong = ask({"inputs": [tensor | {"shape": [1, 63], "data": tensor["data"][:63]}]})
    assert wrong.status_code == 400, wrong.text
    assert "error" in wrong.json()
    lost = ask({"lost": True})
    assert lost.status_code == 500
    assert lost.json() == {
        "error": "Failed to process request",
        "cause": "Post gone: lookup gone: no such host",
    }
    none = ask({"nothing": True})
    assert none.status_code == 404
    assert none.json()["cause"] == "None of the routes matched with the switch condition"
