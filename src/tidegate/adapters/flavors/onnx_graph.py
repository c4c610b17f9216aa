"""MLflow's onnx flavor: the graph is taken as it is."""

from pathlib import Path
from typing import Any

from tidegate.adapters import mlflow_model, onnx_files, onnx_runtime
from tidegate.adapters.flavors.conversion import GRAPH, Converted, Given, opened, recorded


def convert(given: Given) -> Converted:
    """Store the graph for the target; its answers are those recorded, else its own, unoptimized.

    The source is asked first and then let go: two sessions hold a large model's weights twice.
    """
    name = str(given.conf.get("data", GRAPH))
    source = mlflow_model.inside(given.tree, name, what=given.what)
    proto = onnx_files.header(source, what=given.what)
    weights = onnx_files.beside(proto, source.parent)
    plain = onnx_runtime.load(source, what=given.what, optimized=False)
    inputs = plain.cast(given.golden.inputs, what=given.golden.source)
    known = recorded(plain, given.golden)
    missing = tuple(t.name for t in plain.outputs if t.name not in known)
    answers = plain.run(inputs) if missing else {}
    del plain
    proto = _stored(given, source, proto, weights)
    return Converted(
        form=opened(given, given.folder / GRAPH)[1],
        model_file=GRAPH,
        inputs=inputs,
        expected={**answers, **known},
        reference=_reference(tuple(known), missing, given.golden.source),
        recorded={},
        opset=onnx_runtime.opset(proto),
        ir_version=proto.ir_version,
    )


def _stored(given: Given, source: Path, proto: Any, weights: Path | None) -> Any:
    """Write the graph, whose message is given back; weights too large for one are a file that is copied."""
    path = given.folder / GRAPH
    if weights is not None and weights.stat().st_size >= onnx_runtime.INLINE_BELOW:
        onnx_files.carry(proto, weights, path, max_ir_version=given.ir_version)
    else:
        proto = onnx_runtime.read_model(source, what=given.what)
        onnx_runtime.store(proto, path, max_ir_version=given.ir_version)
    return proto


def _reference(known: tuple[str, ...], missing: tuple[str, ...], where: str) -> str:
    """What the answers of an ONNX version were compared with, said so that nobody takes it for more."""
    if not known:
        return "the source graph itself"
    told = f"the answers recorded in {where}"
    return f"{told}, and for {', '.join(missing)} the source graph itself" if missing else told
