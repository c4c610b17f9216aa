"""Evidence on disk: written once, and refused when a byte of it is not what was written."""

import platform
from importlib.metadata import version
from pathlib import Path

from tidegate import __version__
from tidegate.adapters.files import read, read_text, write_text
from tidegate.core import replay
from tidegate.documents import Evidence
from tidegate.errors import DocumentError


def versions() -> dict[str, str]:
    """What judges here."""
    libraries = {name: version(name) for name in ("numpy", "scipy", "pydantic")}
    return {"tidegate": __version__, "python": platform.python_version(), **libraries}


def write_evidence(path: Path, evidence: Evidence) -> None:
    """Write it as it was sealed."""
    write_text(path, replay.text(evidence))


def read_evidence(path: Path) -> Evidence:
    """Read it. Raises DocumentError when it was changed by as little as a space."""
    evidence = read(path, Evidence)
    if evidence.digest != replay.digest(evidence) or read_text(path) != replay.text(evidence):
        raise DocumentError(
            f"{path}: was changed since it was written (its digest {evidence.digest[:19]!r} does not "
            f"fit); take the file from the run's artifacts"
        )
    return evidence
