"""What Triton accepts in silence, or refuses in its log only: found before anything is published.

Each rule is a function of a `Repository` that says what is wrong, '' when nothing is. The rules follow
trials against a real server; `TRITON_READS` says which ONNX a version's ONNX Runtime was built for.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod

from tidegate.core.model_config import DATA_TYPES, ModelConfig, ModelTensor
from tidegate.documents import Finding, Tensor, Word

# (Triton, newest opset, newest IR): from this version of the server on.
TRITON_READS = (
    ((2, 34), 19, 9),  # 23.05, ONNX Runtime 1.15
    ((2, 51), 21, 10),  # 24.10, 1.19
    ((2, 57), 22, 10),  # 25.04, 1.21
    ((2, 60), 23, 11),  # 25.08, 1.23
    ((2, 66), 25, 13),  # 26.02, 1.24
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """What is about to be served, and by which server."""

    config: ModelConfig
    folder: str
    versions: tuple[int, ...]
    triton: tuple[int, int]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    opset: int
    ir_version: int
    batch_symbols: Mapping[str, str] = field(default_factory=dict)


Rule = Callable[[Repository], str]


def lint(repository: Repository) -> tuple[Finding, ...]:
    """One finding per rule, in a fixed order."""
    return tuple(_finding(name, rule(repository)) for name, rule in RULES.items())


def triton_version(text: str) -> tuple[int, int]:
    """`2.51` as a pair; the policy has checked its form."""
    major, _, minor = text.partition(".")
    return int(major), int(minor)


def _finding(name: str, complaint: str) -> Finding:
    word = Word.FAIL if complaint else Word.PASS
    return Finding(name=f"lint: {name}", word=word, message=complaint or "as it should be")


def _name(r: Repository) -> str:
    """The server says only `failed to poll from model repository`."""
    if r.config.name == r.folder:
        return ""
    return f"the config says name {r.config.name!r}, the folder is {r.folder!r}; make them equal"


def _version_folders(r: Repository) -> str:
    if not r.versions or min(r.versions) < 1:
        return "no numeric version folder; the registry version is its name"
    absent = set(r.config.versions) - set(r.versions)
    return f"version_policy names {min(absent)}, which has no folder" if absent else ""


def _tensor_names(r: Repository) -> str:
    """No inputs, and two of one name, are accepted in silence."""
    if not r.config.inputs or not r.config.outputs:
        return "no inputs or no outputs; the graph must declare both"
    for tensors in (r.config.inputs, r.config.outputs):
        name, count = Counter(t.name for t in tensors).most_common(1)[0]
        if count > 1:
            return f"tensor {name!r} is declared {count} times; declare it once"
    return ""


def _dims(r: Repository) -> str:
    return next(filter(None, (_dims_of(t) for t in (*r.config.inputs, *r.config.outputs))), "")


def _dims_of(tensor: ModelTensor) -> str:
    if tensor.data_type not in DATA_TYPES:
        return f"tensor {tensor.name!r} is {tensor.data_type!r}, which Triton has no type for"
    if not tensor.dims or any(d == 0 or d < -1 for d in tensor.dims):
        return f"tensor {tensor.name!r} has dims {list(tensor.dims)}; use positive sizes or -1"
    return ""


def _reshape(r: Repository) -> str:
    for tensor in (*r.config.inputs, *r.config.outputs):
        if tensor.reshape is None:
            continue
        if tensor.reshape == () and r.config.max_batch_size == 0:
            return f"tensor {tensor.name!r} reshapes to nothing, which needs max_batch_size above 0"
        if -1 not in tensor.dims and prod(tensor.dims) != prod(tensor.reshape):
            return f"tensor {tensor.name!r}: dims and reshape hold different numbers of values"
    return ""


def _batching(r: Repository) -> str:
    """A batcher without batches, or batches that it may not make."""
    batching, size = r.config.dynamic_batching, r.config.max_batch_size
    if size < 0:
        return f"max_batch_size {size}; use 0 or more"
    if batching is None:
        return ""
    if size == 0:
        return "dynamic_batching with max_batch_size 0 does nothing; drop it or allow batches"
    wrong = [s for s in batching.preferred_batch_size if not 1 <= s <= size]
    return f"preferred_batch_size {wrong[0]} is not within 1..{size}" if wrong else ""


def _batch_axis(r: Repository) -> str:
    """Rows of a batch must come out as rows: one free axis 0 for all, of one name."""
    if r.config.max_batch_size == 0:
        return ""
    for tensor in (*r.inputs, *r.outputs):
        if not tensor.shape or tensor.shape[0] != -1:
            return f"tensor {tensor.name!r} has no free axis 0 to batch along; set max_batch_size 0"
    if len(set(r.batch_symbols.values())) > 1:
        shown = ", ".join(f"{name}[{symbol}]" for name, symbol in r.batch_symbols.items())
        return (
            f"axis 0 differs between tensors ({shown}): rows are not examples; set max_batch_size 0"
        )
    return ""


def _graph_shapes(r: Repository) -> str:
    """The backend wants the graph's own types, and for outputs its very dims."""
    batching = r.config.max_batch_size > 0
    pairs = ((r.config.inputs, r.inputs), (r.config.outputs, r.outputs))
    for declared, graph in pairs:
        known = {t.name: t for t in graph}
        if {t.name for t in declared} != set(known):
            return f"the config names {[t.name for t in declared]}, the graph {sorted(known)}"
        for tensor in declared:
            wrong = _unlike(tensor, known[tensor.name], batching=batching)
            if wrong:
                return wrong
    return ""


