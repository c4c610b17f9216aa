"""What a package is compiled with and for on this machine: its CPU, its GPU, its C++ compiler."""

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tidegate.core.aoti.instructions import Cpu
from tidegate.errors import RejectedError, UsageError

CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """The one that torch sees first."""

    name: str
    compute_capability: str


def cpu() -> Cpu:
    """Its flags as Linux has them; none on another system."""
    lines = CPUINFO.read_text().splitlines() if CPUINFO.is_file() else []
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return Cpu(machine=platform.machine(), flags=frozenset(flags))


def gpu() -> Gpu:
    """Raises RejectedError where torch sees none."""
    import torch

    if not torch.cuda.is_available():
        raise RejectedError(
            "optimize.aoti.device is cuda, and torch sees no GPU here; run optimize on a GPU, with a torch "
            "that is built for CUDA, or write device: cpu"
        )
    major, minor = torch.cuda.get_device_capability(0)
    return Gpu(name=str(torch.cuda.get_device_name(0)), compute_capability=f"{major}.{minor}")


def compiler() -> str:
    """The first line of what it says of itself. Raises UsageError where there is none."""
    command = os.environ.get("CXX") or "g++"  # as torch looks for it
    if shutil.which(command) is None:
        raise UsageError(
            f"AOTInductor needs a C++ compiler, and {command} is no command here; install g++, or name "
            "another one in CXX"
        )
    done = subprocess.run(
        [command, "--version"], capture_output=True, text=True, check=False, timeout=60
    )
    return next(iter(done.stdout.splitlines()), command)
