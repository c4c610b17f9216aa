"""What the tests of the data plane share: the digits model, its revisions, requests, waiting."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime

from tidegate.sandbox.interfaces import HostRoute, RevisionSpec, RevisionStatus
from tidegate.sandbox.triton import TritonRuntime

CONFIG = """\
backend: "onnxruntime"
max_batch_size: 32
input { name: "X" data_type: TYPE_FP32 dims: [64] }
output { name: "label" data_type: TYPE_INT64 dims: [1] reshape { shape: [] } }
output { name: "probabilities" data_type: TYPE_FP32 dims: [10] }
dynamic_batching { max_queue_delay_microseconds: 2000 }
instance_group { count: 1 kind: KIND_CPU }
parameters { key: "intra_op_thread_count" value { string_value: "1" } }
"""
NAMESPACE = "prod"
BLUE, GREEN = "digits-predictor-00001", "digits-predictor-00002"
HOST = "digits-predictor.prod.example.com"


@dataclass(frozen=True, kw_only=True)
class Digits:
    """A trained model as Triton serves it, and ONNX Runtime's own answers."""

    repository: Path
    model: bytes
    images: Any

    def answers(self, images: Any) -> tuple[Any, Any]:
        """Labels and probabilities by ONNX Runtime itself."""
        session = onnxruntime.InferenceSession(self.model, providers=["CPUExecutionProvider"])
        labels, probabilities = session.run(["label", "probabilities"], {"X": images})
        return labels, probabilities


def write_model(repository: Path, model: bytes, *, config: str = CONFIG) -> None:
    """One model named digits, version 1."""
    (repository / "digits" / "1").mkdir(parents=True)
    (repository / "digits" / "1" / "model.onnx").write_bytes(model)
    (repository / "digits" / "config.pbtxt").write_text(config)


def revision(name: str, repository: Path | str, **more: Any) -> RevisionSpec:
    """A revision of the digits service."""
    uri = f"file://{repository}/" if isinstance(repository, Path) else repository
    return RevisionSpec(
        namespace=NAMESPACE,
        name=name,
        service="digits-predictor",
        inferenceservice="digits",
        storage_uri=uri,
        labels={},
        **more,
    )


def eventually(
    is_true: Callable[[], bool], *, timeout_s: float = 60.0, what: Callable[[], object] = lambda: ""
) -> None:
    """Wait for a claim to become true."""
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what()}"
        time.sleep(0.05)


def settled(runtime: TritonRuntime, name: str) -> RevisionStatus:
    """The status of a revision once it is Ready or Failed."""
    eventually(lambda: runtime.status(NAMESPACE, name).phase in ("Ready", "Failed"))
    return runtime.status(NAMESPACE, name)


def split(blue: int, green: int, *, host: str = HOST) -> HostRoute:
    """Traffic of one host over the two revisions."""
    weights = ((NAMESPACE, BLUE, blue), (NAMESPACE, GREEN, green))
    return HostRoute(host=host, weights=tuple(w for w in weights if w[2] > 0))


def body(images: Any) -> dict[str, Any]:
    """A v2 inference request."""
    tensor = {
        "name": "X",
        "datatype": "FP32",
        "shape": list(images.shape),
        "data": images.ravel().tolist(),
    }
    return {"inputs": [tensor]}


def at_once(count: int, act: Callable[[int], None]) -> None:
    """Run an act in as many threads, and raise what any of them raised."""
    errors: list[BaseException] = []

    def guarded(index: int) -> None:
        try:
            act(index)
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
