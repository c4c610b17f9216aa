"""Runs one step, whoever calls it: refusals are handed on, results come back as a flat dict."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidegate.adapters.files import read_any, write, write_text
from tidegate.documents import Refusal
from tidegate.steps.progress import say
from tidegate.steps.registry import Step


def execute(step: Step, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run a step with plain arguments (Paths for ports); returns its outputs by name.

    A document input that holds a Refusal stops a step that does not take refusals: the refusal is
    written to each output document, folders are left empty, and `verdict` is the refusal's word.
    """
    for port in step.ports("out"):
        arguments[port.name].parent.mkdir(parents=True, exist_ok=True)
    refusal = None if step.takes_refusal else _refusal(step, arguments)
    if refusal is not None:
        return _hand_on(step, arguments, refusal)
    return dataclasses.asdict(step.function(**arguments))


def write_results(folder: Path, outputs: Mapping[str, Any]) -> None:
    """A step's outputs as Argo reads them: a file for each."""
    for name, value in outputs.items():
        write_text(folder / name, str(value))


def _refusal(step: Step, arguments: dict[str, Any]) -> Refusal | None:
    for port in step.ports("in"):
        if port.port and port.port.content == "document":
            document = read_any(arguments[port.name])
            if isinstance(document, Refusal):
                return document
    return None


def _hand_on(step: Step, arguments: dict[str, Any], refusal: Refusal) -> dict[str, Any]:
    say(step.command, f"nothing to do: {refusal.step} said {refusal.word}")
    for port in step.ports("out"):
        content = port.port.content if port.port else ""
        if content == "document":
            write(arguments[port.name], refusal)
        elif content == "metrics":
            write_text(arguments[port.name], "{}\n")
        else:
            arguments[port.name].mkdir(parents=True, exist_ok=True)
    empty = {name: kind() for name, kind in step.outputs}
    known = {"verdict": refusal.word.value, "reason": refusal.reason}
    return empty | {name: value for name, value in known.items() if name in empty}
