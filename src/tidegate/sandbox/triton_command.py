"""How a tritonserver of the wheel is started: backend directory, arguments, environment."""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tidegate.sandbox import binaries

_OURS = Path(__file__).parent / "backends"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Triton's python backend keeps tensors
# Decided by the sandbox, whatever the runtime's container said.
_IGNORED = frozenset(
    {
        "model-repository",
        "model-store",
        "backend-directory",
        *("allow-http", "allow-grpc", "allow-metrics"),
        *("http-address", "grpc-address", "metrics-address"),
        *("http-port", "grpc-port", "metrics-port"),
    }
)


def assemble_backends(directory: Path) -> Path:
    """Build the backend directory: copies, because the server refuses links that lead outside."""
    shutil.rmtree(directory, ignore_errors=True)
    (directory / "python").mkdir(parents=True)
    for file in binaries.triton_python_backend():
        shutil.copy(file, directory / "python" / file.name)
    for backend in (p for p in _OURS.iterdir() if (p / "model.py").is_file()):
        (directory / backend.name).mkdir()
        for file in (*backend.glob("*.py"), _OURS / "batching.py"):
            shutil.copy(file, directory / backend.name / file.name)
    return directory


def arguments(
    *, models: Path, backends: Path, ports: tuple[int, int, int], prefix: str, extra: Iterable[str]
) -> list[str]:
    """The command line; `extra` are the predictor's own arguments, less what we decide."""
    http, grpc, metrics = ports
    return [
        str(binaries.tritonserver()),
        f"--model-repository={models}",
        f"--backend-directory={backends}",
        *(f"--{kind}-address=127.0.0.1" for kind in ("http", "grpc", "metrics")),
        f"--http-port={http}",
        f"--grpc-port={grpc}",
        f"--metrics-port={metrics}",
        "--metrics-interval-ms=1000",
        "--allow-gpu-metrics=false",  # the wheel's server is for the CPU; NVML would only warn
        # Triton waits this long for every open connection, even an idle one that Envoy keeps.
        "--exit-timeout-secs=5",
        f"--backend-config=python,shm-region-prefix-name={prefix}",
        *_own_arguments(extra),
    ]


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment, the predictor's on top, and what the wheel's server needs."""
    site = str(binaries.tritonserver().parents[3])
    return {
        **os.environ,
        **extra,
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, binaries.triton_libraries())),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": site,
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def shared_memory_prefix(sandbox_id: str, marker: str) -> str:
    """Names of Triton's shared memory carry the sandbox, so that leftovers can be told."""
    return f"tidegate-{sandbox_id[:12]}-{marker}-"


def remove_shared_memory(sandbox_id: str) -> None:
    """Remove what killed servers left in shared memory."""
    for file in _SHARED_MEMORY.glob(f"tidegate-{sandbox_id[:12]}-*"):
        with contextlib.suppress(OSError):
            file.unlink()


def _own_arguments(extra: Iterable[str]) -> Iterator[str]:
    """Drop `tritonserver` and the flags that are ours, in both spellings."""
    words = iter(extra)
    for word in words:
        flag, equals, _ = word.removeprefix("--").partition("=")
        if not word.startswith("--"):
            continue
        if flag not in _IGNORED:
            yield word
        elif not equals:
            next(words, None)
