"""Real servers, started once: two revisions of a digits model in Triton, behind one Envoy."""

from collections.abc import Iterator

import numpy as np
import pytest

from tests.sandbox.real_servers import (
    BLUE,
    GREEN,
    NAMESPACE,
    Digits,
    revision,
    settled,
    write_model,
)
from tidegate.sandbox.envoy import EnvoyIngress
from tidegate.sandbox.process import Spawner
from tidegate.sandbox.triton import TritonRuntime


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    """scikit-learn's digits, a logistic regression, converted."""
    from skl2onnx import to_onnx
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    model = LogisticRegression(max_iter=300).fit(images[:900], labels[:900])
    graph = to_onnx(model, images[:1], options={"zipmap": False}, target_opset=18)
    content: bytes = graph.SerializeToString()
    repository = tmp_path_factory.mktemp("digits-repository")
    write_model(repository, content)
    return Digits(repository=repository, model=content, images=images)


@pytest.fixture(scope="session")
def spawner() -> Iterator[Spawner]:
    """The one thread that forks."""
    started = Spawner()
    yield started
    started.close()


@pytest.fixture(scope="session")
def _gateway() -> list[EnvoyIngress]:
    """The ingress, once there is one: it and the runtime ask each other."""
    return []


@pytest.fixture(scope="session")
def runtime(
    tmp_path_factory: pytest.TempPathFactory,
    digits: Digits,
    spawner: Spawner,
    _gateway: list[EnvoyIngress],
) -> Iterator[TritonRuntime]:
    """Two ready revisions of the same model."""
    with TritonRuntime(
        tmp_path_factory.mktemp("runtime"), spawner=spawner, back_off_s=(0.0, 0.2), drain_s=0.5,
        address=lambda name: _gateway[0].address(name),
    ) as started:  # fmt: skip
        for name in (BLUE, GREEN):
            started.start(revision(name, digits.repository))
        for name in (BLUE, GREEN):
            assert settled(started, name).phase == "Ready", started.status(NAMESPACE, name)
        yield started


@pytest.fixture(scope="session")
def _envoy(
    tmp_path_factory: pytest.TempPathFactory,
    runtime: TritonRuntime,
    spawner: Spawner,
    _gateway: list[EnvoyIngress],
) -> Iterator[EnvoyIngress]:
    directory = tmp_path_factory.mktemp("envoy")
    with EnvoyIngress(
        directory, endpoints=runtime.endpoints, spawner=spawner, drain_s=0.3
    ) as started:
        _gateway.append(started)
        yield started


@pytest.fixture
def ingress(_envoy: EnvoyIngress) -> EnvoyIngress:
    """The ingress with an empty table."""
    _envoy.program([])
    return _envoy