def _unlike(tensor: ModelTensor, graph: Tensor, *, batching: bool) -> str:
    if tensor.data_type != graph.dtype:
        return f"tensor {tensor.name!r} is {tensor.data_type}, the graph has {graph.dtype}"
    wanted = graph.shape[1:] if batching else graph.shape or (1,)
    dims = tensor.dims if tensor.reshape is None else tensor.reshape
    if dims != wanted:
        return f"tensor {tensor.name!r} has dims {list(dims)}, the graph has {list(wanted)}"
    return ""


def _instances(r: Repository) -> str:
    """Without a group the ONNX Runtime backend starts two on a CPU; a negative count passes unseen."""
    if not r.config.instance_groups:
        return "no instance_group; say how many instances"
    counts = [group.count for group in r.config.instance_groups]
    return f"instance count {min(counts)}; use 1 or more" if min(counts) < 1 else ""


def _warmup(r: Repository) -> str:
    for request in r.config.warmup:
        if not 1 <= request.batch_size <= max(1, r.config.max_batch_size):
            return f"warm-up {request.name} has batch_size {request.batch_size}; use 1 to max_batch_size"
        if set(request.inputs) != {t.name for t in r.config.inputs}:
            return f"warm-up {request.name} does not give every input; give each once"
        if any(d < 1 for entry in request.inputs.values() for d in entry.dims):
            return f"warm-up {request.name} has free dims; give sizes"
    return ""


def _parameters(r: Repository) -> str:
    """The backend reads thread counts as numbers and fails the load on anything else."""
    for key in ("intra_op_thread_count", "inter_op_thread_count"):
        value = r.config.parameters.get(key, "0")
        if not value.isdecimal():
            return f"parameter {key} = {value!r}; write a number"
    return ""


def _onnx(r: Repository) -> str:
    """A newer graph is refused by the target server, whatever this machine can load."""
    reads = [entry for entry in TRITON_READS if entry[0] <= r.triton]
    shown = ".".join(map(str, r.triton))
    if not reads:
        return f"Triton {shown} is older than any known here; set triton.version to at least 2.34"
    _, newest_opset, newest_ir = reads[-1]
    if r.opset > newest_opset:
        return f"opset {r.opset}, Triton {shown} reads {newest_opset}; export with optimize.opset of it"
    if r.ir_version > newest_ir:
        return f"IR {r.ir_version}, Triton {shown} reads {newest_ir}; set optimize.max_ir_version to it"
    return ""


RULES: Mapping[str, Rule] = {
    "name": _name,
    "version folders": _version_folders,
    "tensor names": _tensor_names,
    "dims": _dims,
    "reshape": _reshape,
    "batching": _batching,
    "batch axis": _batch_axis,
    "graph": _graph_shapes,
    "instances": _instances,
    "warm-up": _warmup,
    "parameters": _parameters,
    "ONNX version": _onnx,
}
