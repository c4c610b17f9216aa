"""What `argo lint` would say of the references in our documents: every name is somewhere, and in time.

Only the constructs that our documents use are known; anything else is a complaint, too.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Json = dict[str, Any]

GLOBALS = {
    "workflow.uid",
    "workflow.name",
    "workflow.namespace",
    "workflow.status",
    "workflow.duration",
}
REFERENCE = re.compile(r"\{\{([^{}]+)\}\}")
IN_EXPRESSION = re.compile(
    r"(?:inputs\.parameters\.\w+|tasks(?:\.[a-zA-Z]\w*|\['[-\w]+'\])\.outputs\.parameters\.\w+)"
)


def problems(documents: Iterable[Json], *, of: int | None = None) -> list[str]:
    """One line for each broken reference of documents that belong together, or of one of them."""
    everything = list(documents)
    known = {_where(document): document for document in everything}
    return [
        f"{document['kind']} {_name(document)}: {problem}"
        for document in (everything if of is None else [everything[of]])
        for problem in _document(document, known)
    ]


def _name(document: Json) -> str:
    metadata = document["metadata"]
    return str(metadata.get("name") or metadata.get("generateName"))


def _where(document: Json) -> tuple[str, str]:
    return str(document["kind"]), _name(document)


def _document(document: Json, known: Mapping[tuple[str, str], Json]) -> Iterator[str]:
    spec = document["spec"].get("workflowSpec", document["spec"])
    if "workflowTemplateRef" in spec:
        yield from _template_ref(spec, known)
        return
    templates = {template["name"]: template for template in spec["templates"]}
    if len(templates) != len(spec["templates"]):
        yield "two templates have one name"
    given = {p["name"] for p in spec.get("arguments", {}).get("parameters", [])}
    yield from _entry(spec, templates, given)
    yield from _unused(spec, templates, given)
    everywhere = GLOBALS | {f"workflow.parameters.{name}" for name in given}
    yield from _unknown({**spec, "templates": [], "arguments": {}}, everywhere, "the workflow")
    for template in templates.values():
        yield from _template(template, templates, everywhere)


def _template_ref(spec: Json, known: Mapping[tuple[str, str], Json]) -> Iterator[str]:
    reference = spec["workflowTemplateRef"]
    kind = "ClusterWorkflowTemplate" if reference.get("clusterScope") else "WorkflowTemplate"
    target = known.get((kind, reference["name"]))
    if target is None:
        yield f"there is no {kind} {reference['name']}"
        return
    takes = target["spec"]["arguments"]["parameters"]
    names = {p["name"] for p in takes}
    given = {p["name"] for p in spec.get("arguments", {}).get("parameters", [])}
    yield from (f"{reference['name']} takes no parameter {name}" for name in given - names)
    needed = {p["name"] for p in takes if "value" not in p}
    yield from (f"{reference['name']} needs parameter {name}" for name in needed - given)


def _entry(spec: Json, templates: Mapping[str, Json], given: set[str]) -> Iterator[str]:
    for field in ("entrypoint", "onExit"):
        if spec.get(field) not in templates:
            yield f"{field} {spec.get(field)} is no template"
    entry = templates.get(spec["entrypoint"])
    for parameter in _parameters(entry, "inputs") if entry else []:
        if parameter["name"] not in given and not _has_value(parameter):
            yield f"the entrypoint needs {parameter['name']}, which no argument gives"


def _unused(spec: Json, templates: Mapping[str, Json], given: set[str]) -> Iterator[str]:
    """Argo ignores an argument that nobody takes."""
    entry = templates.get(spec["entrypoint"], {})
    taken = {parameter["name"] for parameter in _parameters(entry, "inputs")}
    told = "".join(strings(spec))
    for name in given - taken:
        if f"{{{{workflow.parameters.{name}}}}}" not in told:
            yield f"argument {name} is taken by nobody"


def _template(template: Json, templates: Mapping[str, Json], everywhere: set[str]) -> Iterator[str]:
    what = f"template {template['name']}"
    known = everywhere | {f"inputs.parameters.{p['name']}" for p in _parameters(template, "inputs")}
    known |= {f"inputs.artifacts.{a['name']}" for a in _artifacts(template, "inputs")}
    if "dag" in template:
        yield from _dag(template, templates, known)
        return
    yield from _unknown(template, known, what)
    if "suspend" in template:
        offered = {p["name"] for p in _parameters(template, "inputs") if "enum" in p}
        for parameter in _parameters(template, "outputs"):
            if parameter["name"] not in offered:
                yield f"{what}: nobody is offered a {parameter['name']}"
        return
    if "container" not in template:
        yield f"{what} is of a kind that is not known"
        return
    yield from _paths(template, what)


def _paths(template: Json, what: str) -> Iterator[str]:
    """The command is told of every input, and writes every output where Argo looks for it."""
    told = " ".join(template["container"]["args"])
    for parameter in _parameters(template, "inputs"):
        if f"{{{{inputs.parameters.{parameter['name']}}}}}" not in told:
            yield f"{what}: nothing is told of parameter {parameter['name']}"
    for artifact in (*_artifacts(template, "inputs"), *_artifacts(template, "outputs")):
        if not f"{artifact['path']} ".endswith(f"/{artifact['name']} "):
            yield f"{what}: {artifact['name']} lies at {artifact['path']}"
        if f"={artifact['path']} " not in f"{told} ":
            yield f"{what}: nothing is told of {artifact['path']}"
    results = re.search(r"--results=(\S+)", told)
    for parameter in _parameters(template, "outputs"):
        expected = f"{results[1] if results else ''}/{parameter['name']}"
        if parameter["valueFrom"]["path"] != expected:
            yield f"{what}: nothing writes {parameter['valueFrom']['path']}"


def _dag(template: Json, templates: Mapping[str, Json], known: set[str]) -> Iterator[str]:
    tasks = {task["name"]: task for task in template["dag"]["tasks"]}
    what = f"template {template['name']}"
    for task in tasks.values():
        yield from _task(task, tasks, templates, known, f"{what}, task {task['name']}")
    everything = known | {out for name in tasks for out in _outputs(name, tasks, templates)}
    for parameter in _parameters(template, "outputs"):
        expression = parameter["valueFrom"]["expression"]
        for found in IN_EXPRESSION.findall(expression):
            if _plain(found) not in everything:
                yield f"{what}: output {parameter['name']}: {found} is not known"
        rest = IN_EXPRESSION.sub("", expression)
        if re.search(r"inputs|tasks|parameters", rest):
            yield f"{what}: output {parameter['name']} cannot be read: {expression}"


def _plain(found: str) -> str:
    return re.sub(r"tasks\['([-\w]+)'\]", r"tasks.\1", found)


def _task(
    task: Json,
    tasks: Mapping[str, Json],
    templates: Mapping[str, Json],
    known: set[str],
    what: str,
) -> Iterator[str]:
    target = templates.get(task["template"])
    if target is None:
        yield f"{what}: there is no template {task['template']}"
        return
    for name in _waited_for(task):
        if name not in tasks:
            yield f"{what}: depends on {name}, which is no task"
    before = _ancestors(task["name"], tasks)
    seen = known | {out for name in before for out in _outputs(name, tasks, templates)}
    yield from _unknown(task, seen, what)
    yield from _interface(task, target, what)


def _interface(task: Json, target: Json, what: str) -> Iterator[str]:
    given = task.get("arguments", {})
    for kind, takes in (
        ("parameters", _parameters(target, "inputs")),
        ("artifacts", _artifacts(target, "inputs")),
    ):
        names = {one["name"] for one in takes}
        told = {one["name"] for one in given.get(kind, [])}
        needed = {one["name"] for one in takes if kind == "artifacts" or not _has_value(one)}
        yield from (f"{what}: gives {name}, which is not taken" for name in sorted(told - names))
        yield from (f"{what}: does not give {name}" for name in sorted(needed - told))


def _outputs(name: str, tasks: Mapping[str, Json], templates: Mapping[str, Json]) -> set[str]:
    target = templates.get(tasks[name]["template"], {})
    parameters = {
        f"tasks.{name}.outputs.parameters.{p['name']}" for p in _parameters(target, "outputs")
    }
    return parameters | {
        f"tasks.{name}.outputs.artifacts.{a['name']}" for a in _artifacts(target, "outputs")
    }


def _waited_for(task: Json) -> list[str]:
    return re.findall(r"[a-zA-Z][-\w]*", task.get("depends", ""))


def _ancestors(name: str, tasks: Mapping[str, Json]) -> set[str]:
    found: set[str] = set()
    open_ = [name]
    while open_:
        for before in _waited_for(tasks[open_.pop()]):
            if before in tasks and before not in found:
                found.add(before)
                open_.append(before)
    return found


def _unknown(part: Any, known: set[str], what: str) -> Iterator[str]:
    for text in strings(part):
        if text.count("{{") != len(REFERENCE.findall(text)):
            yield f"{what}: {text!r} cannot be read"
        for reference in REFERENCE.findall(text):
            if reference not in known:
                yield f"{what}: {{{{{reference}}}}} is not known there"


def strings(part: Any) -> Iterator[str]:
    """Every text of a document, wherever it is."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, dict):
        for value in part.values():
            yield from strings(value)
    elif isinstance(part, list):
        for value in part:
            yield from strings(value)


def _parameters(template: Json, side: str) -> list[Json]:
    return list(template.get(side, {}).get("parameters", []))


def _artifacts(template: Json, side: str) -> list[Json]:
    return list(template.get(side, {}).get("artifacts", []))


def _has_value(parameter: Json) -> bool:
    return "value" in parameter or "default" in parameter
