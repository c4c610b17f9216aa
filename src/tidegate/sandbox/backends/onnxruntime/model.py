"""Triton's `onnxruntime` backend on the CPU, as a python-based backend.

The wheel's server carries no ONNX Runtime backend. Triton loads this file for every model that says
`backend: "onnxruntime"`, so the config.pbtxt that goes to the GPU cluster is served here unchanged,
by the real scheduler and batcher. Runs inside Triton's python stub: nothing of tidegate is imported.

Known differences from the C++ backend: intra-op threads default to 1 (there: all cores of each
instance), accelerators and memory arena parameters are ignored.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime as ort
import triton_python_backend_utils as pb_utils

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


class TritonPythonModel:
    """One instance: its own session, as in the real backend."""

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

    def initialize(self, args):
        """Open the session and refuse, like the real backend, a config that the graph contradicts."""
        config = json.loads(args["model_config"])
        directory = Path(args["model_repository"]) / args["model_version"]
        path = _model_path(directory, config.get("default_model_filename") or "model.onnx")
        self._session = ort.InferenceSession(
            str(path), _options(config), providers=["CPUExecutionProvider"]
        )
        self._batching = config["max_batch_size"] > 0
        self._inputs = [tensor["name"] for tensor in config["input"]]
        self._outputs = [tensor["name"] for tensor in config["output"]]
        self._types = {
            t["name"]: pb_utils.triton_string_to_numpy(t["data_type"]) for t in config["output"]
        }
        _check_names(self._session, self._inputs, self._outputs)
        ranks = {t.name: len(t.shape) - self._batching for t in _tensors(self._session)}
        self._model_shapes = {t["name"]: _model_shape(t, ranks[t["name"]]) for t in config["input"]}
        self._served_shapes = {
            t["name"]: _served_shape(t, ranks[t["name"]]) for t in config["output"]
        }

    def execute(self, requests):
        """Answer each request; those of one call run as one batch when the model batches."""
        responses = [None] * len(requests)
        groups = {}
        for index, request in enumerate(requests):
            if request.is_cancelled():
                responses[index] = _cancelled()
                continue
            try:
                feeds = self._feeds(request)
            except Exception as error:  # noqa: BLE001 - the other requests of the batch are fine
                responses[index] = _failure(f"onnxruntime: {error}")
                continue
            groups.setdefault(self._group(feeds, index), []).append((index, request, feeds))
        for members in groups.values():
            self._answer(members, responses)
        return responses

    def _feeds(self, request):
        feeds = {}
        for name in self._inputs:
            tensor = pb_utils.get_input_tensor_by_name(request, name)
            if tensor is None:  # an optional input
                continue
            array = tensor.as_numpy()
            shape = self._model_shapes[name]
            if shape is not None:
                array = array.reshape(array.shape[:1] + shape if self._batching else shape)
            if array.dtype == np.object_:  # Triton's BYTES; ONNX Runtime wants str
                array = np.array(
                    [v.decode() if isinstance(v, bytes) else v for v in array.flat], dtype=object
                ).reshape(array.shape)
            feeds[name] = array
        return feeds

    def _group(self, feeds, index):
        """Requests that can be concatenated share a key; without batching each is alone."""
        if not self._batching:
            return index
        return tuple((name, array.shape[1:]) for name, array in feeds.items())

    def _answer(self, members, responses):
        try:
            names, arrays = self._run(members)
        except Exception as error:  # noqa: BLE001 - any failure of the graph belongs to these requests only
            for index, _, _ in members:
                responses[index] = _failure(f"onnxruntime: {error}")
            return
        offset = 0
        for index, request, feeds in members:
            rows = next(iter(feeds.values())).shape[0] if self._batching and feeds else None
            part = slice(offset, offset + rows) if rows is not None and len(members) > 1 else None
            responses[index] = self._response(request, names, arrays, part)
            offset += rows or 0

    def _run(self, members):
        """One run of the graph: the fast path for a lone request copies nothing."""
        wanted = {name for _, request, _ in members for name in request.requested_output_names()}
        names = [name for name in self._outputs if name in wanted] or self._outputs
        if len(members) == 1:
            feeds = members[0][2]
        else:
            feeds = {name: np.concatenate([m[2][name] for m in members]) for name in members[0][2]}
        return names, self._session.run(names, feeds)

    def _response(self, request, names, arrays, part):
        wanted = set(request.requested_output_names())
        tensors = [
            pb_utils.Tensor(name, self._served(name, array if part is None else array[part]))
            for name, array in zip(names, arrays, strict=True)
            if not wanted or name in wanted
        ]
        return pb_utils.InferenceResponse(output_tensors=tensors)

    def _served(self, name, array):
        """The array in the declared type and, where the config reshapes, the declared shape."""
        shape = self._served_shapes[name]
        if shape is not None:
            array = array.reshape(array.shape[:1] + shape if self._batching else shape)
        if array.dtype == np.object_:
            return np.array([str(v).encode() for v in array.flat], dtype=object).reshape(
                array.shape
            )
        return np.ascontiguousarray(array, dtype=self._types[name])


def _text(array):
    """Triton's BYTES are bytes; ONNX Runtime wants str."""
    decoded = [value.decode() if isinstance(value, bytes) else value for value in array.flat]
    return np.array(decoded, dtype=object).reshape(array.shape)


def _failure(message):
    return pb_utils.InferenceResponse(output_tensors=[], error=pb_utils.TritonError(message))


def _cancelled():
    error = pb_utils.TritonError("the client cancelled", pb_utils.TritonError.CANCELLED)
    return pb_utils.InferenceResponse(output_tensors=[], error=error)


def _options(config):
    parameters = {key: value["string_value"] for key, value in config.get("parameters", {}).items()}
    level = config.get("optimization", {}).get("graph", {}).get("level", 0)
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(parameters.get("intra_op_thread_count", 1))
    options.inter_op_num_threads = int(parameters.get("inter_op_thread_count", 1))
    if parameters.get("execution_mode", "0") == "1":
        options.execution_mode = ort.ExecutionMode.ORT_PARALLEL
    if str(level) not in _GRAPH_LEVELS:
        raise pb_utils.TritonModelException(f"optimization.graph.level {level}: use -1, 0, 1 or 2")
    options.graph_optimization_level = _GRAPH_LEVELS[str(level)]
    return options


def _model_path(directory, filename):
    path = directory / filename
    if path.is_dir():  # external data lies beside the graph
        path = path / filename
    if not path.is_file():
        raise pb_utils.TritonModelException(f"no {filename} in {directory}")
    return path


def _completion_path(config):
    """The model file: the completion hook gets no path, but the stub has it as its first argument.

    Triton passes <repository>/<model>/<version>/<default_model_filename>.
    """
    named = Path(Path("/proc/self/cmdline").read_text().split("\0")[1])
    return _model_path(named.parent, config.get("default_model_filename") or "model.onnx")


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
