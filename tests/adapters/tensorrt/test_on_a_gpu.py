"""What only a GPU with TensorRT shows: built by both ways, loaded, asked, taken again, stepped down from.

Never run where these tests were written. `pytest -m gpu` runs them; elsewhere each says what is missing.
"""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.steps.model.conftest import release as release_of_one
from tests.steps.model.networks import convolutions, images
from tidegate.adapters.tensorrt import device, library
from tidegate.errors import RejectedError, UsageError

release = release_of_one
pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def _gpu() -> None:
    try:
        library.load()
        device.gpu()
    except UsageError as error:
        pytest.skip(str(error))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIDEGATE_TENSORRT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def version(release: Any, **told: Any) -> None:
    release.golden(release.onnx_tree(convolutions()), {"X": images(100, seed=1)})
    release.policy["optimize"] = {"target": "tensorrt", **told}
    release.policy["triton"] = {"tensorrt": library.load().__version__.partition("+")[0]}
    release.policy["parity"] = {"default": {"atol": 0.01, "rtol": 0.01}}
    release.fetched("onnx")


@pytest.mark.parametrize("builder", ["python", "trtexec"])
def test_a_plan_is_built_loaded_and_answers_as_its_source(
    release: Any, cache: Path, builder: str
) -> None:
    if builder == "trtexec" and not shutil.which("trtexec"):
        pytest.skip("no trtexec is here")
    version(release, tensorrt={"builder": builder})
    assert release.run("optimize")["verdict"] == "PASS"
    document = release.document("optimized")
    engine = document["engine"]
    assert (document["backend"], document["steps_down"]) == ("tensorrt", [])
    assert engine["tensorrt"].startswith(".".join(library.load().__version__.split(".")[:3]))
    assert engine["gpu"] == device.gpu().name
    assert engine["profiles"] == [
        {"X": {"min": [1, 1, 16, 16], "opt": [32, 1, 16, 16], "max": [32, 1, 16, 16]}}
    ]
    assert engine["layers"] > 0
    assert sum(engine["precisions"].values()) > 0
    names = sorted(p.name for p in release.path("optimized_model").iterdir())
    assert names == ["golden.npz", "model.plan"]
    assert release.run("configure")["verdict"] == "PASS"
    text = (release.path("repository") / "digits" / "config.pbtxt").read_text()
    assert 'backend: "tensorrt"' in text
    assert "KIND_GPU" in text


def test_the_same_build_is_taken_again_and_another_is_not(release: Any, cache: Path) -> None:
    version(release)
    release.run("optimize")
    first = release.document("optimized")
    assert list(cache.glob("timing-*.cache"))
    release.run("optimize")
    again = release.document("optimized")
    assert (first["engine"]["reused"], again["engine"]["reused"]) == (False, True)
    assert again["tree_digest"] == first["tree_digest"]
    release.policy["optimize"]["tensorrt"] = {"optimization_level": 1}
    release.run("optimize")
    assert release.document("optimized")["engine"]["reused"] is False


def test_a_plan_by_hand_is_asked_like_one_that_was_built(release: Any) -> None:
    version(release)
    release.run("optimize")
    plan = (release.path("optimized_model") / "model.plan").read_bytes()
    (release.path("model_tree") / "model.plan").write_bytes(plan)
    release.policy["optimize"]["tensorrt"] = {"plan": "model.plan"}
    release.fetched("onnx")
    assert release.run("optimize")["verdict"] == "PASS"
    assert release.document("optimized")["engine"]["builder"] == "by hand"


def test_a_plan_cut_short_does_not_load_and_is_one_line(release: Any) -> None:
    version(release)
    release.run("optimize")
    plan = (release.path("optimized_model") / "model.plan").read_bytes()
    (release.path("model_tree") / "model.plan").write_bytes(plan[: len(plan) // 2])
    release.policy["optimize"]["tensorrt"] = {"plan": "model.plan"}
    release.fetched("onnx")
    with pytest.raises(RejectedError, match="does not load in TensorRT"):
        release.run("optimize")


def test_a_plan_that_answers_otherwise_steps_down_with_its_differences(release: Any) -> None:
    version(release, fallback=["onnxruntime"], tensorrt={"tf32": True})
    release.policy["parity"] = {"default": {"atol": 0, "rtol": 0, "max_ulp": 0}}
    result = release.run("optimize")
    assert "not tensorrt: differs from" in result["reason"]


@pytest.mark.parametrize("rung", ["onnxruntime-tensorrt", "onnxruntime-cuda"])
def test_the_upper_rungs_of_onnx_runtime_are_had_where_it_has_the_provider(
    release: Any, rung: str
) -> None:
    import onnxruntime

    name = {"onnxruntime-tensorrt": "Tensorrt", "onnxruntime-cuda": "CUDA"}[rung]
    if f"{name}ExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip(f"this ONNX Runtime has no {name}ExecutionProvider")
    version(release, fallback=[rung], tensorrt={"build_timeout_s": 0.001})
    assert release.run("optimize")["verdict"] == "PASS"
    document = release.document("optimized")
    assert document["accelerator"] == rung.partition("-")[2]
    assert [step["wanted"] for step in document["steps_down"]] == ["tensorrt"]
    assert release.run("configure")["verdict"] == "PASS"
    text = (release.path("repository") / "digits" / "config.pbtxt").read_text()
    assert "gpu_execution_accelerator" in text
