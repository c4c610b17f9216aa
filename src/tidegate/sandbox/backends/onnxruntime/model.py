"""Triton's `onnxruntime` backend on the CPU, as a python-based backend.

The wheel's server carries no ONNX Runtime backend. Triton loads this file for every model that says
`backend: "onnxruntime"`, so the config.pbtxt that goes to the GPU cluster is served here unchanged,
by the real scheduler and batcher. Runs inside Triton's python stub: nothing of tidegate is imported.

Known differences from the C++ backend: intra-op threads default to 1 (there: all cores of each
instance), accelerators and memory arena parameters are ignored.
"""

from pathlib import Path

import onnxruntime as ort
import triton_python_backend_utils as pb_utils
from batching import BatchedModel, model_path, parameters

_DEFAULT_MAX_BATCH = 4  # --backend-config default-max-batch-size of the real backend
_GRAPH_LEVELS = {
    "-1": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "0": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
    "1": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "2": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
_TRITON_TYPES = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(int8)": "TYPE_INT8",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(float16)": "TYPE_FP16",
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
    "tensor(string)": "TYPE_STRING",
}


class TritonPythonModel(BatchedModel):
    """One instance: its own session, as in the real backend."""

    name = "onnxruntime"

    @staticmethod
    def auto_complete_config(auto_complete_model_config):
        """Fill in what the real backend fills in, and only when inputs or outputs are missing."""
        config = auto_complete_model_config.as_dict()
        if config["input"] and config["output"]:
            return auto_complete_model_config
        session = ort.InferenceSession(str(_completion_path(config)), _options(config))
        batchable = _is_batchable(session)
        if batchable and config["max_batch_size"] == 0:
            auto_complete_model_config.set_max_batch_size(_DEFAULT_MAX_BATCH)
            auto_complete_model_config.set_dynamic_batching()
        for tensor in session.get_inputs() if not config["input"] else ():
            auto_complete_model_config.add_input(_declared(tensor, batchable=batchable))
        for tensor in session.get_outputs() if not config["output"] else ():
            auto_complete_model_config.add_output(_declared(tensor, batchable=batchable))
        return auto_complete_model_config

    def open(self, directory, config):
        """Open the session and refuse, like the real backend, a config that the graph contradicts."""
        path = model_path(directory, config, "model.onnx")
        self._session = ort.InferenceSession(
            str(path), _options(config), providers=["CPUExecutionProvider"]
        )
        _check_names(self._session, self.inputs, self.outputs)
        ranks = {t.name: len(t.shape) - self.batching for t in _tensors(self._session)}
        self.model_shapes = {t["name"]: _model_shape(t, ranks[t["name"]]) for t in config["input"]}
        self.served_shapes = {
            t["name"]: _served_shape(t, ranks[t["name"]]) for t in config["output"]
        }

    def run(self, names, feeds):
        """One run of the graph."""
        return self._session.run(names, feeds)


def _options(config):
    given = parameters(config)
    level = config.get("optimization", {}).get("graph", {}).get("level", 0)
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(given.get("intra_op_thread_count", 1))
    options.inter_op_num_threads = int(given.get("inter_op_thread_count", 1))
    if given.get("execution_mode", "0") == "1":
        options.execution_mode = ort.ExecutionMode.ORT_PARALLEL
    if str(level) not in _GRAPH_LEVELS:
        raise pb_utils.TritonModelException(f"optimization.graph.level {level}: use -1, 0, 1 or 2")
    options.graph_optimization_level = _GRAPH_LEVELS[str(level)]
    return options


def _completion_path(config):
    """The model file: the completion hook gets no path, but the stub has it as its first argument.

    Triton passes <repository>/<model>/<version>/<default_model_filename>.
    """
    named = Path(Path("/proc/self/cmdline").read_text().split("\0")[1])
    return model_path(named.parent, config, "model.onnx")


def _is_batchable(session):
    return all(t.shape and not isinstance(t.shape[0], int) for t in _tensors(session))


def _declared(tensor, *, batchable):
    if tensor.type not in _TRITON_TYPES:
        raise pb_utils.TritonModelException(f"{tensor.name} is a {tensor.type}, which Triton lacks")
    dims = [size if isinstance(size, int) and size > 0 else -1 for size in tensor.shape]
    dims = dims[1:] if batchable else dims
    return {"name": tensor.name, "data_type": _TRITON_TYPES[tensor.type], "dims": dims or [1]}


def _tensors(session):
    return [*session.get_inputs(), *session.get_outputs()]


def _model_shape(tensor, rank):
    """The shape the graph wants for an input; None: as the client sends it."""
    if "reshape" in tensor:
        return tuple(int(size) for size in tensor["reshape"]["shape"])
    return () if _is_scalar(tensor, rank) else None


def _served_shape(tensor, rank):
    """The shape the client is promised when the graph's differs; None: as the graph gives it."""
    if "reshape" in tensor or _is_scalar(tensor, rank):
        return tuple(int(size) for size in tensor["dims"])
    return None


def _is_scalar(tensor, rank):
    """Triton has no dims of rank 0; `[1]` stands for it, as in the real backend."""
    return rank == 0 and [int(size) for size in tensor["dims"]] == [1]


def _check_names(session, inputs, outputs):
    graph_inputs = {tensor.name for tensor in session.get_inputs()}
    _check_known("input", inputs, graph_inputs)
    _check_known("output", outputs, {tensor.name for tensor in session.get_outputs()})
    missing = ", ".join(sorted(graph_inputs - set(inputs)))
    if missing:
        raise pb_utils.TritonModelException(f"the graph also needs the inputs {missing}")


def _check_known(kind, names, known):
    for name in names:
        if name not in known:
            allowed = ", ".join(sorted(known))
            message = f"unexpected inference {kind} '{name}', allowed {kind}s are: {allowed}"
            raise pb_utils.TritonModelException(message)
