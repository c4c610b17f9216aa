"""The real kubectl, 1.28 or newer, where there is one on PATH."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tidegate.sandbox.api.server import ApiServer
from tidegate.sandbox.controllers.loop import ControllerLoop

from .fake_data_plane import READY, FakeIngress, FakeRuntime

KUBECTL = shutil.which("kubectl")
OLDEST = 28
MANIFEST = """
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: digits
  annotations: {serving.kserve.io/enable-tag-routing: "true"}
spec:
  predictor:
    model:
      modelFormat: {name: triton}
      storageUri: s3://models/1/
"""
Kubectl = Callable[..., str]


def minor_version() -> int:
    if KUBECTL is None:
        return 0
    told = subprocess.run(
        [KUBECTL, "version", "--client", "-o", "json"], capture_output=True, text=True, check=False
    )
    found = json.loads(told.stdout or "{}").get("clientVersion", {}).get("minor", "0")
    return int("".join(filter(str.isdigit, found)) or 0)


pytestmark = pytest.mark.skipif(
    minor_version() < OLDEST, reason=f"no kubectl of version 1.{OLDEST} or newer on PATH"
)


class Ready(FakeRuntime):
    """Every revision serves as soon as it is started."""

    def start(self, spec: Any) -> None:
        super().start(spec)
        self.seen[spec.name] = READY


@pytest.fixture
def kubectl(tmp_path: Path) -> Iterator[Kubectl]:
    api = ApiServer(state_dir=tmp_path)
    loop = ControllerLoop(api.store, Ready(), FakeIngress())
    api.start()
    loop.start()

    def call(*arguments: str, stdin: str = "", code: int = 0) -> str:
        command = [str(KUBECTL), "--kubeconfig", str(tmp_path / "kubeconfig")]
        command += ["--cache-dir", str(tmp_path / "cache"), *arguments]
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, check=False, timeout=90
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    try:
        yield call
    finally:
        loop.stop()
        api.stop()


def test_kubectl_deploys_patches_waits_and_deletes(kubectl: Kubectl) -> None:
    assert "created" in kubectl("apply", "-f", "-", stdin=MANIFEST)
    assert "condition met" in kubectl(
        "wait", "isvc/digits", "--for=condition=Ready", "--timeout=60s"
    )
    assert "digits-predictor-00001" in kubectl("get", "isvc")
    stage = {
        "spec": {"predictor": {"canaryTrafficPercent": 0, "model": {"storageUri": "s3://m/2/"}}}
    }
    kubectl("patch", "isvc", "digits", "--type", "merge", "-p", json.dumps(stage))
    revision = "jsonpath={.status.components.predictor.latestReadyRevision}"
    kubectl("wait", "isvc/digits", f"--for={revision}=digits-predictor-00002", "--timeout=60s")
    found = json.loads(kubectl("get", "isvc", "digits", "-o", "json"))
    assert [t["percent"] for t in found["status"]["components"]["predictor"]["traffic"]] == [0, 100]
    assert "digits-predictor-00002" in kubectl("get", "revisions,ksvc,pods,routes")
    assert "Canary Traffic Percent:  0" in kubectl("describe", "isvc", "digits")
    kubectl("delete", "isvc", "digits", "--timeout=60s")
    assert "NotFound" in kubectl("get", "isvc", "digits", code=1)


def test_kubectl_applies_on_the_server_side(kubectl: Kubectl) -> None:
    for _ in range(2):
        assert "applied" in kubectl("apply", "--server-side", "-f", "-", stdin=MANIFEST)


def test_kubectl_is_told_why(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    bad = json.dumps({"spec": {"predictor": {"minReplicas": 3, "maxReplicas": 2}}})
    told = kubectl("patch", "isvc", "digits", "--type", "merge", "-p", bad, code=1)
    assert "MinReplicas cannot be greater than MaxReplicas" in told
