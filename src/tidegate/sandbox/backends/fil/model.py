"""Triton's `fil` backend on the CPU, as a python-based backend over Treelite's own inference (GTIL).

That is what the real backend runs on a CPU without use_experimental_optimizations (src/tl_model.h of
fil_backend), and what it does to the scores is repeated here. Known differences: GPU parameters and
Shapley values are ignored.
"""

import numpy as np
import treelite
import triton_python_backend_utils as pb_utils
from batching import BatchedModel, model_path, parameters

_FILES = {
    "xgboost_ubj": "xgboost.ubj",
    "xgboost_json": "xgboost.json",
    "lightgbm": "model.txt",
    "treelite_checkpoint": "checkpoint.tl",
}


class TritonPythonModel(BatchedModel):
    """One instance: its own forest."""

    name = "fil"

    def open(self, directory, config):
        """Load the forest; what the real loader reads without a default must be there."""
        given = parameters(config)
        kind = given.get("model_type", "xgboost")
        if kind not in _FILES:
            raise pb_utils.TritonModelException(
                f"model_type {kind}: use one of {', '.join(_FILES)}"
            )
        self._classifies = _flag(given, "is_classifier", "output_class")
        self._threshold = float(_required(given, "threshold")) if self._classifies else 0.5
        self._probabilities = given.get("predict_proba", "false") == "true"
        self._threads = int(given.get("cpu_nthread", 0)) or -1
        if self.inputs != ["input__0"] or self.outputs != ["output__0"]:
            raise pb_utils.TritonModelException("the tensors of FIL are input__0 and output__0")
        self._width = int(config["output"][0]["dims"][0])
        self._forest = _load(model_path(directory, config, _FILES[kind]), kind)

    def run(self, names, feeds):
        """Scores, or what they decide."""
        rows = np.ascontiguousarray(feeds["input__0"], np.float32)
        scores = treelite.gtil.predict(self._forest, rows, nthread=self._threads)
        scores = np.asarray(scores, np.float32).reshape(len(rows), -1)
        return [self._decided(scores) for _ in names]

    def _decided(self, scores):
        if self._probabilities and scores.shape[1] == 1 and self._width == 2:
            return np.concatenate([1 - scores, scores], axis=1)
        if self._probabilities or not self._classifies:
            return scores
        if scores.shape[1] > 1:
            return scores.argmax(axis=1).astype(np.float32).reshape(-1, 1)
        return (scores > self._threshold).astype(np.float32)


def _load(path, kind):
    if kind == "lightgbm":
        return treelite.frontend.load_lightgbm_model(path)
    if kind == "treelite_checkpoint":
        return treelite.Model.deserialize(path)
    form = "ubjson" if kind == "xgboost_ubj" else "json"
    return treelite.frontend.load_xgboost_model(path, format_choice=form)


def _flag(given, *spellings):
    """Either spelling: it changed with 25.09, and the old one is still honoured."""
    found = [given[key] for key in spellings if key in given]
    if not found:
        raise pb_utils.TritonModelException(f"parameter {spellings[0]} is required")
    return found[0] == "true"


def _required(given, key):
    if key not in given:
        raise pb_utils.TritonModelException(f"parameter {key} is required for a classifier")
    return given[key]
