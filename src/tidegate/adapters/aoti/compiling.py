"""An exported program becomes a package: in a process of its own, or from an earlier build."""

import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tidegate.adapters import build_cache, trees
from tidegate.adapters.aoti import archive, machine
from tidegate.adapters.flavors.exports import process
from tidegate.config import settings
from tidegate.core.aoti import instructions
from tidegate.core.aoti.build_key import build_key
from tidegate.core.aoti.serving import PACKAGE
from tidegate.documents import Package
from tidegate.errors import RejectedError
from tidegate.policy import Aoti

PROGRAM = "program.pt2"


def require(wanted: Aoti) -> None:
    """That this machine can compile it, and ask it afterwards. Raises UsageError or RejectedError."""
    machine.compiler()
    if wanted.device == "cuda":
        machine.gpu()
    elif why := instructions.not_here(wanted.cpu, machine.cpu()):
        raise RejectedError(why)


def compiled(program: Any, folder: Path, wanted: Aoti, *, what: str) -> tuple[Package, str]:
    """The package of an exported program, as `model.pt2` in the folder, and what is to be said of its making.

    Raises RejectedError with what AOTInductor or the compiler tripped over.
    """
    import torch

    with TemporaryDirectory(dir=folder) as name:
        source = Path(name) / PROGRAM
        torch.export.save(program, source)
        key = _key(source, wanted)
        if wanted.reuse and (earlier := _earlier(key, folder / PACKAGE)):
            return earlier, f"the package of an earlier build is the same: {key[:12]}"
        started = time.monotonic()
        _run(source, folder / PACKAGE, wanted, what)
        package = _described(folder / PACKAGE, wanted, key, time.monotonic() - started)
    if package.device == "cpu" and (why := instructions.otherwise(package.cpu, package.vectors)):
        raise RejectedError(f"{what} {why}")
    trouble = _kept(package, folder / PACKAGE)
    return package, f"the package is not kept for later builds: {trouble}" if trouble else ""


def _key(program: Path, wanted: Aoti) -> str:
    """A package for this machine alone is of its CPU, and one for a GPU of that GPU."""
    import torch

    here = machine.cpu()
    of = here.machine
    if wanted.device == "cuda":
        of = str(machine.gpu())
    elif wanted.cpu == "native":
        of = " ".join((here.machine, *sorted(here.flags)))
    digest = trees.file_digest(program)
    return build_key(digest, str(torch.__version__), machine.compiler(), of, wanted)


def _earlier(key: str, target: Path) -> Package | None:
    """An earlier build, where there is one and its record is of this key."""
    folder = _folder(key)
    record = build_cache.found(folder, PACKAGE, target) if folder else None
    try:
        found = Package.model_validate_json(json.dumps(record)) if record else None
    except ValueError:
        found = None
    if found is None or found.key != key:
        target.unlink(missing_ok=True)
        return None
    return found.model_copy(update={"reused": True})


def _kept(package: Package, file: Path) -> str:
    folder = _folder(package.key)
    return (
        build_cache.keep(folder, PACKAGE, file, package.model_dump(mode="json")) if folder else ""
    )


def _folder(key: str) -> Path | None:
    where = settings().aoti_cache
    return Path(where) / key if where else None


def _run(program: Path, package: Path, wanted: Aoti, what: str) -> None:
    told: dict[str, str] = {"device": wanted.device}
    if wanted.device == "cpu" and wanted.cpu != "native":
        level = instructions.LEVELS[wanted.cpu]
        told |= {"march": level.march, "bits": str(level.bits)}
    environment = {
        "TORCHINDUCTOR_CACHE_DIR": str(program.parent / "cache"),
        "TORCHINDUCTOR_COMPILE_THREADS": "1",  # a compiler takes memory, and the machine is shared
    }
    arguments, within_s = [str(program), str(package), json.dumps(told)], wanted.compile_timeout_s
    try:
        process.run("aoti_package", arguments, environment, done="compiled", within_s=within_s)
    except RejectedError as error:
        raise RejectedError(
            f"{what} {error}; write optimize.target: native or onnxruntime"
        ) from error


def _described(package: Path, wanted: Aoti, key: str, seconds: float) -> Package:
    said = archive.metadata(package)
    gpu = machine.gpu() if wanted.device == "cuda" else None
    return Package(
        torch=said.get(archive.TORCH, ""),
        device=wanted.device,
        cpu=wanted.cpu,
        vectors=said.get(archive.VECTORS, "").lower(),
        machine=said.get(archive.MACHINE, ""),
        gpu=gpu.name if gpu else "",
        compute_capability=gpu.compute_capability if gpu else "",
        compiler=machine.compiler(),
        key=key,
        seconds=round(seconds, 3),
        size_bytes=package.stat().st_size,
    )
