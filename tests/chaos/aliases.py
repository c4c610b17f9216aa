"""The registry, as far as a release moves it: one alias, in a file, by compare-and-swap."""

from pathlib import Path

from tidegate.errors import ConflictError
from tidegate.steps.promote import Aliases


def named_in(file: Path) -> str:
    """The version that the alias names; '' when it names none."""
    return file.read_text() if file.exists() else ""


def aliases_in(file: Path) -> Aliases:
    """What a release is given in place of MLflow's."""

    def names(_model: str, _alias: str) -> str:
        return named_in(file)

    def move(_model: str, _alias: str, version: str, expected: str) -> None:
        if (found := named_in(file)) == version:
            return
        if found != expected:
            raise ConflictError(f"the alias names version {found}, not {expected}")
        fresh = file.with_suffix(".new")
        fresh.write_text(version)
        fresh.replace(file)

    return Aliases(names=names, move=move)
