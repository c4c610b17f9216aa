"""What the tests of the routes have seen: written when they are told to, read by the page."""

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("record.json")
RECORDING = "TIDEGATE_RECORD_ROUTES"


def load() -> dict[str, list[dict[str, Any]]]:
    """By `flavor -> target`: every model that was served on it."""
    found: dict[str, list[dict[str, Any]]] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def add(route: str, model: str, rows: int, difference: float, packages: tuple[str, ...]) -> None:
    """One model more, in the place of an older word on it; only when the run is to be recorded."""
    if not os.environ.get(RECORDING):
        return
    known = load() if FILE.is_file() else {}
    entry = {
        "model": model,
        "rows": rows,
        "largest_difference": float(f"{difference:.1g}"),
        "versions": {name: version(name) for name in packages},
    }
    others = [one for one in known.get(route, []) if one["model"] != model]
    known[route] = sorted([*others, entry], key=lambda one: str(one["model"]))
    text = json.dumps(dict(sorted(known.items())), indent=2) + "\n"
    FILE.write_text(text, encoding="utf-8")
