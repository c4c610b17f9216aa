"""A transformer and an explainer of their own, as processes that ask Triton through Envoy by its name."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.sandbox.real_servers import (
    BLUE,
    GREEN,
    NAMESPACE,
    Digits,
    body,
    eventually,
    settled,
)
from tidegate.errors import RejectedError
from tidegate.sandbox import envoy, program
from tidegate.sandbox.controllers.virtual_service import EXPLAIN
from tidegate.sandbox.envoy import EnvoyIngress
from tidegate.sandbox.interfaces import HostRoute, PathRule, Program, RevisionSpec
from tidegate.sandbox.triton import TritonRuntime

EXAMPLES = Path(__file__).parents[2] / "examples"
NAME = "digits-predictor.prod"
PREDICTOR, FRONT = f"{NAME}.svc.cluster.local", "digits.prod.example.com"
TRANSFORMER, EXPLAINER = "digits-transformer-00001", "digits-explainer-00001"
GIVEN = (
    "--model_name",
    "digits",
    "--predictor_host",
    NAME,
    "--http_port",
    "8080",
    "--workers",
    "4",
)
"""What KServe adds; the last with containerConcurrency."""


def component(name: str, *argv: str, ready_path: str = "") -> RevisionSpec:
    service = name.rpartition("-")[0]
    return RevisionSpec(
        namespace=NAMESPACE, name=name, service=service, inferenceservice="digits", storage_uri="",
        labels={"component": service.rpartition("-")[2]},
        program=Program(
            container="kserve-container", argv=argv, port=8080, ready_path=ready_path,
            is_alone=True, reaches=(NAME,),
        ),
    )  # fmt: skip


def to(name: str) -> tuple[tuple[str, str, int], ...]:
    return ((NAMESPACE, name, 100),)


@pytest.fixture(scope="module")
def served(runtime: TritonRuntime, _envoy: EnvoyIngress) -> Iterator[EnvoyIngress]:
    """Both before the predictor, behind one virtual host, as KServe's."""
    _envoy.program([HostRoute(host=PREDICTOR, weights=to(BLUE))])
    transformer, explainer = (
        str(EXAMPLES / f"digits-{one}" / f"{one}.py") for one in ("transformer", "explainer")
    )
    ready = "/v2/health/ready"
    runtime.start(component(TRANSFORMER, sys.executable, transformer, *GIVEN, ready_path=ready))
    runtime.start(component(EXPLAINER, sys.executable, explainer, *GIVEN, "--rows=32"))
    for name in (TRANSFORMER, EXPLAINER):
        assert settled(runtime, name).phase == "Ready", runtime.status(NAMESPACE, name)
    yield _envoy
    for name in (TRANSFORMER, EXPLAINER):
        runtime.stop(NAMESPACE, name)


@pytest.fixture
def routed(served: EnvoyIngress) -> EnvoyIngress:
    rule = PathRule(regex=EXPLAIN, weights=to(EXPLAINER))
    front = HostRoute(host=FRONT, weights=to(TRANSFORMER), rules=(rule,))
    served.program([HostRoute(host=PREDICTOR, weights=to(BLUE)), front])
    return served


def post(ingress: EnvoyIngress, path: str, sent: dict[str, Any], host: str = FRONT) -> Any:
    url = f"{ingress.url}{path}"
    return httpx.post(url, json=sent, headers={"Host": host}, trust_env=False, timeout=30)


@pytest.mark.real
def test_a_name_of_the_cluster_is_a_port_here_that_follows_the_routes(
    runtime: TritonRuntime, ingress: EnvoyIngress, digits: Digits
) -> None:
    def ask(name: str) -> httpx.Response:
        url = f"http://{ingress.address(name)}/v2/models/digits/infer"
        return httpx.post(url, json=body(digits.images[:1]), trust_env=False)

    other = "other-predictor.prod"
    assert (ask(NAME).status_code, ask(other).status_code) == (404, 404)
    ingress.program([HostRoute(host=PREDICTOR, weights=to(BLUE))])
    assert ask(NAME).headers["x-tidegate-revision"] == BLUE
    assert ask(other).status_code == 404
    ingress.program(
        [
            HostRoute(host=PREDICTOR, weights=to(GREEN)),
            HostRoute(host=f"{other}.svc.cluster.local", weights=to(BLUE)),
        ]
    )
    assert ask(NAME).headers["x-tidegate-revision"] == GREEN
    assert ask(other).headers["x-tidegate-revision"] == BLUE


