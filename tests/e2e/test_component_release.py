"""Releases behind a transformer and an explainer of their own, processes that ask the predictor by name.

The tests are one story and run in the order of the file.
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import yaml
from kubernetes import client, config

from tests.e2e.conftest import POLICY, Home, running
from tests.e2e.meanwhile import Meanwhile
from tests.e2e.test_release import Production, services, shares
from tidegate.sandbox.process import marked
from tidegate.sandbox.state import StateDirectory

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(280)]
EXAMPLES = Path(__file__).parents[2] / "examples"
HOST, PREDICTOR = "tiny.default.example.com", "tiny-predictor.default.example.com"
WINE = [13.2, 1.8, 2.4, 16.0, 100.0, 2.8, 3.0, 0.3, 2.3, 5.6, 1.0, 3.9, 1000.0]
RAW = {"name": "raw", "datatype": "FP32", "shape": [1, 13], "data": [10 * v for v in WINE]}
TRANSFORMER = {
    "collocated": False, "image": "transformer:1",
    "command": ["python3", str(EXAMPLES / "digits-transformer" / "transformer.py")],
    "args": ["--raw=raw", "--scale=10"],
}  # fmt: skip
EXPLAINER = {
    "image": "explainer:1",
    "command": ["python3", str(EXAMPLES / "digits-explainer" / "explainer.py")],
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with running(tmp_path_factory.mktemp("components"), "Knative") as one:
        yield one


def policy(home: Home, name: str = "tiny", **serving: Any) -> Path:
    made = {"name": name, "model": {"uri": "models:/tiny/1"}, "serving": serving}
    path = home.folder / f"policy-{len(list(home.folder.iterdir()))}.yaml"
    path.write_text(yaml.safe_dump(POLICY | made))
    return path


def ask(home: Home, path: str, sent: dict[str, Any], host: str = HOST) -> httpx.Response:
    url = home.environment["TIDEGATE_INGRESS_URL"] + path
    return httpx.post(url, json=sent, headers={"host": host}, trust_env=False, timeout=30)


def probabilities(home: Home, rows: list[list[float]]) -> np.ndarray[Any, Any]:
    """The predictor's own answers, past transformer and explainer."""
    found = []
    for row in rows:
        tensor = {"name": "X", "datatype": "FP32", "shape": [1, 13], "data": row}
        answer = ask(home, "/v2/models/tiny/infer", {"inputs": [tensor]}, PREDICTOR).json()
        found.append(next(o["data"] for o in answer["outputs"] if o["name"] == "probabilities"))
    return np.array(found)


def explanation(home: Home) -> dict[str, Any]:
    answer = ask(home, "/v1/models/tiny:explain", {"instances": [WINE]})
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["explanations"]
    told: dict[str, Any] = found
    return told


def expected(home: Home) -> tuple[int, np.ndarray[Any, Any]]:
    """The label, and what its probability loses without each value, asked without the explainer."""
    rows = [WINE, *([*WINE[:at], 0.0, *WINE[at + 1 :]] for at in range(13))]
    whole, *without = probabilities(home, rows)
    label = int(whole.argmax())
    return label, np.array([whole[label] - one[label] for one in without])


class Explaining(Meanwhile):
    """A client of `:explain` while something else happens."""

    def __init__(self, home: Home) -> None:
        super().__init__()
        self._home = home
        self.versions: list[str] = []
        self.failures: list[str] = []

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            try:
                self.versions.append(explanation(self._home)["model_version"])
            except (AssertionError, httpx.HTTPError) as error:
                self.failures.append(repr(error))


def status(home: Home) -> dict[str, Any]:
    config.load_kube_config(home.environment["KUBECONFIG"])
    found = client.CustomObjectsApi().get_namespaced_custom_object(
        "serving.kserve.io", "v1beta1", "default", "inferenceservices", "tiny"
    )
    told: dict[str, Any] = found["status"]
    return told


