"""A model of KServe's own server: is it ready, and which version answers, asked by a CloudEvent.

The answers name no version, but those to a binary CloudEvent carry `ce-source`, which the released template
sets (`core.kserve_server.events`). https://github.com/cloudevents/spec (HTTP binding 1.0.2, binary mode)
"""

from collections.abc import Callable, Iterator
from typing import Any

import httpx

from tidegate.adapters.kserve_json import body, predict_path, ready_path
from tidegate.adapters.serving import zeros
from tidegate.core.kserve_server import version_of
from tidegate.documents import Probe
from tidegate.errors import RejectedError

EVENT = {
    "ce-specversion": "1.0",
    "ce-id": "tidegate",
    "ce-source": "tidegate.dev",
    "ce-type": "tidegate.dev.probe",
    "content-type": "application/json",
}
Send = Callable[[], httpx.Response]


def questions(client: httpx.Client, probe: Probe, requests: int) -> tuple[Send, Iterator[Send]]:
    """What asks for readiness, and what asks for an answer to a row of zeros, once each."""
    asked: dict[str, Any] = body(zeros(probe.inputs[0]), probe.inputs[0], probe.protocol)
    path = predict_path(probe.model, probe.protocol)

    def ready() -> httpx.Response:
        return client.get(ready_path(probe.model, probe.protocol))

    def answer() -> httpx.Response:
        return client.post(path, json=asked, headers=EVENT)

    return ready, iter([answer] * requests)


def version(answer: httpx.Response, host: str, model: str) -> str:
    """The version that answered. Raises RejectedError where the answer names none."""
    source = answer.headers.get("ce-source", "")
    if not source:
        raise RejectedError(
            f"{host} answers a CloudEvent without ce-source, so no version can be told from another; serve "
            "it with KServe's own server, and nothing before it that drops headers"
        )
    return version_of(source, model) or f"of {source}"
