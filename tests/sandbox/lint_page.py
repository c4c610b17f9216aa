"""docs/lint.md: each rule, what the server does about the fault by itself, and where that was tried."""

import inspect
import json
import os
from pathlib import Path
from typing import TypedDict

from tidegate.core.lint import RULES, Rule

FILE = Path(__file__).with_name("lint_record.json")
RECORDING = "TIDEGATE_RECORD_LINT"
TRIED = "tried here"


class Record(TypedDict):
    """A whole run: how many repositories, and how often each rule was broken in one of them."""

    repositories: int
    refused: int
    apart: list[str]
    hits: dict[str, int]


CIRCULAR = "circular: the ONNX Runtime backend here is our own stand-in"
AOTI = "circular: the pytorch backend here is our own stand-in, by the source of the real one"
NO_GPU = "the server here has no TensorRT backend, and the machine no GPU"
# Nothing here can judge these: rule -> why.
NOT_TRIED = {
    "one scheduler": "the message cannot hold two of one oneof; a text with both does not parse",
    "histograms": "the wheel that carries the server here is one version, 2.51, which refuses the field",
    "batch axis": CIRCULAR,
    "graph": CIRCULAR,
    "optional inputs": CIRCULAR,
    "parameters": CIRCULAR,
    "ONNX version": CIRCULAR,
    "AOTI server": "the wheel that carries the server here is one version, 2.51, without such packages",
    "AOTI platform": AOTI,
    "AOTI batch": AOTI,
    "AOTI sequences": AOTI,
    "AOTI names": AOTI,
    "AOTI torch": AOTI,
    "AOTI device": NO_GPU,
    "plan version": NO_GPU,
    "plan batch": NO_GPU,
    "plan on a GPU": NO_GPU,
}
HEAD = """\
# Lint

Written by `make generate`. `configure` checks every model repository by these rules before it is
published, because Triton takes some faults in silence and tells others only in its log. *By itself* is
what the server does without them. *Tried here*: `tests/sandbox/test_lint_against_triton.py` draws over
200 repositories, sound and faulty, loads each into the real tritonserver 2.51 and compares its word with
the linter's; each such rule is broken at least three times, and the two must agree on every one. Where
nothing here can judge, the last column says why. `make test-lint RECORD=1` keeps the counts.

"""
TABLE = """
| rule | by itself, the server | shown |
|---|---|---|
"""


def load() -> Record:
    """What was seen last."""
    found: Record = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def keep(record: Record) -> None:
    """Only of a run that is to be recorded."""
    if os.environ.get(RECORDING):
        FILE.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def page() -> str:
    """The whole page."""
    seen = load()
    told = (
        f"Last seen: {seen['repositories']} repositories, {seen['refused']} refused by the server "
        f"({seen['refused'] / seen['repositories']:.0%}), {len(seen['apart'])} on which the two are apart"
    )
    apart = "".join(f"- {line}\n" for line in seen["apart"])
    rows = "\n".join(_row(rule, seen["hits"]) for rule in RULES)
    return f"{HEAD}{told}{':' if apart else '.'}\n{apart}{TABLE}{rows}\n"


def _row(rule: Rule, hits: dict[str, int]) -> str:
    note = inspect.getdoc(rule.check)
    name = f"{rule.name}: {note.splitlines()[0].rstrip('.')}" if note else rule.name
    tried = f"{TRIED}, broken in {hits.get(rule.name, 0)}"
    return f"| {name} | {rule.judged} | {NOT_TRIED.get(rule.name, tried)} |"