def test_a_first_release_comes_up_with_its_transformer_and_explainer_and_both_do_their_work(
    home: Home,
) -> None:
    given = policy(home, transformer=TRANSFORMER, explainer=EXPLAINER)
    done = home.release("models:/tiny/1", given)
    assert (done.returncode, done.stdout.strip()) == (0, "PROMOTED"), done.stderr
    assert services(home) == ["tiny"]
    answer = ask(home, "/v2/models/tiny/infer", {"inputs": [RAW]})
    assert answer.status_code == 200, answer.text
    found = next(o["data"] for o in answer.json()["outputs"] if o["name"] == "probabilities")
    np.testing.assert_allclose(found, probabilities(home, [WINE])[0], atol=1e-6)
    raw = probabilities(home, [RAW["data"]])[0]  # type: ignore[list-item]
    assert np.abs(np.array(found) - raw).max() > 0.01  # untransformed it would be another answer
    told, (label, losses) = explanation(home), expected(home)
    assert (told["label"], told["model_version"]) == (label, "1")
    np.testing.assert_allclose(told["attributions"], losses, atol=1e-5)
    assert np.abs(losses).max() > 0.05


def test_the_next_model_is_promoted_behind_both_without_a_lost_request_or_explanation(
    home: Home,
) -> None:
    before = explanation(home)
    given = policy(home, transformer=TRANSFORMER, explainer=EXPLAINER)
    production = Production(home, row={"inputs": [RAW]}, service="tiny")
    with production, Explaining(home) as explaining:
        time.sleep(4)  # Prometheus must have seen the rate that the load is matched to
        done = home.release("models:/tiny/2", given)
    assert (done.returncode, done.stdout.strip()) == (0, "PROMOTED"), done.stderr
    assert (production.failures, explaining.failures) == ([], [])
    assert set(production.versions) == set(explaining.versions) == {"1", "2"}
    assert (production.versions[-1], explanation(home)["model_version"]) == ("2", "2")
    np.testing.assert_allclose(explanation(home)["attributions"], expected(home)[1], atol=1e-5)
    assert explanation(home)["attributions"] != before["attributions"]
    found = status(home)["components"]
    assert found["transformer"]["latestCreatedRevision"] == "tiny-transformer-00001"
    assert found["explainer"]["latestCreatedRevision"] == "tiny-explainer-00001"


def test_a_release_with_a_broken_explainer_names_its_last_line_and_production_goes_on(
    home: Home,
) -> None:
    before = (shares(home), status(home)["components"])
    broken = EXPLAINER | {"command": ["python3", "-c", "raise SystemExit('no background set')"]}
    with Production(home, row={"inputs": [RAW]}, service="tiny") as production:
        done = home.release("models:/tiny/1", policy(home, name="fresh", explainer=broken))
    assert done.returncode == 7, done.stderr
    assert "spec.explainer does not start: CRASH_LOOP: kserve-container (Error" in done.stderr
    assert "no background set" in done.stderr
    assert services(home) == ["tiny"]
    assert production.failures == []
    assert set(production.versions) == {"2"}
    assert (shares(home), status(home)["components"]) == before


def test_delete_ends_every_process_of_the_service(home: Home) -> None:
    holder = StateDirectory(home.folder / "sandbox").holder()
    assert holder is not None

    def running_now() -> list[str]:
        kinds, found = ("revision", "program"), []
        for process in [p for kind in kinds for p in marked(f"{holder.sandbox_id}/{kind}")]:
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                found.append(" ".join(process.cmdline()))
        return found

    assert sum("explainer.py" in one or "transformer.py" in one for one in running_now()) == 2
    config.load_kube_config(home.environment["KUBECONFIG"])
    client.CustomObjectsApi().delete_namespaced_custom_object(
        "serving.kserve.io", "v1beta1", "default", "inferenceservices", "tiny"
    )
    deadline = time.monotonic() + 40
    while running_now():
        assert time.monotonic() < deadline, running_now()
        time.sleep(0.2)
    assert ask(home, "/v1/models/tiny:explain", {"instances": [WINE]}).status_code == 404
