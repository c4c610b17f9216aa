"""The GPU of this machine, as CUDA's driver names it: device 0 of those that are visible."""

import ctypes
from typing import Any

from tidegate.core.tensorrt.build_key import Gpu
from tidegate.errors import UsageError

LIBRARY = "libcuda.so.1"
REMEDY = "run optimize on a GPU (the run's gpu_count), or write optimize.fallback"
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
_NAME = 256


def gpu(library: str = LIBRARY) -> Gpu:
    """The first visible GPU. Raises UsageError where there is no driver or no GPU."""
    try:
        cuda: Any = ctypes.CDLL(library)
    except OSError as error:
        raise UsageError(f"no GPU is here: {error}; {REMEDY}") from error
    _call(cuda.cuInit, 0)
    device, name, memory = ctypes.c_int(), ctypes.create_string_buffer(_NAME), ctypes.c_size_t()
    _call(cuda.cuDeviceGet, ctypes.byref(device), 0)
    _call(cuda.cuDeviceGetName, name, _NAME, device)
    _call(cuda.cuDeviceTotalMem_v2, ctypes.byref(memory), device)
    driver = ctypes.c_int()
    _call(cuda.cuDriverGetVersion, ctypes.byref(driver))
    return Gpu(
        name=name.value.decode(errors="replace"),
        compute_capability=f"{_attribute(cuda, _MAJOR, device)}.{_attribute(cuda, _MINOR, device)}",
        memory_mib=memory.value >> 20,
        driver=f"{driver.value // 1000}.{driver.value % 1000 // 10}",
    )


def _attribute(cuda: Any, number: int, device: Any) -> int:
    found = ctypes.c_int()
    _call(cuda.cuDeviceGetAttribute, ctypes.byref(found), number, device)
    return found.value


def _call(function: Any, *arguments: Any) -> None:
    """CUresult 0 is success; 100 is CUDA_ERROR_NO_DEVICE."""
    result = function(*arguments)
    if result:
        why = "no device" if result == 100 else f"error {result}"
        raise UsageError(f"no GPU is here: {function.__name__} says {why}; {REMEDY}")
