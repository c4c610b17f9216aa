"""Refuses an image with two versions of TensorRT, or with another Triton than the one that serves.

Runs while the image is built; standard library only. RELEASE in the environment is the release of Triton
that serves; NGC's image names its own in NVIDIA_TRITON_SERVER_VERSION.
"""

import ctypes
import ctypes.util
import importlib.metadata
import os
import sys


def bindings() -> str:
    """`10.7.0` of the installed distribution; its name carries the CUDA major."""
    for found in importlib.metadata.distributions():
        name = (found.metadata["Name"] or "").lower().replace("_", "-")
        if name.startswith("tensorrt") and name.endswith("-bindings"):
            return found.version
    return ""


def library(name: str = "") -> str:
    """`10.7.0` as libnvinfer itself answers; '' when there is none."""
    path = name or ctypes.util.find_library("nvinfer") or "libnvinfer.so.10"
    try:
        number = ctypes.CDLL(path).getInferLibVersion()
    except OSError:
        return ""
    return spelled(number)


def spelled(number: int) -> str:
    """NvInferVersion.h: major * 10000 + minor * 100 + patch since 10, major * 1000 + ... before."""
    major = 10_000 if number >= 100_000 else 1_000
    return f"{number // major}.{number % major // 100}.{number % 100}"


def complaint(python: str, native: str, *, release: str, base: str) -> str:
    """What keeps this image from building plans for the server; '' when nothing does."""
    if not native:
        return "no libnvinfer in this base; build FROM nvcr.io/nvidia/tritonserver:<release>-py3"
    if not python:
        return "no TensorRT bindings are installed; requirements/tensorrt.txt pins them"
    if python.split(".")[:3] != native.split(".")[:3]:
        return (
            f"TensorRT's Python bindings are {python}, libnvinfer is {native}; pin the bindings to {native} "
            "in pyproject.toml (extra tensorrt), run `make requirements`, and build again"
        )
    if release != base:
        return (
            f"this base is Triton {base or 'of no stated release'}, deploy/triton.yaml serves {release}; "
            "build FROM that release, or change deploy/triton.yaml"
        )
    return ""


def main() -> int:
    """Exit 0, or 1 with one line."""
    release = os.environ.get("RELEASE", "")
    base = os.environ.get("NVIDIA_TRITON_SERVER_VERSION", "")
    found = complaint(bindings(), library(), release=release, base=base)
    if found:
        sys.stderr.write(f"same_versions: {found}\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
