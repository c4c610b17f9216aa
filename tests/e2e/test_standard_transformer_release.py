"""Standard mode: releases with a transformer in the model's pod; and why none is made behind one of its own.

The tests are one story and run in the order of the file.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml
from kubernetes import client, config

from tests.e2e.conftest import POLICY, Home
from tests.e2e.test_component_release import EXPLAINER, TRANSFORMER, WINE
from tests.e2e.test_release import Production, services
from tests.e2e.test_transformer_release import EXAMPLE, RAW, capturing, policy

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(280)]
ISVC = ("serving.kserve.io", "v1beta1", "default", "inferenceservices")
ROUTES = ("gateway.networking.k8s.io", "v1", "default", "httproutes")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with capturing(tmp_path_factory.mktemp("standard-transformer"), "Standard") as one:
        config.load_kube_config(one.environment["KUBECONFIG"])
        yield one


def spec_of(name: str) -> dict[str, Any]:
    found = client.CustomObjectsApi().get_namespaced_custom_object(*ISVC, name)
    spec: dict[str, Any] = found["spec"]
    return spec


def deployments() -> dict[str, str]:
    """Name -> the rollout that its pods are of."""
    items = client.AppsV1Api().list_namespaced_deployment("default").items
    return {
        d.metadata.name: d.metadata.annotations["deployment.kubernetes.io/revision"] for d in items
    }


def ask(home: Home, host: str, sent: dict[str, Any], path: str = "infer") -> httpx.Response:
    paths = {"infer": "/v2/models/tiny/infer", "explain": "/v1/models/tiny:explain"}
    url = home.environment["TIDEGATE_INGRESS_URL"] + paths[path]
    headers = {"host": f"{host}.default.example.com"}
    return httpx.post(url, json=sent, headers=headers, trust_env=False, timeout=30)


def explained(home: Home) -> httpx.Response:
    return ask(home, "own", {"instances": [WINE]}, "explain")


def eventually(holds: Any, *what: Any) -> None:
    deadline = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.3)


def weights() -> dict[str, int]:
    """Of the rule that predictions take in the route `own`."""
    route = client.CustomObjectsApi().get_namespaced_custom_object(*ROUTES, "own")
    refs = route["spec"]["rules"][-1]["backendRefs"]
    return {ref["name"]: ref["weight"] for ref in refs}


def test_a_first_release_answers_what_clients_send_its_transformer(home: Home) -> None:
    done = home.release("models:/tiny/1", policy(home, sys.executable, str(EXAMPLE)))
    assert (done.returncode, done.stdout.strip()) == (0, "PROMOTED"), done.stderr
    answer = ask(home, "tiny", {"inputs": [RAW]})
    assert (answer.status_code, answer.json()["model_version"]) == (200, "1"), answer.text
    assert set(deployments()) == {"tiny-blue-predictor"}


def test_the_next_one_takes_its_place_with_its_transformer_and_no_request_is_lost(
    home: Home,
) -> None:
    with Production(home, row={"inputs": [RAW]}, service="tiny") as production:
        time.sleep(4)  # Prometheus must have seen the rate that the load is matched to
        done = home.release("models:/tiny/2", policy(home, sys.executable, str(EXAMPLE)))
    assert (done.returncode, done.stdout.strip()) == (0, "PROMOTED"), done.stderr
    assert production.failures == []
    assert (set(production.versions), production.versions[-1]) == ({"1", "2"}, "2")
    assert deployments() == {"tiny-green-predictor": "1"}


def test_a_candidate_whose_transformer_is_broken_is_refused_by_its_last_line_and_harms_nobody(
    home: Home,
) -> None:
    before = (spec_of("tiny"), deployments())
    broken = policy(home, sys.executable, "-c", "raise SystemExit('no feature store at feast')")
    with Production(home, row={"inputs": [RAW]}, service="tiny") as production:
        done = home.release("models:/tiny/1", broken)
    assert done.returncode != 0
    assert "no feature store at feast" in done.stderr
    assert production.failures == []
    assert set(production.versions) == {"2"}
    assert (spec_of("tiny"), deployments()) == before


def test_with_a_transformer_of_its_own_a_policy_is_refused_before_anything_is_read(
    home: Home,
) -> None:
    serving = {"mode": "Standard", "transformer": TRANSFORMER}
    path = home.folder / "own-transformer.yaml"
    path.write_text(
        yaml.safe_dump(POLICY | {"model": {"uri": "models:/tiny/1"}, "serving": serving})
    )
    done = home.release("models:/no-such-model/1", path)
    assert done.returncode == 3
    assert "asks the stable predictor's Service alone in Standard mode" in done.stderr
    assert "write transformer.collocated: true, or serving.mode: Knative" in done.stderr
    assert services(home) == ["tiny"]


def component(given: dict[str, Any], *args: str) -> dict[str, Any]:
    container = {"image": given["image"], "command": given["command"], "args": list(args)}
    return {"containers": [container | {"name": "kserve-container"}]}


def test_a_service_with_both_serves_and_explains_and_a_release_of_it_is_refused(home: Home) -> None:
    model = spec_of("tiny")["predictor"]["model"]
    body = {
        "apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
        "metadata": {"name": "own", "annotations": {"serving.kserve.io/deploymentMode": "Standard"}},
        "spec": {
            "predictor": {"name": "blue", "minReplicas": 1, "model": model},
            "transformer": component(TRANSFORMER, "--raw=raw", "--scale=10"),
            "explainer": component(EXPLAINER, "--model_name=tiny"),
        },
    }  # fmt: skip
    client.CustomObjectsApi().create_namespaced_custom_object(*ISVC, body)
    eventually(lambda: ask(home, "own", {"inputs": [RAW]}).status_code == 200, spec_of("own"))
    found = explained(home)
    assert (found.status_code, found.json()["explanations"][0]["model_version"]) == (200, "2")
    before = (spec_of("own"), deployments())
    path = home.folder / "own.yaml"
    made = {"name": "own", "adopt": "allow", "model": {"uri": "models:/tiny/1"}}
    path.write_text(yaml.safe_dump(POLICY | made))
    done = home.tidegate("plan", str(path), "--model-uri", "models:/tiny/1")
    assert done.returncode != 0
    told = done.stdout + done.stderr
    assert "spec.transformer is set, and a transformer of its own asks the stable" in told
    assert (spec_of("own"), deployments()) == before


def test_a_canary_by_hand_shows_what_a_release_would_have_done(home: Home) -> None:
    """Its share comes to Triton as it was sent, `:explain` too; no weight reaches it by the transformer."""
    entry = {"name": "green", "minReplicas": 1, "model": spec_of("own")["predictor"]["model"]}
    entry["model"] = {**entry["model"], "name": ""}
    patch = {"spec": {"canary": [{"trafficPercent": 50, "predictor": entry}]}}
    client.CustomObjectsApi().patch_namespaced_custom_object(*ISVC, "own", patch)
    wanted = {"own-transformer": 50, "own-green-predictor": 50}
    eventually(lambda: weights() == wanted, weights())
    time.sleep(1)
    raw = Counter(ask(home, "own", {"inputs": [RAW]}).status_code for _ in range(60))
    assert min(raw[200], raw[400]) > 10, raw
    explanations = Counter(explained(home).status_code for _ in range(30))
    assert explanations[200] > 3
    assert explanations[200] < 27
    own = [ask(home, "own-transformer", {"inputs": [RAW]}) for _ in range(20)]
    assert {answer.status_code for answer in own} == {200}
    pods = client.CoreV1Api().list_namespaced_pod(
        "default", label_selector="component=transformer"
    ).items  # fmt: skip
    args = pods[0].spec.containers[0].args
    assert args[args.index("--predictor_host") + 1] == "own-blue-predictor.default"
