"""What differs between Triton's backends in a config: how threads are said, and which file is looked for."""

from collections.abc import Mapping

THREADS = {
    "onnxruntime": "intra_op_thread_count",  # its default is every core, for each instance
    "openvino": "INFERENCE_NUM_THREADS",
    "fil": "cpu_nthread",
    "pytorch": "INTRA_OP_THREAD_COUNT",  # of the whole server: the first model wins
}
# FIL looks for a name that depends on model_type; conversion gives the file exactly that name.
DEFAULT_FILES = {
    "onnxruntime": "model.onnx",
    "openvino": "model.xml",
    "tensorrt": "model.plan",
    "pytorch": "model.pt",
    "python": "model.py",
}


def backend_parameters(backend: str, threads: int) -> Mapping[str, str]:
    """Parameters that every model of a backend is given."""
    fixed = {"SKIP_OV_DYNAMIC_BATCHSIZE": "YES"} if backend == "openvino" else {}
    return fixed | ({THREADS[backend]: str(threads)} if backend in THREADS else {})
