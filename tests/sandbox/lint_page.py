"""docs/lint.md: each rule, what the server does about the fault by itself, and where that was tried."""

import inspect

from tidegate.core.lint import RULES, Rule

TRIED = "tried here"
# Nothing here can judge these: rule -> why.
NOT_TRIED = {
    "model file": "a python model without its file hangs the load of the server, which then has to be killed",
    "one scheduler": "the message cannot hold two of one oneof, so no text with both is ever written",
    "warm-up file": "drawn configs have no files",
    "metrics config": "a fault of the server's start, not of a model",
    "histograms": "the wheel that carries the server here is one version, 2.51",
    "fields": "the wheel that carries the server here is one version, 2.51",
    "batch axis": "circular: the ONNX Runtime backend here is our own stand-in",
    "graph": "circular: the ONNX Runtime backend here is our own stand-in",
    "optional inputs": "circular: the ONNX Runtime backend here is our own stand-in",
    "parameters": "circular: the ONNX Runtime backend here is our own stand-in",
    "plan version": "the server here has no TensorRT backend, and the machine no GPU",
    "plan batch": "the server here has no TensorRT backend, and the machine no GPU",
    "plan on a GPU": "the server here has no TensorRT backend, and the machine no GPU",
    "ONNX version": "circular: the ONNX Runtime backend here is our own stand-in",
}
HEAD = """\
# Lint

Written by `make generate`. `configure` checks every model repository by these rules before it is
published, because Triton takes some faults in silence and tells others only in its log. *By itself* is
what the server does without them. *Tried here*: `tests/sandbox/test_lint_against_triton.py` draws over
200 repositories, sound and faulty, loads each into the real tritonserver 2.51 and compares its word with
the linter's; each such rule is broken at least three times, and the two must agree on every one. Where
nothing here can judge, the last column says why.

| rule | by itself, the server | shown |
|---|---|---|
"""


def page() -> str:
    """The whole page."""
    return HEAD + "\n".join(_row(rule) for rule in RULES) + "\n"


def _row(rule: Rule) -> str:
    note = inspect.getdoc(rule.check)
    name = f"{rule.name}: {note.splitlines()[0].rstrip('.')}" if note else rule.name
    return f"| {name} | {rule.judged} | {NOT_TRIED.get(rule.name, TRIED)} |"
