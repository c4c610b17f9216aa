"""A Triton model repository as a folder: config, version directory, graph, how it is served; nothing else."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidegate.adapters.trees import disk_errors
from tidegate.core.model_config import LABELS, ModelConfig

SERVING = "serving.json"
FUNCTION = "mlflow_model"
ENSEMBLE = "ensemble.txt"


def write(
    root: Path,
    config: ModelConfig,
    text: str,
    *,
    version: str,
    model_tree: Path | None,
    model_file: str,
    labels: tuple[str, ...] = (),
) -> None:
    """Lay the model out below root; golden data stay behind.

    A graph with external data goes into a folder of the graph's name, as the backend wants it; a python
    function goes beside the file that loads it. Without a `model_file` the tree is code, and goes whole;
    without a tree the model is an ensemble, whose version folder must exist all the same.
    """
    folder = root / config.name / version
    with disk_errors(folder):
        if model_tree is None:
            folder.mkdir(parents=True)
            # Object stores keep no empty folder, and Triton wants one of a number.
            (folder / ENSEMBLE).write_text("The steps are in config.pbtxt.\n", encoding="utf-8")
        elif not model_file:
            shutil.copytree(model_tree, folder, ignore=shutil.ignore_patterns("config.pbtxt"))
        else:
            _copy(model_tree, model_file, folder)
        (root / config.name / "config.pbtxt").write_text(text, encoding="utf-8")
        if any(output.label_filename == LABELS for output in config.output):
            lines = "".join(f"{label}\n" for label in labels)
            (root / config.name / LABELS).write_text(lines, encoding="utf-8")


def _copy(model_tree: Path, model_file: str, folder: Path) -> None:
    parts = [path for path in sorted(model_tree.iterdir()) if path.name.startswith(model_file)]
    target = folder / model_file if len(parts) > 1 else folder
    target.mkdir(parents=True)
    for part in parts:
        shutil.copyfile(part, target / part.name)
    if (model_tree / FUNCTION).is_dir():
        shutil.copytree(model_tree / FUNCTION, folder / FUNCTION)


def write_serving(root: Path, released: Mapping[str, Any]) -> None:
    """What the service is made of besides the model: Triton reads no file at the root, and the folder's
    digest is then of both, so that a change of either is another release."""
    text = json.dumps(released, indent=2, sort_keys=True) + "\n"
    with disk_errors(root):
        (root / SERVING).write_text(text, encoding="utf-8")
