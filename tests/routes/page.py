"""docs/routes.md: every way from a flavor to a backend, and what the record says of it."""

from typing import Any

from tests.routes import record
from tidegate.core.routes import ROUTES, Route

HEAD = """\
# Routes

Written by `make generate` from `core/routes/table.py` and from what `make test-routes` has recorded: each
model there is trained by its own framework, registered in a real MLflow, taken through resolve, fetch,
optimize, configure and publish, and loaded by the real tritonserver 2.51, whose answers are compared with
the framework's. The backends `onnxruntime`, `openvino`, `pytorch` and `fil` are stand-ins over the same
libraries (`sandbox/backends/`); `python` and ensembles are the server's own.

`optimize.target` is the policy's. A route needs its extra where `optimize` runs:
`pip install 'tidegate[<extra>]'`; one that is missing is named. Graphs are written in `optimize.opset` and
`optimize.max_ir_version`, and by default in nothing newer than `triton.version` reads.

| flavor | `optimize.target` | becomes | Triton backend | extra | seen |
|---|---|---|---|---|---|
"""
TAIL = """
Largest difference is of any output, absolute. Labels were all equal.

- **FIL** serves two classes as the probability of the second, `dims: [1]`: what it makes of `predict_proba`
  there differs between its versions. Which XGBoost file a server's Treelite can read depends on its release;
  the record is of the Treelite named there.
- **OpenVINO** computes in bfloat16 on a CPU that has it, and Triton's backend has no parameter against it.
  The default tolerances of parity are those of FP32: give your own. The differences above are of such a CPU.
- **PyTorch**: a program exported from one example row takes one row for good, and is served without batching.
  Log it with an example of two rows or more. A `.pth` is a pickle, and needs `model.allow_pickle`.
- **PyTorch compiled by AOTInductor** ([aoti.md](aoti.md)) is for Triton 26.03 and newer, a beta, in the
  torch and on the CPUs that it was compiled for, without batching. TorchScript and ONNX need none of that.
  The server here is 2.51: it reads the config without the platform that names such packages.
- **Keras** by `mlflow.keras` is run and exported on PyTorch, whichever backend it was trained on; by
  `mlflow.tensorflow`, and a SavedModel in either, on TensorFlow, by tf2onnx (opset 18 at most). Keras
  numbers what has no name, so one input is served as golden data call it (`input` where they do not),
  outputs are `output` or `output_<n>`; several inputs are named by their `keras.Input`, outputs of a
  SavedModel by its signature. Axes that are `None` stay free. A SavedModel needs `serving_default`, one
  signature, or one traced `__call__`. A Lambda layer, a class of your own and an `.h5` file are refused:
  Keras' safe mode does not load them.
- **transformers**: encoders for `text-classification`, `token-classification` and `feature-extraction`. A
  task that writes text, a decoder, an adapter without its base and a class that is not the library's own
  are refused by name. Weights are read from safetensors alone. The server takes token ids (`input_ids`,
  `attention_mask`, `token_type_ids`, as golden data have them) and gives what the model itself does:
  `logits`, or `last_hidden_state` and `pooler_output`, which clients pool. **Clients tokenize**, or what
  stands before the model does: a transformer ([serving.md](serving.md)), a python model of an ensemble
  ([repository.md](repository.md)). Golden data that are texts (one array of strings, as an input example
  may be) become tokens by the version's own tokenizer, padded to the longest. Batch and length are free;
  parity asks one token, half of the golden length, and the longest (at most 512) too. A text longer than
  the model has positions for is refused by ONNX Runtime; OpenVINO 2026.4 was seen to answer it, with what
  an earlier request left, so truncate before it. Triton batches texts of one length: pad to a few lengths.
  Beside those recorded, small ALBERT, CamemBERT, DeBERTa-v2, ELECTRA, MobileBERT, ModernBERT, MPNet and
  XLM-RoBERTa were converted by hand with transformers 5.24, and answered in ONNX Runtime within 2e-6 at
  every length.
- **TensorRT** ([tensorrt.md](tensorrt.md)) reads ONNX's own operators alone: of scikit-learn, networks that
  regress (`MLPRegressor`). The first node that it has no form for is named before a GPU is asked.
- **python_function** is compared with itself, loaded from the files that are served: that shows that they are
  whole. The server needs MLflow and the model's packages, in its image or by `EXECUTION_ENV_PATH`.
"""


def page() -> str:
    """The whole page."""
    seen = record.load()
    return HEAD + "\n".join(_row(route, seen) for route in ROUTES) + "\n" + TAIL


def key(route: Route) -> str:
    """The record's name of a route."""
    return f"{route.flavor} -> {route.target}"


def _row(route: Route, seen: dict[str, list[dict[str, Any]]]) -> str:
    if route.refused:
        return f"| {route.flavor} | {route.target} | | | | refused: {route.refused} |"
    extra = f"`{route.extra}`" if route.extra else ""
    unseen = f"needs {route.needs}: never run here" if route.needs else "not seen here"
    models = "; ".join(map(_told, seen.get(key(route), []))) or unseen
    return (
        f"| {route.flavor} | {route.target} | {route.how} | {route.backend} | {extra} | {models} |"
    )


def _told(one: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in one["versions"].items())
    return (
        f"served on CPU: {one['model']}, {one['rows']} rows, "
        f"{one['largest_difference']:g} ({versions})"
    )
