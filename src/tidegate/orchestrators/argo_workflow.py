"""Interprets a compiled Argo workflow: its DAGs in their own order, conditions, suspension and exit handler.

The order of the steps is the drawing's alone; what runs a container is given. A suspended node is resumed by
whoever says `tidegate approve`.
"""

import time
import uuid
from pathlib import Path
from typing import Any

import yaml

from tidegate.errors import DocumentError, TidegateError, UsageError
from tidegate.orchestrators.argo_containers import Command, Containers, Given, NodeFailedError
from tidegate.orchestrators.argo_text import chosen, filled, holds, seconds
from tidegate.steps.progress import configure_logging, event

Json = dict[str, Any]
LOOK_EVERY_S = 0.5


class Workflow:
    """One run of a WorkflowTemplate."""

    def __init__(
        self, document: Json, folder: Path, arguments: dict[str, str], command: Command
    ) -> None:
        spec = document["spec"]
        self._spec = spec
        self._templates: dict[str, Json] = {t["name"]: t for t in spec["templates"]}
        values = _values(spec["arguments"]["parameters"], arguments)
        self.release_id = str(uuid.uuid4())
        self._globals = {"workflow.uid": self.release_id} | {
            f"workflow.parameters.{name}": value for name, value in values.items()
        }
        self._arguments = Given(values, {})
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        self._containers = Containers(
            folder=folder / document["metadata"]["name"],
            is_shared="persistentVolumeClaim" in volumes["work"],
            known=self._globals,
            command=command,
        )

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
        return self._containers.run(template, inputs)

    def _inputs(self, template: Json, given: Given) -> Given:
        wanted = template.get("inputs", {}).get("parameters", [])
        values = {p["name"]: given.parameters.get(p["name"], p.get("default")) for p in wanted}
        if missing := [name for name, value in values.items() if value is None]:
            raise DocumentError(f"template {template['name']} is not given {', '.join(missing)}")
        return Given({name: str(value) for name, value in values.items()}, given.files)

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
        if not self._containers.is_shared:
            return given
        values = {name: self._containers.here(text) for name, text in given.parameters.items()}
        return Given(values, given.files)

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


def _values(declared: list[Json], arguments: dict[str, str]) -> dict[str, str]:
    """The workflow's own parameters. Raises UsageError for one that it does not take."""
    known = {p["name"]: p.get("value") for p in declared}
    if unknown := set(arguments) - set(known):
        raise UsageError(f"the workflow takes no {', '.join(unknown)}; it takes {', '.join(known)}")
    return {name: value for name, value in {**known, **arguments}.items() if value is not None}


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


def has_approval(release_id: str) -> bool:
    """Whether a person has said something about this release."""
    from tidegate.adapters.kubernetes import connect
    from tidegate.adapters.release_lock import list_journals

    with connect() as kube:
        found = list_journals(kube, release_id=release_id, unreadable=lambda _: None)
    return any(stored.journal.approval or stored.journal.is_over for stored in found)


def main(document: Path, root: Path, arguments: dict[str, str], command: Command) -> int:
    """Exit 1 when the workflow failed; why is in the progress file and in the log."""
    configure_logging()
    read = yaml.safe_load(document.read_text(encoding="utf-8"))
    return 0 if Workflow(read, root, arguments, command).run() else 1
