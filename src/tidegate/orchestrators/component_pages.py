"""The README of each component: what it takes, gives, runs in, may do, and how to use it alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.orchestrators.surroundings import IN_CONFIG_MAP, IN_SECRET, NAME, image_of
from tidegate.steps.registry import Parameter, Step

KINDS = {
    "document": "a document, one JSON file",
    "policy": "the effective policy as JSON",
    "tree": "a folder",
    "page": "an HTML page",
    "markdown": "Markdown",
    "metrics": "numbers by name",
}

NAMESPACED = ("pods", "configmaps")  # of what is asked for everywhere, what a namespace holds


def readme(step: Step, rules: Sequence[Mapping[str, Any]]) -> str:
    """Markdown; `rules` are the step's rows of deploy/rbac/verbs.yaml."""
    return "\n".join(
        [
            f"# {step.command}",
            "",
            "Written by `make generate` from the step's own signature; change that.",
            "",
            step.summary,
            "",
            *_table("input", [p for p in step.parameters if not _is_out(p)]),
            "",
            *_outputs(step),
            "",
            *_facts(step),
            "",
            *_rights(rules),
            "",
            *_example(step),
            "",
        ]
    )


def _is_out(parameter: Parameter) -> bool:
    return parameter.port is not None and parameter.port.direction == "out"


def _table(kind: str, parameters: Sequence[Parameter]) -> list[str]:
    rows = [f"| {p.name} | {_type(p)} | {_default(p)} |" for p in parameters]
    return [f"| {kind} | is | default |", "|---|---|---|", *rows]


def _type(parameter: Parameter) -> str:
    return KINDS[parameter.port.content] if parameter.port else parameter.type.__name__


def _default(parameter: Parameter) -> str:
    return "" if parameter.required else f"`{parameter.default!r}`"


def _outputs(step: Step) -> list[str]:
    kinds = dict(step.outputs)
    scalars = [f"| {name} | {kinds[name].__name__} |" for name in step.results]
    files = [f"| {port.name} | {_type(port)} |" for port in step.ports("out")]
    return ["| output | is |", "|---|---|", *scalars, *files]


def _facts(step: Step) -> list[str]:
    ours = step.image != "trainer"
    image = image_of(step) if ours else "your own, with tidegate's wheel in it"
    cached = "yes: its result depends on nothing but its inputs" if step.cacheable else "no"
    plain, secret = ", ".join(IN_CONFIG_MAP), ", ".join(IN_SECRET)
    refused = "it runs all the same" if step.takes_refusal else "it hands that on and does nothing"
    return [
        f"- Image: `{image}`",
        f"- GPU: {'where the run asks for one' if step.gpu else 'none'}",
        f"- Side effects: {step.touches}",
        f"- Cacheable: {cached}",
        f"- Given the refusal of an earlier step, {refused}.",
        f"- Environment from ConfigMap `{NAME}`: {plain}",
        f"- Environment from Secret `{NAME}`, where there is one: {secret}",
    ]


def _rights(rules: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rules:
        return ["It asks nothing of the Kubernetes API."]
    told = [
        f"- {', '.join(rule['verbs'])} {rule['resource']}"
        + (f".{rule['apiGroup']}" if rule["apiGroup"] else "")
        + (f" in {rule['namespace']}" if "namespace" in rule else "")
        + (
            " of all namespaces"
            if rule.get("everywhere") and rule["resource"] in NAMESPACED
            else ""
        )
        + (" (optional)" if rule.get("optional") else "")
        for rule in rules
    ]
    return ["What it asks of the Kubernetes API, as recorded:", "", *told]


def _example(step: Step) -> list[str]:
    given = [f"    {p.name}={_value(p)}," for p in step.parameters if p.required and not _is_out(p)]
    call = [f"task = {step.name}(", *given, ")"] if given else [f"task = {step.name}()"]
    return [
        "```python",
        "from kfp import components, dsl, kubernetes",
        "",
        f'{step.name} = components.load_component_from_file("component.yaml")',
        *call,
        f"task.set_caching_options({step.cacheable})",
        "names = [",
        *(f'    "{name}",' for name in IN_CONFIG_MAP),
        "]",
        f'kubernetes.use_config_map_as_env(task, "{NAME}", {{name: name for name in names}})',
        "```",
    ]


def _value(parameter: Parameter) -> str:
    if parameter.port:
        return f'earlier.outputs["{parameter.name}"]'
    if parameter.name == "release_id":
        return "dsl.PIPELINE_JOB_ID_PLACEHOLDER"
    return '"..."'
