"""A small network as a repository folder with golden rows, as configure writes them."""

import shlex
import sys
from pathlib import Path

import onnx

from tests.steps.model.networks import convolutions, images
from tidegate.adapters import golden_data, model_config_text, onnx_files, onnx_runtime
from tidegate.core import model_config
from tidegate.policy import Policy

SERVER = shlex.join([sys.executable, "-m", "tidegate.sandbox.tritonserver"])
POLICY = Policy.model_validate({"name": "digits", "model": {"uri": "models:/digits/1"}})


def repository(folder: Path) -> tuple[Path, Path]:
    """The repository and its golden.npz below folder."""
    version = folder / "repository" / "digits" / "1"
    version.mkdir(parents=True)
    graph = version / "model.onnx"
    onnx.save(convolutions(), str(graph))
    rows = images(16, seed=1)
    declared = onnx_files.declared(graph, what="digits")
    config = model_config.build(
        name="digits", backend="onnxruntime", inputs=declared.inputs, outputs=declared.outputs,
        wanted=POLICY.triton, shapes={"X": rows.shape[1:]},
    )  # fmt: skip
    text = model_config_text.to_text(config)
    (version.parent / "config.pbtxt").write_text(text, encoding="utf-8")
    answers = onnx_runtime.load(graph, what="digits").run({"X": rows})
    golden_data.save(folder / "golden.npz", {"X": rows}, answers)
    return folder / "repository", folder / "golden.npz"
