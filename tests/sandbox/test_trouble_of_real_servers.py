"""Releases onto real Tritons behind a real Envoy: trouble is refused in the server's own last words."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.real_servers import CONFIG, Digits, write_model
from tidegate.adapters.inference_service import InferenceServices
from tidegate.adapters.kubernetes import Kubernetes, connect
from tidegate.core import coming_up
from tidegate.core.diagnosis import Reason
from tidegate.documents import (
    Deployment,
    ModelRepository,
    Published,
    Refusal,
    Subject,
    Tensor,
    Word,
)
from tidegate.policy import Policy
from tidegate.sandbox.api.server import ApiServer
from tidegate.sandbox.controllers.loop import ControllerLoop
from tidegate.sandbox.controllers.troubles import STORAGE_INITIALIZER
from tidegate.sandbox.envoy import EnvoyIngress
from tidegate.sandbox.process import Spawner
from tidegate.sandbox.triton import TritonRuntime
from tidegate.steps.deploy import staged

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]
NAME = "digits"


@dataclass(frozen=True)
class Cluster:
    """Real servers under emulated controllers; production is on the good model."""

    kube: Kubernetes
    good: Published

    def stage(self, uri: str, digest: int, **serving: Any) -> Deployment | Refusal:
        return staged(
            self.kube, published(uri, digest), policy(**serving), f"r{digest}", poll_s=0.1
        )


def published(uri: str, digest: int) -> Published:
    subject = Subject(model=NAME, version=str(digest), digest=f"sha256:{digest:064d}")
    image = Tensor(name="X", dtype="FP32", shape=(-1, 64))
    answer = Tensor(name="probabilities", dtype="FP32", shape=(-1, 10))
    repository = ModelRepository(
        subject=subject, triton_model=NAME, triton_version="2.51.0", model_version="1",
        backend="onnxruntime", max_batch_size=32, inputs=(image,), outputs=(answer,), digest="d",
    )  # fmt: skip
    return Published(subject=subject, repository=repository, storage_uri=uri, uploaded=True)


def policy(**serving: Any) -> Policy:
    return Policy.model_validate(
        {
            "name": NAME, "initial": "allow", "model": {"uri": f"models:/{NAME}/1"},
            "serving": {"ready_timeout_s": 600, **serving},
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def cluster(
    digits: Digits, spawner: Spawner, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    home = tmp_path_factory.mktemp("trouble")
    (home / "runtime").mkdir()
    (home / "envoy").mkdir()
    runtime = TritonRuntime(home / "runtime", spawner=spawner, drain_s=0.1, back_off_s=(0.0, 1.0))
    with (
        pytest.MonkeyPatch.context() as patch,
        runtime,
        EnvoyIngress(
            home / "envoy", endpoints=runtime.endpoints, spawner=spawner, drain_s=0.1
        ) as ingress,
    ):
        api = ApiServer(state_dir=home, pod_logs=_logs(runtime))
        loop = ControllerLoop(api.store, runtime, ingress, scale_down_grace_s=0.5)
        runtime.on_change = ingress.refresh
        patch.setenv("KUBECONFIG", str(home / "kubeconfig"))
        patch.setenv("TIDEGATE_INGRESS_URL", ingress.url)
        api.start()
        loop.start()
        with connect() as kube:
            good = published(f"file://{digits.repository}/", 1)
            assert isinstance(staged(kube, good, policy(), "r1", poll_s=0.1), Deployment)
            end(kube)
            yield Cluster(kube=kube, good=good)
        loop.stop()
        api.stop()


def _logs(runtime: TritonRuntime) -> Any:
    """The logs as the sandbox's data plane serves them."""

    def of(namespace: str, pod: str, container: str) -> str:
        for found in runtime.pods():
            if pod.startswith(f"{found.spec.name}-") and container != STORAGE_INITIALIZER:
                return found.log.read_text(errors="replace") if found.log.exists() else ""
        return ""

    return of


