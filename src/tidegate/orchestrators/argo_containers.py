"""The containers of a compiled Argo workflow on this machine: their files, their commands, their outputs.

`/tidegate` is a folder of the run; images, accounts and limits have no meaning here. How a command is run
is the runner's: as a process (`argo_local`) or as a call (`in_process`).
"""

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tidegate.errors import DocumentError
from tidegate.orchestrators.argo_text import filled, seconds, tried_again
from tidegate.steps.progress import event

Json = dict[str, Any]
HOME = "/tidegate"


class NodeFailedError(Exception):
    """A container ended with another code than 0; the rest of the workflow does not run."""


class Command(Protocol):
    """How a container's command is run."""

    tries_again: bool  # as its retryStrategy says; else its first failure stands

    def __call__(self, name: str, command: list[str]) -> int:
        """Run it; its exit code, with an event that tells why when that is not 0."""


@dataclass(frozen=True)
class Given:
    """What a template is given, or gives: scalars, and files by path."""

    parameters: dict[str, str]
    files: dict[str, Path]

    def scope(self, prefix: str) -> dict[str, str]:
        """Its scalars, by the references that name them."""
        return {f"{prefix}.parameters.{name}": value for name, value in self.parameters.items()}


@dataclass(frozen=True)
class Containers:
    """Runs the containers of one run; `known` are the workflow's own references."""

    folder: Path
    is_shared: bool  # one volume for all of them, where a file is handed on by its path
    known: Mapping[str, str]
    command: Command

    def run(self, template: Json, inputs: Given) -> Given:
        """One container, to its end. Raises NodeFailedError, or DocumentError for an output it lacks."""
        name, container = template["name"], template["container"]
        for artifact in template.get("inputs", {}).get("artifacts", []):
            copied(inputs.files[artifact["name"]], Path(self.here(artifact["path"], name)))
        scope = {**self.known, **inputs.scope("inputs")}
        given = [filled(self.here(argument, name), scope) for argument in container["args"]]
        self._tried(template, [*container["command"], *given])
        return self._outputs(template)

    def here(self, text: str, template: str = "") -> str:
        """Paths below the workflow's own folder, in the folder of this run."""
        own = self.folder if self.is_shared else self.folder / template
        whole, equals, path = text.rpartition("=")
        return f"{whole}{equals}{own}{path.removeprefix(HOME)}" if path.startswith(HOME) else text

    def _tried(self, template: Json, command: list[str]) -> None:
        name, retry, tries = template["name"], template["retryStrategy"], 0
        while code := self._once(name, command):
            tries += 1
            again = self.command.tries_again and tries <= int(retry["limit"])
            if not again or not tried_again(retry["expression"], code):
                raise NodeFailedError(name)
            backoff = retry["backoff"]
            time.sleep(seconds(backoff["duration"]) * int(backoff["factor"]) ** (tries - 1))

    def _once(self, name: str, command: list[str]) -> int:
        event(name, "started", release_id=self.known["workflow.uid"])
        return self.command(name, command)

    def _outputs(self, template: Json) -> Given:
        """Raises DocumentError for one that is missing, as Argo fails the node."""
        name, outputs = template["name"], template.get("outputs", {})
        files = {a["name"]: Path(self.here(a["path"], name)) for a in outputs.get("artifacts", [])}
        told = {
            p["name"]: Path(self.here(p["valueFrom"]["path"], name))
            for p in outputs.get("parameters", [])
        }
        for path in (*files.values(), *told.values()):
            if not path.exists():
                raise DocumentError(f"{name} wrote no {path.name}; its template promises it")
        values = {
            n: path.read_text(encoding="utf-8").removesuffix("\n") for n, path in told.items()
        }
        event(name, "finished", **values)
        return Given(values, files)


def copied(source: Path, target: Path) -> None:
    """A file or folder of its own for each container, as Argo hands it out.

    Not a hard link: onnx takes weights beside a graph with a second name for an attack, and refuses them.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
