"""The table of routes. Values only; who can do it is an adapter, and whether it works is a test's record."""

from dataclasses import dataclass

ONNX_ML = "its graph is of ai.onnx.ml operators, which OpenVINO does not have; write onnxruntime"
AOTI = "AOTInductor compiles PyTorch modules alone; write onnxruntime"
TREES = "its graph is of ai.onnx.ml operators, which TensorRT does not have; write onnxruntime or native"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How a model of an MLflow flavor becomes what a target serves.

    `target` is the policy's `optimize.target`. `backend` is Triton's; '' when there is no such way, and
    `refused` says why. `modules` must be importable where the conversion runs: `extra` of tidegate brings
    them. `code` is a route that serves code which came with the model. `needs` is what no package brings.
    """

    flavor: str
    target: str
    how: str = ""
    backend: str = ""
    modules: tuple[str, ...] = ()
    extra: str = ""
    code: bool = False
    needs: str = ""
    refused: str = ""


def _onnx_targets(
    flavor: str,
    how: str,
    modules: tuple[str, ...],
    extra: str,
    *,
    openvino: str = "",
    tensorrt: str = "",
) -> tuple[Route, ...]:
    """The targets that take an ONNX graph; `openvino`, `tensorrt`: why that one does not take this graph."""
    return (
        Route(
            flavor=flavor,
            target="onnxruntime",
            how=how,
            backend="onnxruntime",
            modules=modules,
            extra=extra,
        ),
        Route(flavor=flavor, target="openvino", refused=openvino)
        if openvino
        else Route(
            flavor=flavor,
            target="openvino",
            how=how,
            backend="openvino",
            modules=(*modules, "openvino"),
            extra=",".join(filter(None, (extra, "openvino"))),
        ),
        Route(flavor=flavor, target="tensorrt", refused=tensorrt)
        if tensorrt
        else Route(
            flavor=flavor,
            target="tensorrt",
            how=f"{how}, then a plan",
            backend="tensorrt",
            modules=modules,
            extra=extra,
            needs="a GPU and TensorRT",
        ),
    )


def _native(
    flavor: str,
    how: str,
    backend: str,
    modules: tuple[str, ...],
    extra: str,
    *,
    code: bool = False,
) -> Route:
    return Route(
        flavor=flavor,
        target="native",
        how=how,
        backend=backend,
        modules=modules,
        extra=extra,
        code=code,
    )


ROUTES: tuple[Route, ...] = (
    *_onnx_targets("onnx", "taken as it is, weights inline below 2 GB", (), ""),
    Route(
        flavor="onnx",
        target="native",
        refused="an ONNX graph has no other form; write onnxruntime or openvino",
    ),
    *_onnx_targets(
        "sklearn",
        "skl2onnx, probabilities as a tensor",
        ("sklearn", "skl2onnx"),
        "sklearn",
        openvino=ONNX_ML,
    ),
    _native(
        "sklearn",
        "Treelite checkpoint, for forests and boosted trees",
        "fil",
        ("sklearn", "treelite"),
        "sklearn,trees",
    ),
    *_onnx_targets(
        "xgboost",
        "onnxmltools",
        ("xgboost", "onnxmltools"),
        "xgboost",
        openvino=ONNX_ML,
        tensorrt=TREES,
    ),
    _native("xgboost", "XGBoost's own file", "fil", ("xgboost", "treelite"), "xgboost,trees"),
    *_onnx_targets(
        "lightgbm",
        "onnxmltools, with the batch axis of its labels freed",
        ("lightgbm", "onnxmltools"),
        "lightgbm",
        openvino=ONNX_ML,
        tensorrt=TREES,
    ),
    _native("lightgbm", "LightGBM's own text", "fil", ("lightgbm", "treelite"), "lightgbm,trees"),
    *_onnx_targets("pytorch", "torch.onnx.export", ("torch", "onnxscript"), "pytorch"),
    _native("pytorch", "TorchScript, traced on the golden rows", "pytorch", ("torch",), "pytorch"),
    Route(
        flavor="pytorch",
        target="aoti",
        how="torch.export, compiled by AOTInductor (beta in Triton)",
        backend="pytorch",
        modules=("torch",),
        extra="pytorch",
        needs="a C++ compiler",
    ),
    *_onnx_targets(
        "keras",
        "torch.onnx.export, on Keras' PyTorch backend",
        ("keras", "torch", "onnxscript"),
        "keras",
    ),
    Route(
        flavor="keras",
        target="native",
        refused="a Keras model has no other form; write onnxruntime or openvino",
    ),
    *_onnx_targets("tensorflow", "tf2onnx", ("tensorflow", "tf2onnx"), "tensorflow"),
    Route(
        flavor="tensorflow",
        target="native",
        refused="Triton has no TensorFlow backend any more; write onnxruntime or openvino",
    ),
    *_onnx_targets(
        "transformers",
        "torch.onnx.export of the encoder, its texts' length free",
        ("transformers", "torch", "onnxscript"),
        "transformers",
    ),
    Route(
        flavor="transformers",
        target="native",
        refused="an encoder has no other form; write onnxruntime or openvino",
    ),
    *(
        Route(
            flavor="python_function",
            target=target,
            refused="a python function is code, not a graph; write native, and model.allow_code: true",
        )
        for target in ("onnxruntime", "openvino", "tensorrt")
    ),
    _native(
        "python_function",
        "Triton's python backend loads it with MLflow",
        "python",
        ("mlflow", "pandas"),
        "mlflow",
        code=True,
    ),
    *(
        Route(flavor=flavor, target="aoti", refused=AOTI)
        for flavor in (
            "onnx",
            "sklearn",
            "xgboost",
            "lightgbm",
            "keras",
            "tensorflow",
            "transformers",
        )
    ),
    Route(
        flavor="python_function",
        target="aoti",
        refused="a python function is code, not a graph; write native, and model.allow_code: true",
    ),
)
