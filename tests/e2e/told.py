"""What a run left, in words that no runner owns: its documents by step and port, and what is compared."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidegate.steps.registry import Parameter, steps

Json = dict[str, Any]
# All that two runs of one release rightly tell differently, by `step.port:path`. Nothing else is left out.
LEFT_OUT = {
    "times, and how long it took": r"[:.]\w*(_s|_ms)$|[:.]seconds\.",
    "ids": r"[:.](\w*_uid|uid|release_id|run_id|resource_version)$",
    "load and evidence": r"^(load-test\.load_report|gate\.(evidence|metrics)|promote\.live_evidence):",
    "the report's copies of them": r"^report\.(report_metrics:|report_document:load\.)",
    "figures of findings": r"^(gate|await|pro|rep).*[:.]findings\.\d+ .+\."
    r"(observed|lower|upper|samples|p_worse)$",
    "limits made of what the incumbent took": r"[:.]findings\.\d+ \w+ vs incumbent\.limit$",
    "sentences with figures": r"^(gate|await|pro|rep).*[:.](findings\.\d+ .+\.message|verdict\.reason)$",
    "the words of a gate": r"^(gate|await-approval)\.\w+_document:reason$",
    "what a bake has seen": r"[:.]steps\.\d+\.(looks|evidence|requests|message)(\.|$)",
}


@dataclass(frozen=True)
class Told:
    """How one run ended, and what it wrote: (step.port) -> its leaves by path."""

    code: int
    word: str
    documents: dict[str, dict[str, Any]]


def told(folder: Path, code: int, word: str) -> Told:
    """Of the run whose folder this is."""
    return Told(code, word, dict(_documents(folder / "artifacts")))


def _documents(artifacts: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for step in steps().values():
        for port in step.ports("out"):
            found = [
                path for path in artifacts.glob(f"*/{step.command}/**/{port.name}")
                if "inputs" not in path.relative_to(artifacts).parts
            ]  # fmt: skip
            for path in found[:1]:
                yield f"{step.command}.{port.name}", dict(_leaves(port, path))


def _leaves(port: Parameter, path: Path) -> Iterator[tuple[str, Any]]:
    content = port.port.content if port.port else ""
    if content == "tree":
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            yield str(file.relative_to(path)), hashlib.sha256(file.read_bytes()).hexdigest()
    elif content in {"page", "markdown"}:
        yield "is empty", not path.read_text(encoding="utf-8").strip()
    else:
        yield from _flat(json.loads(path.read_text(encoding="utf-8")), "")


def _flat(value: Any, at: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _flat(one, f"{at}.{key}" if at else key)
    elif isinstance(value, list):
        for number, one in enumerate(value):
            judged = (
                f" {one['name']}" if isinstance(one, dict) and {"name", "word"} <= {*one} else ""
            )
            yield from _flat(one, f"{at}.{number}{judged}")
    else:
        yield at, value


def compared(told: Told) -> dict[str, Any]:
    """Every value that must be the same, by `step.port:path`."""
    every = {
        f"{document}:{path}": value
        for document, leaves in told.documents.items()
        for path, value in leaves.items()
    }
    return {k: v for k, v in every.items() if not any(re.search(r, k) for r in LEFT_OUT.values())}
