"""What earlier runs have built, in a folder that runs share. A hit is proven, never assumed."""

import json
import shutil
from pathlib import Path
from typing import Any

from tidegate.adapters import trees
from tidegate.errors import TidegateError, UnavailableError

RECORD = "build.json"


def found(folder: Path, file: str, target: Path) -> dict[str, Any] | None:
    """Put the file of this build at `target` and return what was recorded of it; None when there is none.

    It must be byte for byte what was written: a file that somebody cut short or changed is built again.
    """
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        _copy(folder / file, target)
        if trees.file_digest(target) == record["digest"]:
            return dict(record["build"])
    except (OSError, ValueError, KeyError, TypeError, TidegateError):
        pass
    target.unlink(missing_ok=True)
    return None


def keep(folder: Path, file: str, built: Path, record: dict[str, Any]) -> str:
    """Keep what was built as `file`, with its record: a folder that is renamed into place when it is whole.

    Why it could not be written; '' when it was. A build that took minutes is not lost for its copy.
    """
    try:
        with trees.building(folder) as target:
            _copy(built, target / file)
            whole = {"digest": trees.file_digest(built), "build": record}
            text = json.dumps(whole, indent=1, sort_keys=True)
            (target / RECORD).write_text(text, encoding="utf-8")
    except (OSError, UnavailableError) as error:
        return str(error)
    return ""


def _copy(source: Path, target: Path) -> None:
    with trees.disk_errors(target):
        shutil.copyfile(source, target)
