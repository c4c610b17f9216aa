"""The Python bindings, under either of their names, and the libnvinfer that they load."""

import importlib
import sys
from typing import Any

from tidegate.errors import UsageError

NAMES = ("tensorrt", "tensorrt_bindings")  # the whole distribution's, and of the bindings alone
REMEDY = "run optimize in the tensorrt image, which has one TensorRT, or write optimize.fallback"


def load() -> Any:
    """The module, as `tensorrt` for whoever else asks for it. Raises UsageError."""
    for name in NAMES:
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name == name:
                continue
            raise UsageError(f"TensorRT's bindings do not load: {error}; {REMEDY}") from error
        except (ImportError, OSError) as error:  # its libnvinfer is absent, or another one
            raise UsageError(f"TensorRT's bindings do not load: {error}; {REMEDY}") from error
        sys.modules.setdefault(NAMES[0], module)
        return module
    raise UsageError(f"TensorRT is not installed; {REMEDY}")


def logger(trt: Any) -> Any:
    """A logger that keeps what went wrong in `errors`, since calls themselves answer only None or False."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                self.errors.append(str(message))

    return Log()


def made(create: Any, log: Any, what: str) -> Any:
    """What a factory makes. Raises UsageError where it makes nothing: there is no usable GPU."""
    try:
        found = create()
    except TypeError as error:  # pybind11: factory function returned nullptr
        found, reason = None, str(error)
    else:
        reason = "it gives none"
    if found is None:
        raise UsageError(f"TensorRT makes no {what} here: {said(log, reason)}; {REMEDY}")
    return found


def said(log: Any, otherwise: str) -> str:
    """The last errors of the log, on one line."""
    return "; ".join(log.errors[-3:]) or otherwise
