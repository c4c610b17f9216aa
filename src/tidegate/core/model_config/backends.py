"""What differs between Triton's backends in a config: how threads are said, and which file is looked for."""

from collections.abc import Mapping

from tidegate.core.aoti.serving import PLATFORM as AOTI

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


def threads_key(backend: str, platform: str = "") -> str:
    """The parameter that says threads, '' where there is none.

    Of an AOTInductor package the pytorch backend reads no parameter: it looks for them only where the config
    has none (src/pt2/model_state.cc, ParseParameters, at 2026-05-13).
    """
    return "" if platform == AOTI else THREADS.get(backend, "")


def backend_parameters(backend: str, threads: int, platform: str = "") -> Mapping[str, str]:
    """Parameters that every model of a backend is given."""
    fixed = {"SKIP_OV_DYNAMIC_BATCHSIZE": "YES"} if backend == "openvino" else {}
    key = threads_key(backend, platform)
    return fixed | ({key: str(threads)} if key else {})
