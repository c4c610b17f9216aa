"""Writes every generated file, or with --check says which committed one is not what it should be."""

import json
import re
import runpy
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from kfp import compiler

from tidegate.orchestrators.component_pages import readme
from tidegate.orchestrators.components import component
from tidegate.policy import Policy
from tidegate.steps.registry import Step, steps

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))


def pipeline(name: str) -> str:
    """A compiled pipeline."""
    return compiled(runpy.run_path(str(ROOT / "pipelines" / f"{name}.py"))[name])


def compiled(function: Any) -> str:
    """A pipeline or a component. Deterministic; the SDK's version is part of it on purpose."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "compiled.yaml"
        compiler.Compiler().compile(function, str(target))
        text = target.read_text(encoding="utf-8")
    assert list(yaml.safe_load_all(text))
    return text


def workflow(module: str, document: str) -> str:
    """A workflow as Hera writes it."""
    documents = runpy.run_path(str(ROOT / "workflows" / f"{module}.py"))["documents"]()
    text: str = documents[document].to_yaml()
    return text


def component_file(step: Step) -> str:
    """A component is cached where nothing else is said, so one with side effects says it."""
    text = compiled(component(step))
    if step.cacheable:
        return text
    return re.sub(r"cachingOptions:\n +enableCache: true", "cachingOptions: {}", text)


def component_files() -> dict[str, Callable[[], str]]:
    """A folder for each step: the component, to be loaded into anybody's pipeline, and its page."""
    rights = yaml.safe_load((ROOT / "deploy" / "rbac" / "verbs.yaml").read_text(encoding="utf-8"))
    files: dict[str, Callable[[], str]] = {}
    for step in steps().values():
        folder, rules = f"components/{step.command}", rights.get(step.command, [])
        files[f"{folder}/component.yaml"] = partial(component_file, step)
        files[f"{folder}/README.md"] = partial(readme, step, rules)
    return files


def policy_schema() -> str:
    """The policy's JSON Schema."""
    return json.dumps(Policy.model_json_schema(), indent=2) + "\n"


def api_faults() -> str:
    """The table of API faults, from the data that its tests read."""
    from tests.faults import table

    return table.page(table.load())


def lint_rules() -> str:
    """The rules of the linter, with what the server itself does and whether a trial has shown it."""
    sys.path.insert(0, str(ROOT))
    from tests.sandbox.lint_page import page

    return page()


def routes() -> str:
    """The table of routes, with what their tests have recorded."""
    sys.path.insert(0, str(ROOT))
    from tests.routes.page import page

    return page()


def deployment() -> dict[str, Callable[[], str]]:
    """The objects and overlays below deploy/."""
    from deploy.objects import written

    return written.texts()


def examples() -> dict[str, Callable[[], str]]:
    """What each example of a policy renders to."""
    from scripts import examples as rendering

    return rendering.texts()


WORKFLOWS = {
    "release": ("release.yaml", "release-cluster.yaml", "release-on-claim.yaml", "submit.yaml"),
    "scheduled_release": ("scheduled-release.yaml", "cron.yaml"),
}
GENERATED: dict[str, Callable[[], str]] = {
    "pipelines/release.yaml": lambda: pipeline("release"),
    "pipelines/scheduled_release.yaml": lambda: pipeline("scheduled_release"),
    **{
        f"workflows/{name}": partial(workflow, module, name)
        for module, names in WORKFLOWS.items()
        for name in names
    },
    **component_files(),
    "docs/schemas/policy.json": policy_schema,
    "docs/api-faults.md": api_faults,
    "docs/lint.md": lint_rules,
    "docs/routes.md": routes,
    **deployment(),
    **examples(),
}


def main(check: bool) -> int:
    """Exit 1 when a file drifted."""
    drifted = []
    for name, make in GENERATED.items():
        path, text = ROOT / name, make()
        if check and (not path.is_file() or path.read_text(encoding="utf-8") != text):
            drifted.append(name)
        elif not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for name in drifted:
        print(f"{name} is not what `make generate` writes")
    return 1 if drifted else 0


if __name__ == "__main__":
    raise SystemExit(main("--check" in sys.argv))
