"""An ensemble of two MLflow versions, with a third model beside it, released like any other model."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from tests.e2e.conftest import POLICY, Home

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(240)]
REGISTER = Path(__file__).with_name("register_ensemble.py")
ROW = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 13], "data": [0.5] * 13}]}


def test_clients_of_a_promoted_ensemble_ask_it_by_the_services_name_and_its_neighbour_by_its_own(
    home: Home,
) -> None:
    subprocess.run([sys.executable, str(REGISTER)], env=home.environment, check=True, timeout=110)
    models = [
        {"name": "scaler", "uri": "models:/scaler/1", "role": "pre"},
        {"name": "whole", "uri": "models:/tiny/1"},
    ]
    policy = home.folder / "ensemble.yaml"
    changes = {
        "name": "steps",
        "model": {"uri": "models:/classifier/1"},
        "repository": {"models": models},
    }
    policy.write_text(yaml.safe_dump(POLICY | changes))
    done = home.release("models:/classifier/1", policy)
    assert (done.returncode, done.stdout.strip()) == (0, "PROMOTED"), done.stderr

    url = f"{home.environment['TIDEGATE_INGRESS_URL']}/v2/models"
    with httpx.Client(
        headers={"host": "steps-predictor.default.example.com"}, timeout=20
    ) as client:
        answers = {
            name: client.post(f"{url}/{name}/infer", json=ROW).raise_for_status().json()
            for name in ("steps", "whole")
        }
    for answer in answers.values():
        assert {o["name"] for o in answer["outputs"]} == {"label", "probabilities"}
    newest = max((home.folder / ".tidegate/runs").iterdir())
    written = next(newest.glob("artifacts/*/configure/outputs/repository_document")).read_text()
    assert [(m["name"], m["role"]) for m in json.loads(written)["models"]] == [
        ("steps-model", "main"), ("scaler", "pre"), ("whole", "beside"), ("steps", "ensemble"),
    ]  # fmt: skip
