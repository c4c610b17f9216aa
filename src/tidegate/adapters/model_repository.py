"""A Triton model repository as a folder: config, version directory, graph; nothing else is in it."""

import shutil
from pathlib import Path

from tidegate.adapters.trees import disk_errors
from tidegate.core.model_config import ModelConfig

GRAPH = "model.onnx"


def write(root: Path, config: ModelConfig, text: str, *, version: str, model_tree: Path) -> None:
    """Lay the model out below root; golden data stay behind.

    A graph with external data goes into a folder of the graph's name, as the backend wants it.
    """
    folder = root / config.name / version
    parts = [path for path in sorted(model_tree.iterdir()) if path.name.startswith(GRAPH)]
    target = folder / GRAPH if len(parts) > 1 else folder
    with disk_errors(folder):
        target.mkdir(parents=True)
        for part in parts:
            shutil.copyfile(part, target / part.name)
        (root / config.name / "config.pbtxt").write_text(text, encoding="utf-8")
