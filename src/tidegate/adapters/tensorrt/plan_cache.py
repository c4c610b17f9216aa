"""Plans and timings of earlier builds, in a folder that builds share. A hit is proven, never assumed."""

import json
import os
import tempfile
from pathlib import Path

from tidegate.adapters import build_cache
from tidegate.config import settings
from tidegate.core.tensorrt import plan_version
from tidegate.documents import Engine
from tidegate.errors import TidegateError

PLAN = "model.plan"


def folder() -> Path | None:
    """TIDEGATE_TENSORRT_CACHE; None = nothing is kept."""
    where = settings().tensorrt_cache
    return Path(where) if where else None


def found(root: Path | None, key: str, target: Path) -> Engine | None:
    """Put the plan of this key at `target` and say how it was built; None when there is none.

    What is there must say that it is of this key, and be byte for byte what was written: a file that somebody
    cut short, changed or moved is built again.
    """
    if root is None:
        return None
    record = build_cache.found(root / "plans" / key, PLAN, target)
    if record is None:
        return None
    try:
        engine = Engine.model_validate_json(json.dumps(record))
        if engine.key == key and plan_version.shown(head(target, what=PLAN)) == engine.tensorrt:
            return engine
    except (OSError, ValueError, TidegateError):
        pass
    target.unlink(missing_ok=True)
    return None


def keep(root: Path | None, engine: Engine, plan: Path) -> str:
    """Keep a plan under its key. Why it could not be written; '' when it was."""
    if root is None or not engine.key:
        return ""
    record = engine.model_dump(mode="json")
    return build_cache.keep(root / "plans" / engine.key, PLAN, plan, record)


def timings(root: Path | None, name: str) -> bytes:
    """The timing cache of that name, b'' when there is none."""
    try:
        return (root / name).read_bytes() if root else b""
    except OSError:
        return b""


def timing_file(root: Path | None, name: str) -> Path | None:
    """Where trtexec reads and writes the timing cache of that name by itself; None where there is no folder
    for it."""
    if root is None:
        return None
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return root / name


def keep_timings(root: Path | None, name: str, content: bytes) -> str:
    """Write it as a whole; of two builds at once the later one's stays, and both were right.

    Why it could not be written; '' when it was.
    """
    if root is None or not content:
        return ""
    temporary = ""
    try:
        root.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=root, prefix=f".{name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(temporary).replace(root / name)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        return f"cannot write {root / name}: {error.strerror or error}"
    return ""


def head(plan: Path, *, what: str) -> plan_version.Version:
    """The TensorRT that a plan file is of. Raises RejectedError."""
    with plan.open("rb") as file:
        return plan_version.plan_version(file.read(plan_version.LENGTH), what=what)
