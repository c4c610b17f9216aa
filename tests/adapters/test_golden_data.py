import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.adapters import golden_data
from tidegate.adapters.mlflow_model import MlModel
from tidegate.errors import DocumentError

MODEL = MlModel(flavors={}, signature="", example="input_example.json")


def npz(tree: Path, **arrays: Any) -> Path:
    np.savez(tree / "golden.npz", **{k.replace("__", "."): v for k, v in arrays.items()})
    return tree


def example(tree: Path, content: Any) -> Any:
    (tree / "input_example.json").write_text(json.dumps(content))
    return golden_data.load(tree, MODEL, "golden.npz")


def test_inputs_and_recorded_outputs_are_told_by_their_names(tmp_path: Path) -> None:
    npz(tmp_path, input__X=np.ones((3, 2)), output__label=np.arange(3))
    found = golden_data.load(tmp_path, MODEL, "golden.npz")
    assert (list(found.inputs), list(found.outputs), found.rows) == (["X"], ["label"], 3)


def test_the_input_example_stands_in_for_a_golden_file(tmp_path: Path) -> None:
    assert example(tmp_path, [[1.0, 2.0]]).inputs[""].shape == (1, 2)
    frame = example(tmp_path, {"columns": ["a", "b"], "data": [[1, 2], [3, 4]]})
    assert frame.inputs[""].shape == (2, 2)
    named = example(tmp_path, {"inputs": {"a": [[1.0]], "b": [[2.0]]}})
    assert list(named.inputs) == ["a", "b"]
    assert named.source == "input_example.json"


def test_without_either_there_are_no_rows(tmp_path: Path) -> None:
    assert golden_data.load(tmp_path, MODEL, "golden.npz").rows == 0


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": np.ones((2, 2))}, "name its arrays input.<name>"),
        ({"output__y": np.ones(2)}, "name its arrays input.<name>"),
        (
            {"input__X": np.ones((2, 2)), "output__y": np.ones(3)},
            r"unequal rows \(input.X 2, output.y 3\)",
        ),
        ({"input__X": np.float32(1)}, "unequal rows"),
        ({"input__X": np.array([{}, {}], dtype=object)}, "no objects"),
    ],
)
def test_a_wrong_golden_file_is_refused(tmp_path: Path, arrays: Any, message: str) -> None:
    npz(tmp_path, **arrays)
    with pytest.raises(DocumentError, match=message):
        golden_data.load(tmp_path, MODEL, "golden.npz")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04broken"])
def test_a_file_that_is_no_npz_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "golden.npz").write_bytes(content)
    with pytest.raises(DocumentError, match=r"golden file golden.npz cannot be read"):
        golden_data.load(tmp_path, MODEL, "golden.npz")


def test_a_ragged_input_example_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="is no array"):
        example(tmp_path, [[1.0], [1.0, 2.0]])


def test_equal_arrays_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        golden_data.save(
            tmp_path / name, {"X": np.ones(3)}, {"y": np.array(["u", "v", "w"], object)}
        )
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert golden_data.read(tmp_path / "a.npz", what="a").outputs["y"].dtype.kind == "U"
