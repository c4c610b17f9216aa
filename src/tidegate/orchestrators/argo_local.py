"""Runs a compiled Argo workflow on this machine: its own commands, in its own order, with its own files.

Each container is a process, `/tidegate` a folder of the run; images, accounts and limits have no meaning
here. A suspended node is resumed by whoever says `tidegate approve`. A process of its own, like kfp's.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tidegate.errors import DocumentError, TidegateError, UsageError
from tidegate.orchestrators.argo_text import chosen, filled, holds, seconds, tried_again
from tidegate.steps.progress import configure_logging, event

Json = dict[str, Any]
HOME = "/tidegate"
LOOK_EVERY_S = 0.5


class NodeFailedError(Exception):
    """A container ended with another code than 0; the rest of the workflow does not run."""


@dataclass(frozen=True)
class Given:
    """What a template is given, or gives: scalars, and files by path."""

    parameters: dict[str, str]
    files: dict[str, Path]

    def scope(self, prefix: str) -> dict[str, str]:
        """Its scalars, by the references that name them."""
        return {f"{prefix}.parameters.{name}": value for name, value in self.parameters.items()}


class Workflow:
    """One run of a WorkflowTemplate."""

    def __init__(self, document: Json, folder: Path, arguments: dict[str, str]) -> None:
        spec = document["spec"]
        self._spec, self._folder = spec, folder / document["metadata"]["name"]
        self._templates: dict[str, Json] = {t["name"]: t for t in spec["templates"]}
        known = {p["name"]: p.get("value") for p in spec["arguments"]["parameters"]}
        if unknown := set(arguments) - set(known):
            raise UsageError(
                f"the workflow takes no {', '.join(unknown)}; it takes {', '.join(known)}"
            )
        values = {
            name: value for name, value in {**known, **arguments}.items() if value is not None
        }
        self.release_id = str(uuid.uuid4())
        self._globals = {"workflow.uid": self.release_id} | {
            f"workflow.parameters.{name}": value for name, value in values.items()
        }
        self._arguments = Given(values, {})
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        self._is_shared = "persistentVolumeClaim" in volumes["work"]

    def run(self) -> bool:
        """Whether it succeeded; its exit handler runs in any case."""
        done = self._ended(self._spec["entrypoint"], self._arguments)
        handled = self._ended(self._spec["onExit"], Given({}, {}))
        return done and handled

    def _ended(self, template: str, given: Given) -> bool:
        try:
            self._template(template, given)
        except NodeFailedError:
            return False
        except TidegateError as error:
            event(template, str(error), error=type(error).__name__, exit_code=error.exit_code)
            return False
        return True

    def _template(self, name: str, given: Given) -> Given:
        template = self._templates[name]
        inputs = self._inputs(template, given)
        if "dag" in template:
            return self._dag(template, inputs)
        if "suspend" in template:
            return self._suspend(template, inputs)
        return self._container(template, inputs)

    def _inputs(self, template: Json, given: Given) -> Given:
        wanted = template.get("inputs", {}).get("parameters", [])
        values = {p["name"]: given.parameters.get(p["name"], p.get("default")) for p in wanted}
        if missing := [name for name, value in values.items() if value is None]:
            raise DocumentError(f"template {template['name']} is not given {', '.join(missing)}")
        return Given({name: str(value) for name, value in values.items()}, given.files)

    # -- DAGs

    def _dag(self, template: Json, inputs: Given) -> Given:
        scope = self._globals | inputs.scope("inputs")
        files = {f"inputs.artifacts.{name}": path for name, path in inputs.files.items()}
        for task in _in_order(template["dag"]["tasks"]):
            if "when" in task and not holds(task["when"], scope):
                continue
            given = _arguments(task, scope, files)
            made = self._template(task["template"], self._placed(given))
            scope |= made.scope(f"tasks.{task['name']}.outputs")
            artifacts = made.files.items()
            files |= {f"tasks.{task['name']}.outputs.artifacts.{n}": path for n, path in artifacts}
        outputs = template.get("outputs", {}).get("parameters", [])
        return Given({p["name"]: chosen(p["valueFrom"]["expression"], scope) for p in outputs}, {})

    def _placed(self, given: Given) -> Given:
        """On a shared volume a file is handed on by its path, which lies elsewhere here."""
        if not self._is_shared:
            return given
        values = {name: self._here(text, "") for name, text in given.parameters.items()}
        return Given(values, given.files)

    def _here(self, text: str, template: str) -> str:
        """Paths below the workflow's own folder, in the folder of this run."""
        own = self._folder if self._is_shared else self._folder / template
        whole, equals, path = text.rpartition("=")
        return f"{whole}{equals}{own}{path.removeprefix(HOME)}" if path.startswith(HOME) else text

    # -- leaves

    def _suspend(self, template: Json, inputs: Given) -> Given:
        """Until its time is up, or a person has said something in the release's journal."""
        until = time.monotonic() + seconds(
            filled(template["suspend"]["duration"], inputs.scope("inputs"))
        )
        event(
            template["name"], "suspended until somebody types: tidegate approve, or reject-approval"
        )
        while time.monotonic() < until and not has_approval(self.release_id):
            time.sleep(LOOK_EVERY_S)
        outputs = template["outputs"]["parameters"]
        return Given({p["name"]: p["valueFrom"]["default"] for p in outputs}, {})

    def _container(self, template: Json, inputs: Given) -> Given:
        name, container = template["name"], template["container"]
        for artifact in template.get("inputs", {}).get("artifacts", []):
            _linked(inputs.files[artifact["name"]], Path(self._here(artifact["path"], name)))
        scope = self._globals | inputs.scope("inputs")
        given = [filled(self._here(argument, name), scope) for argument in container["args"]]
        retry, tries = template["retryStrategy"], 0
        while code := self._command(name, [*container["command"], *given]):
            tries += 1
            if tries > int(retry["limit"]) or not tried_again(retry["expression"], code):
                raise NodeFailedError(name)
            backoff = retry["backoff"]
            time.sleep(seconds(backoff["duration"]) * int(backoff["factor"]) ** (tries - 1))
        return self._outputs(template)

    def _command(self, name: str, command: list[str]) -> int:
        """Its exit code, as a container's: 128 and the signal's number for one that was killed."""
        event(name, "started", release_id=self.release_id)
        last = ""
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
            assert child.stderr is not None
            for line in child.stderr:
                sys.stderr.write(line)
                last = line.strip() or last
        code = child.returncode if child.returncode >= 0 else 128 - child.returncode
        if code:
            event(name, last.removeprefix("tidegate: "), error=f"exit {code}", exit_code=code)
        return code

    def _outputs(self, template: Json) -> Given:
        """Raises DocumentError for one that is missing, as Argo fails the node."""
        name, outputs = template["name"], template.get("outputs", {})
        files = {a["name"]: Path(self._here(a["path"], name)) for a in outputs.get("artifacts", [])}
        told = {
            p["name"]: Path(self._here(p["valueFrom"]["path"], name))
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


def _in_order(tasks: list[Json]) -> list[Json]:
    """As they were drawn: a task is drawn after what it depends on. Raises DocumentError."""
    seen: set[str] = set()
    for task in tasks:
        if missing := set(task.get("depends", "").split(" && ")) - seen - {""}:
            raise DocumentError(f"task {task['name']} is drawn before {', '.join(missing)}")
        seen.add(task["name"])
    return tasks


def _arguments(task: Json, scope: dict[str, str], files: dict[str, Path]) -> Given:
    given = task.get("arguments", {})
    return Given(
        {p["name"]: filled(p["value"], scope) for p in given.get("parameters", [])},
        {a["name"]: files[a["from"].strip("{}")] for a in given.get("artifacts", [])},
    )


def _linked(source: Path, target: Path) -> None:
    """A copy that shares the bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=os.link)
    else:
        target.unlink(missing_ok=True)
        os.link(source, target)


def has_approval(release_id: str) -> bool:
    """Whether a person has said something about this release."""
    from tidegate.adapters.kubernetes import connect
    from tidegate.adapters.release_lock import list_journals

    with connect() as kube:
        found = list_journals(kube, release_id=release_id, unreadable=lambda _: None)
    return any(stored.journal.approval or stored.journal.is_over for stored in found)


def main(document: Path, root: Path, arguments: dict[str, str]) -> int:
    """Exit 1 when the workflow failed; why is in the progress file and in the log."""
    configure_logging()
    workflow = Workflow(yaml.safe_load(document.read_text(encoding="utf-8")), root, arguments)
    return 0 if workflow.run() else 1


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])))
