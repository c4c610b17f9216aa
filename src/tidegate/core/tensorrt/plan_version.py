"""Which TensorRT a plan is of, read from its first bytes, and whether a server of another loads it.

The layout is the one that trtexec --getPlanVersionOnly reads: tag and serialization version as little-endian
words, then at 24 to 27 major, minor, patch and build, each a byte
(NVIDIA/TensorRT, samples/common/sampleEngines.cpp, getPlanVersion).
"""

import struct

from tidegate.core.server_arguments import flag
from tidegate.errors import RejectedError

TAG = 0x74727466  # "ftrt"
LENGTH = 28
Version = tuple[int, ...]
BACKEND_FLAG = "--backend-config=tensorrt,version-compatible=true"


def plan_version(head: bytes, *, what: str) -> Version:
    """(major, minor, patch, build) of a plan's first 28 bytes. Raises RejectedError for anything else."""
    if len(head) < LENGTH or struct.unpack_from("<II", head) != (TAG, 0):
        raise RejectedError(f"{what} is no TensorRT plan; build it with trtexec --saveEngine")
    return tuple(head[24:LENGTH])


def parsed(text: str) -> Version:
    """`10.7.0` or `10.7.0.23` as numbers, () for anything else."""
    parts = text.split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else ()


def shown(version: Version) -> str:
    """As NVIDIA writes it."""
    return ".".join(map(str, version))


def refused(plan: str, serving: str, arguments: tuple[str, ...], *, compatible: bool) -> str:
    """Why a server of TensorRT `serving`, started with `arguments`, does not load the plan; '' if it does.

    A plan loads in exactly its own version. One that was built version compatible loads in a newer minor of
    the same major too, where the server was told so.
    """
    mine, theirs = parsed(plan), parsed(serving)
    if not mine:
        return f"the plan's TensorRT {plan!r} is no version; build it again"
    if not theirs:
        return (
            f"the plan is of TensorRT {plan}, and that of the serving image is not known; "
            "write triton.tensorrt"
        )
    least = min(len(mine), len(theirs))
    if mine[:least] == theirs[:least]:
        return ""
    told = f"the plan is of TensorRT {plan}, the serving image has {serving}"
    if not compatible:
        return f"{told}; build it in the image that serves it"
    if mine[0] != theirs[0] or theirs[:least] < mine[:least]:
        return f"{told}, which is no newer minor of the same major; build it in the image that serves it"
    allowed = "tensorrt,version-compatible=true" in flag(arguments, "backend-config")
    return "" if allowed else f"{told}; add {BACKEND_FLAG} to serving.args"