@pytest.mark.real
def test_a_name_whose_port_somebody_took_is_told_and_gets_another_the_next_time(
    ingress: EnvoyIngress, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, monkeypatch.context() as patched:
        patched.setattr(envoy, "free_port", lambda: taken.getsockname()[1])
        with pytest.raises(RejectedError, match="envoy refused the configuration"):
            ingress.address("late-predictor.prod")
    answer = httpx.get(f"http://{ingress.address('late-predictor.prod')}/", trust_env=False)
    assert answer.status_code == 404  # it listens, and no route has the name


@pytest.mark.real
def test_clients_send_raw_pixels_to_the_transformer_and_get_the_models_answers(
    routed: EnvoyIngress, digits: Digits
) -> None:
    pixels = np.rint(digits.images[:20] * 16).astype(int)
    tensor = {"name": "pixels", "datatype": "INT64", "shape": [20, 64]}
    sent = {"inputs": [{**tensor, "data": pixels.ravel().tolist()}]}
    answer = post(routed, "/v2/models/digits/infer", sent)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-tidegate-revision"] == TRANSFORMER
    labels = next(o["data"] for o in answer.json()["outputs"] if o["name"] == "label")
    np.testing.assert_array_equal(labels, digits.answers(digits.images[:20])[0])
    past = post(routed, "/v2/models/digits/infer", body(digits.images[:1]), PREDICTOR)
    assert past.headers["x-tidegate-revision"] == BLUE


@pytest.mark.real
def test_an_explanation_is_what_each_pixel_adds_to_the_answers_probability(
    routed: EnvoyIngress, digits: Digits
) -> None:
    image = digits.images[4]
    sent = {"instances": [image.tolist(), digits.images[7].tolist()]}
    answer = post(routed, "/v1/models/digits:explain", sent)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-tidegate-revision"] == EXPLAINER
    first, second = answer.json()["explanations"]
    without = np.tile(image, (64, 1))
    np.fill_diagonal(without, 0)
    labels, probabilities = digits.answers(np.vstack([image, without]).astype(np.float32))
    label = int(labels[0])
    assert (first["label"], first["model_version"]) == (label, "1")
    expected = probabilities[0, label] - probabilities[1:, label]
    np.testing.assert_allclose(first["attributions"], expected, atol=1e-5)
    assert np.abs(expected).max() > 0.01  # there is something to explain
    assert first["attributions"] != second["attributions"]


@pytest.mark.real
def test_without_its_strongest_pixels_the_answer_is_lost_and_without_the_weakest_it_stays(
    routed: EnvoyIngress, digits: Digits
) -> None:
    images = digits.images[:8]
    sent = {"instances": images.tolist()}
    told = post(routed, "/v1/models/digits:explain", sent).json()["explanations"]
    order = np.argsort([one["attributions"] for one in told], axis=1)
    strong, weak = images.copy(), images.copy()
    np.put_along_axis(strong, order[:, -8:], 0, axis=1)
    np.put_along_axis(weak, order[:, :8], 0, axis=1)
    rows, labels = np.arange(8), [one["label"] for one in told]
    kept = [digits.answers(part)[1][rows, labels] for part in (images, strong, weak)]
    assert kept[0].mean() - kept[1].mean() > 0.3
    assert kept[2].mean() >= kept[0].mean()  # what spoke against it is gone


@pytest.mark.real
def test_what_an_explainer_cannot_read_is_one_line_and_no_crash(
    runtime: TritonRuntime, routed: EnvoyIngress
) -> None:
    for sent, said in (
        ({"instances": "3"}, "no rows of numbers"),
        ({"instances": [[1.0] * 13]}, "the model answered 400"),
    ):
        answer = post(routed, "/v1/models/digits:explain", sent)
        assert answer.status_code in {400, 503}
        assert said in answer.json()["error"]
    assert runtime.status(NAMESPACE, EXPLAINER).phase == "Ready"


@pytest.mark.real
def test_a_component_that_crashes_says_its_last_line_and_has_one_port_and_no_triton(
    runtime: TritonRuntime, ingress: EnvoyIngress
) -> None:
    name = "digits-explainer-00002"
    runtime.start(component(name, sys.executable, "-c", "raise SystemExit('no background')"))
    status = settled(runtime, name)
    assert (status.phase, status.reason, status.exit_code) == ("Failed", "CrashLoop", 1)
    assert (status.container, status.message) == ("kserve-container", "no background")
    (pod,) = [p for p in runtime.pods() if p.spec.name == name]
    assert pod.endpoint.http == pod.endpoint.program == pod.endpoint.entry
    assert "no background" in pod.log.read_text()
    runtime.stop(NAMESPACE, name)
    eventually(lambda: runtime.status(NAMESPACE, name).phase == "Stopped")


def test_only_whole_names_of_the_own_service_are_rewritten() -> None:
    asked = component(EXPLAINER, sys.executable).program
    assert asked is not None
    words = [
        NAME, f"http://{NAME}/v2", f"{NAME}.svc", f"{NAME}.svc.cluster.local:80",
        f"--host={NAME}:8080", f"{NAME}.example.com", f"my-{NAME}", "feast.prod:6566",
    ]  # fmt: skip
    given = Program(container="c", argv=("python", *words), port=8080, reaches=asked.reaches)
    here = program.arguments(given, {8080: 20001}, lambda name: f"<{name}>")[1:]
    assert here == [f"<{NAME}>", f"http://<{NAME}>/v2", f"<{NAME}>", f"<{NAME}>", *words[4:]]