def end(kube: Kubernetes) -> None:
    from tidegate.adapters.release_lock import load_journal, save_journal
    from tidegate.documents import Result

    stored = load_journal(kube, "default", NAME)
    assert stored
    save_journal(kube, stored.journal.ended(Result.PROMOTED, "as the test wants it"), stored)


def refused(cluster: Cluster, result: Deployment | Refusal, reason: Reason, word: Word) -> str:
    """The refusal's reason; production is on the good model, and so is the spec."""
    assert isinstance(result, Refusal), result
    assert f"{reason}: " in result.reason, result.reason
    assert result.word is word
    assert "not ready after" not in result.reason
    seen = InferenceServices(cluster.kube, "default", NAME).look()
    assert seen
    assert seen.storage_uri == cluster.good.storage_uri
    held = {seen.revisions[name].storage_uri for name in seen.traffic}
    assert held == {cluster.good.storage_uri}
    return result.reason


def test_a_graph_that_cannot_be_parsed_is_refused_in_tritons_words(
    cluster: Cluster, tmp_path: Path
) -> None:
    write_model(tmp_path, b"this is no graph")
    said = refused(cluster, cluster.stage(f"file://{tmp_path}/", 2), Reason.MODEL_LOAD, Word.FAIL)
    assert "failed to load 'digits' version 1: " in said
    assert "Protobuf parsing failed" in said


def test_a_config_with_an_unknown_field_is_refused_with_the_parsers_line(
    cluster: Cluster, digits: Digits, tmp_path: Path
) -> None:
    """Triton's HTTP error says only `failed to poll`; the field's name is in the log alone."""
    write_model(tmp_path, digits.model, config=f"{CONFIG}\nnonsense: 3\n")
    said = refused(cluster, cluster.stage(f"file://{tmp_path}/", 3), Reason.MODEL_LOAD, Word.FAIL)
    assert 'has no field named "nonsense"' in said


def test_a_folder_that_is_not_there_is_a_failure_of_storage_not_of_the_model(
    cluster: Cluster,
) -> None:
    result = cluster.stage("file:///nowhere/at/all/", 4)
    said = refused(cluster, result, Reason.STORAGE_INITIALIZER, Word.INVALID)
    assert "No model found in file:///nowhere/at/all/" in said


def test_a_server_that_ends_again_and_again_is_a_crash_loop(
    cluster: Cluster, digits: Digits, tmp_path: Path
) -> None:
    write_model(tmp_path, digits.model)
    result = cluster.stage(f"file://{tmp_path}/", 5, args=("--no-such-flag=1",))
    said = refused(cluster, result, Reason.CRASH_LOOP, Word.FAIL)
    assert "unrecognized option '--no-such-flag=1'" in said


def test_a_server_above_its_memory_limit_is_killed_and_named(
    cluster: Cluster, digits: Digits, tmp_path: Path
) -> None:
    write_model(tmp_path, digits.model)
    limit = {"limits": {"memory": "24Mi"}}
    result = cluster.stage(f"file://{tmp_path}/", 6, resources=limit)
    said = refused(cluster, result, Reason.OUT_OF_MEMORY, Word.FAIL)
    assert "OOMKilled, exit code 137" in said


def test_an_explainer_that_ends_again_and_again_is_named_by_its_last_line(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coming_up, "COMPANION_S", 1.0)
    ending = ["python3", "-c", "raise SystemExit('no background set')"]
    chosen = policy(explainer={"image": "own:1", "command": ending})
    behind = chosen.model_copy(update={"name": "behind"})
    result = staged(cluster.kube, cluster.good, behind, "r7", poll_s=0.1)
    said = refused(cluster, result, Reason.CRASH_LOOP, Word.INVALID)
    assert said.startswith("spec.explainer does not start: CRASH_LOOP: kserve-container (Error, ")
    assert "exit code 1): no background set; read the container's log" in said
    assert InferenceServices(cluster.kube, "default", "behind").look() is None
