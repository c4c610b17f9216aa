"""The graph against the config and the target's ONNX Runtime; checks that its backend makes when it loads."""

from tidegate.core.lint.layout import backend_of
from tidegate.core.lint.subject import Graph, Judged, Repository, Rule
from tidegate.core.model_config import ModelTensor
from tidegate.core.onnx_versions import newest
from tidegate.documents import Tensor


def _batch_axis(r: Repository) -> str:
    """Rows of a batch must come out as rows: one free axis 0 for all, of one name."""
    if r.config.max_batch_size == 0 or r.graph is None:
        return ""
    for tensor in (*r.graph.inputs, *r.graph.outputs):
        if not tensor.shape or tensor.shape[0] != -1:
            return f"tensor {tensor.name!r} has no free axis 0 to batch along; set max_batch_size 0"
    symbols = r.graph.batch_symbols
    if len(set(symbols.values())) > 1:
        shown = ", ".join(f"{name}[{symbol}]" for name, symbol in symbols.items())
        return (
            f"axis 0 differs between tensors ({shown}): rows are not examples; set max_batch_size 0"
        )
    return ""


def _graph(r: Repository) -> str:
    """The backend wants the graph's own types, and for outputs its very dims."""
    if r.graph is None:
        return ""
    batching = r.config.max_batch_size > 0
    pairs = ((r.config.input, r.graph.inputs), (r.config.output, r.graph.outputs))
    for declared, graph in pairs:
        known = {t.name: t for t in graph if t.name not in kept_by_the_server(r)}
        if {t.name for t in declared} != set(known):
            return f"the config names {[t.name for t in declared]}, the graph {sorted(known)}"
        for tensor in declared:
            wrong = _unlike(tensor, known[tensor.name], batching=batching)
            if wrong:
                return wrong
    return ""


def kept_by_the_server(r: Repository) -> frozenset[str]:
    """Signals and states of a sequence: tensors of the graph that no client sends or gets."""
    sequence = r.config.sequence_batching
    if sequence is None:
        return frozenset()
    states = [name for one in sequence.state for name in (one.input_name, one.output_name)]
    return frozenset((*(one.name for one in sequence.control_input), *states))


def _unlike(tensor: ModelTensor, graph: Tensor, *, batching: bool) -> str:
    if tensor.data_type != f"TYPE_{graph.dtype}":
        return f"tensor {tensor.name!r} is {tensor.data_type}, the graph has {graph.dtype}"
    wanted = graph.shape[1:] if batching else graph.shape or (1,)
    dims = tensor.dims if tensor.reshape is None else tensor.reshape.shape
    if dims != wanted:
        return f"tensor {tensor.name!r} has dims {list(dims)}, the graph has {list(wanted)}"
    return ""


def _optional(r: Repository) -> str:
    if backend_of(r) != "onnxruntime" or r.config.max_batch_size == 0:
        return ""
    names = [t.name for t in r.config.input if t.optional]
    return (
        f"input {names[0]!r} is optional, which ONNX Runtime refuses with batches" if names else ""
    )


def _parameters(r: Repository) -> str:
    """The backend reads thread counts as numbers and fails the load on anything else."""
    for key in ("intra_op_thread_count", "inter_op_thread_count"):
        held = r.config.parameters.get(key)
        if held is not None and not held.string_value.isdecimal():
            return f"parameter {key} = {held.string_value!r}; write a number"
    return ""


def _version(r: Repository) -> str:
    """A newer graph is refused by the target server, whatever this machine can load."""
    return _too_new(r.graph, r.server.version) if r.graph is not None else ""


def _too_new(graph: Graph, triton: tuple[int, int]) -> str:
    reads, shown = newest(triton), ".".join(map(str, triton))
    if reads is None:
        return f"Triton {shown} is older than any known here; set triton.version to at least 2.34"
    newest_opset, newest_ir = reads
    if graph.opset > newest_opset:
        return f"opset {graph.opset}, Triton {shown} reads {newest_opset}; export with optimize.opset of it"
    if graph.ir_version > newest_ir:
        return f"IR {graph.ir_version}, Triton {shown} reads {newest_ir}; set optimize.max_ir_version to it"
    return ""


RULES = (
    Rule(name="batch axis", check=_batch_axis, judged=Judged.BACKEND),
    Rule(name="graph", check=_graph, judged=Judged.BACKEND),
    Rule(name="optional inputs", check=_optional, judged=Judged.BACKEND),
    Rule(name="parameters", check=_parameters, judged=Judged.BACKEND),
    Rule(name="ONNX version", check=_version, judged=Judged.ELSEWHERE),
)
