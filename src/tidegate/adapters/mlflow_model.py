"""The MLmodel file: what MLflow wrote down about a model version's files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tidegate.errors import RejectedError

_WRAPPER = "python_function"


@dataclass(frozen=True, slots=True, kw_only=True)
class MlModel:
    """What a release needs of an MLmodel file."""

    flavors: dict[str, dict[str, Any]]
    signature: str  # JSON text of the inputs, as MLflow writes it
    example: str  # path of the input example, '' without one

    @property
    def native_flavors(self) -> tuple[str, ...]:
        """Every flavor but MLflow's generic wrapper; that one, where there is no other."""
        return tuple(name for name in self.flavors if name != _WRAPPER) or tuple(self.flavors)


def parse(text: str, *, what: str) -> MlModel:
    """Read MLmodel text. Raises RejectedError."""
    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError:
        loaded = None
    if not isinstance(loaded, dict) or not isinstance(loaded.get("flavors"), dict):
        raise RejectedError(f"{what}: its MLmodel file names no flavors; log the model again")
    example = loaded.get("saved_input_example_info") or {}
    signature = loaded.get("signature") or {}
    return MlModel(
        flavors={str(name): dict(conf or {}) for name, conf in loaded["flavors"].items()},
        signature=str(signature.get("inputs") or ""),
        example=str(example.get("artifact_path") or ""),
    )


def read(tree: Path, *, what: str) -> MlModel:
    """Read the MLmodel file of a downloaded tree."""
    path = tree / "MLmodel"
    if not path.is_file():
        raise RejectedError(f"{what} has no MLmodel file; log it with mlflow.<flavor>.log_model")
    return parse(path.read_text(encoding="utf-8"), what=what)


def inside(tree: Path, name: str, *, what: str) -> Path:
    """The file that MLmodel names; one outside its tree was not checked by fetch."""
    path = tree / name
    if not path.resolve().is_relative_to(tree.resolve()) or not path.is_file():
        raise RejectedError(f"{what} has no file {name} among its files; log the model again")
    return path


_PICKLES = (".pkl", ".pickle", ".joblib", ".cloudpickle", ".dill", ".pth", ".pt")


def pickles(model: MlModel, names: tuple[str, ...]) -> tuple[str, ...]:
    """Files whose loading runs code of whoever wrote them: declared so, or named so."""
    conf = model.flavors.get("sklearn", {})
    declared = {str(conf.get("pickled_model"))} if conf and _is_pickled(conf) else set()
    return tuple(n for n in names if n in declared or n.lower().endswith(_PICKLES))


def _is_pickled(conf: dict[str, Any]) -> bool:
    return str(conf.get("serialization_format") or "pickle") != "skops"
