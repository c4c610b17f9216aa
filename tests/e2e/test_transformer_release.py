"""A release with a transformer in the model's pod: what clients send, and a broken one refused."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.conftest import POLICY, Home, running
from tests.e2e.test_release import Production, shares, source_of
from tidegate.sandbox.state import Mode

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(240)]
EXAMPLE = Path(__file__).parents[2] / "examples" / "digits-transformer" / "transformer.py"
RAW = {"name": "raw", "datatype": "FP32", "shape": [1, 13], "data": [5.0] * 13}  # tenfold
LOG_CAPTURE = """
import sys, mlflow
client = mlflow.MlflowClient()
for version in ("1", "2"):
    held = client.get_model_version("tiny", version)
    client.log_model_artifact(held.model_id or held.source.rpartition("/")[2], sys.argv[1])
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with capturing(tmp_path_factory.mktemp("transformer"), "Knative") as one:
        yield one


@contextmanager
def capturing(folder: Path, mode: Mode) -> Iterator[Home]:
    """Versions 1 and 2 of tiny, each with captured requests in the clients' own unit."""
    with running(folder, mode) as one:
        captured = one.folder / "captured.jsonl"
        rows = [{"inputs": [{**RAW, "data": [5.0 + i / 9] * 13}]} for i in range(40)]
        captured.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        logging = [sys.executable, "-c", LOG_CAPTURE, str(captured)]
        subprocess.run(logging, env=one.environment, check=True, timeout=110)
        yield one


def policy(home: Home, *command: str) -> Path:
    load: dict[str, Any] = {**POLICY["load"], "capture": "captured.jsonl"}  # type: ignore[dict-item]
    transformer = {
        "image": "transformer:1", "port": 8081, "command": list(command),
        "args": ["--http_port=8081", "--predictor_host=localhost:8080", "--raw=raw", "--scale=10"],
        "inputs": [{"name": "raw", "datatype": "FP32", "shape": [-1, 13]}],
    }  # fmt: skip
    made = {"model": {"uri": "models:/tiny/1"}, "load": load}
    path = home.folder / f"policy-{len(list(home.folder.iterdir()))}.yaml"
    path.write_text(yaml.safe_dump(POLICY | made | {"serving": {"transformer": transformer}}))
    return path


def test_a_model_is_released_behind_its_transformer_and_answers_what_clients_send(
    home: Home,
) -> None:
    done = home.release("models:/tiny/1", policy(home, sys.executable, str(EXAMPLE)))
    assert (done.returncode, done.stdout.strip()) == (0, "PROMOTED"), done.stderr
    url = home.environment["TIDEGATE_INGRESS_URL"] + "/v2/models/tiny/infer"
    host = {"host": "tiny-predictor.default.example.com"}
    answer = httpx.post(url, json={"inputs": [RAW]}, headers=host)
    assert answer.status_code == 200, answer.text
    assert answer.json()["model_version"] == "1"
    plain = {"inputs": [{**RAW, "name": "X", "data": [0.5] * 13}]}  # the model's own tensor
    refused = httpx.post(url, json=plain, headers=host)
    assert (refused.status_code, "no tensor raw" in refused.text) == (400, True)


def test_a_candidate_whose_transformer_is_broken_is_refused_by_its_last_line_and_harms_nobody(
    home: Home,
) -> None:
    before = source_of(next(iter(shares(home))))
    broken = policy(home, sys.executable, "-c", "raise SystemExit('no feature store at feast')")
    with Production(home, row={"inputs": [RAW]}) as production:
        done = home.release("models:/tiny/2", broken)
    assert done.returncode != 0
    assert "no feature store at feast" in done.stderr
    assert production.failures == []
    assert set(production.versions) == {"1"}
    (now,) = shares(home)  # a revision of the template before, for the way back writes it again
    assert source_of(now) == before
