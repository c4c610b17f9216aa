"""A real MLflow and a real Triton for all routes, and the way from one to the other."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import numpy as np
import pytest

from tests.routes import record
from tests.sandbox.real_servers import NAMESPACE, eventually, revision
from tests.steps.model.conftest import Release
from tidegate.core.routes import ROUTES
from tidegate.sandbox.mlflow_server import MlflowServer
from tidegate.sandbox.triton import TritonRuntime

BATCH = 32
START_S = 300.0  # frameworks are large, and other work may share the machine
TYPES = {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64, "INT32": np.int32}


@pytest.fixture(scope="session")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    try:
        server.start(timeout_s=START_S)
        yield server.url
    finally:
        server.close()


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonRuntime]:
    with TritonRuntime(tmp_path_factory.mktemp("triton"), drain_s=0.0) as runtime:
        yield runtime


@dataclass
class Routed:
    """One version on its way from MLflow into Triton."""

    release: Release
    url: str
    triton: TritonRuntime
    scratch: Path
    name: str = "model"
    versions: dict[str, str] = field(default_factory=dict)

    def log(
        self, save: Callable[..., Any], model: Any, inputs: Mapping[str, Any], **given: Any
    ) -> None:
        """Log by the flavor's own function, with golden inputs, and register."""
        import mlflow

        mlflow.set_tracking_uri(self.url)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with mlflow.start_run():
                info = save(model, name="model", pip_requirements=[], **given)
            golden = self.scratch / "golden"
            golden.mkdir()
            np.savez(golden / "golden.npz", **{f"input.{n}": a for n, a in inputs.items()})
            client = mlflow.MlflowClient()
            client.log_model_artifacts(info.model_id, str(golden))
            number = mlflow.register_model(info.model_uri, self.name).version
        self.release.policy["model"]["uri"] = f"models:/{self.name}/{number}"

    def steps(self, **policy: Any) -> dict[str, Any]:
        """resolve to publish under a policy; the result of the last."""
        for section, values in policy.items():
            self.release.policy.setdefault(section, {}).update(values)
        self.release.resolve()
        result: dict[str, Any] = {}
        for name in ("fetch", "optimize", "configure", "publish"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the frameworks' own
                result = self.release.run(name)
            assert result.get("verdict", "PASS") == "PASS", (name, result)
        return result

    def serves(
        self, flavor: str, target: str, inputs: Mapping[str, Any], expected: Mapping[str, Any],
        told: str, *, tolerance: float = 1e-5, policy: Mapping[str, Any] = MappingProxyType({}),
        wrong: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        """Release into real Triton, ask every row, and compare with what the framework itself answered.

        `wrong` is a request that the server has to refuse.
        """
        published = self.steps(optimize={"target": target}, **policy)
        found = self.asked(published["storage_uri"], inputs, wrong)
        assert set(found) == set(expected)
        worst = 0.0
        for name, answer in expected.items():
            assert found[name].size == answer.size, name
            served = found[name].reshape(answer.shape)  # Triton has no rows without a column
            if answer.dtype.kind in "iu":
                assert (served == answer).all(), name
            else:
                worst = max(worst, float(np.abs(served - answer).max()))
        assert worst <= tolerance
        route = next(r for r in ROUTES if (r.flavor, r.target) == (flavor, target))
        rows = len(next(iter(inputs.values())))
        record.add(f"{flavor} -> {target}", told, rows, worst, self.packages(route.modules))

    def packages(self, modules: tuple[str, ...]) -> tuple[str, ...]:
        named = {
            "sklearn": "scikit-learn", "xgboost": "xgboost-cpu", "tensorflow": "tensorflow-cpu",
        }  # fmt: skip
        return tuple(named.get(module, module) for module in modules) or ("onnx", "onnxruntime")

    def asked(
        self, storage_uri: str, inputs: Mapping[str, Any],
        wrong: Mapping[str, Any] = MappingProxyType({}),
    ) -> dict[str, Any]:  # fmt: skip
        """Every row's answers, by output, from a server that loads what was published."""
        name = f"route-{self.scratch.parent.name}"
        self.triton.start(revision(name, storage_uri))
        try:
            eventually(
                lambda: self.triton.status(NAMESPACE, name).phase in ("Ready", "Failed"),
                timeout_s=START_S,
            )
            status = self.triton.status(NAMESPACE, name)
            assert status.phase == "Ready", status.message
            endpoint = self.triton.endpoint(NAMESPACE, name)
            assert endpoint is not None
            url = f"http://127.0.0.1:{endpoint.http}/v2/models/digits"
            if wrong:
                answer = httpx.post(f"{url}/infer", json=request(wrong), timeout=60)
                assert answer.status_code >= httpx.codes.BAD_REQUEST, answer.text
            return self._rows(url, inputs)
        finally:
            self.triton.stop(NAMESPACE, name)

    def _rows(self, url: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        config = httpx.get(f"{url}/config").json()
        size = min(BATCH, config["max_batch_size"])
        rows = len(next(iter(inputs.values())))
        parts: dict[str, list[Any]] = {}
        for at in range(0, rows, size or 1):
            given = {n: a[at : at + (size or 1)] for n, a in inputs.items()}
            answer = httpx.post(f"{url}/infer", json=request(given), timeout=60)
            assert answer.status_code == httpx.codes.OK, answer.text
            for one in answer.json()["outputs"]:
                parts.setdefault(one["name"], []).append(array(one))
        return {name: np.concatenate(part) for name, part in parts.items()}


def request(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """A v2 inference request of float or integer arrays."""
    kinds = {np.dtype(kind): name for name, kind in TYPES.items()}
    return {
        "inputs": [
            {
                "name": name,
                "shape": list(values.shape),
                "datatype": kinds[values.dtype],
                "data": values.ravel().tolist(),
            }
            for name, values in inputs.items()
        ]
    }


def array(output: dict[str, Any]) -> Any:
    """An output of a v2 answer."""
    return np.array(output["data"], TYPES[output["datatype"]]).reshape(output["shape"])


@pytest.fixture
def routed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mlflow_url: str, triton: TritonRuntime,
    request: pytest.FixtureRequest,
) -> Routed:  # fmt: skip
    monkeypatch.setenv("TIDEGATE_STORAGE_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_url)
    (tmp_path / "release").mkdir()
    (scratch := tmp_path / "scratch").mkdir()
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    return Routed(Release(tmp_path / "release"), mlflow_url, triton, scratch, name=name)
