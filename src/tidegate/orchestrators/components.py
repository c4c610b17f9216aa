"""Every step as a Kubeflow container component that speaks the executor protocol; needs kfp."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from kfp import dsl

from tidegate.orchestrators.surroundings import image_of
from tidegate.steps.registry import Parameter, Step, steps

ARTIFACTS: Mapping[str, type] = {
    "document": dsl.Artifact,
    "policy": dsl.Artifact,
    "tree": dsl.Model,
    "page": dsl.HTML,
    "markdown": dsl.Markdown,
    "metrics": dsl.Metrics,
}


def component(step: Step) -> Callable[..., Any]:
    """The container component of a step, its interface built from the step's signature."""

    def body(*_: Any, **__: Any) -> dsl.ContainerSpec:
        return dsl.ContainerSpec(
            image=image_of(step),
            command=["python3", "-m", "tidegate.orchestrators.executor", step.name],
            args=[
                "--protocol",
                "kfp.dsl.executor_main",
                "--executor_input",
                dsl.PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER,
            ],
        )

    body.__name__ = step.name
    body.__doc__ = inspect.getdoc(step.function)
    body.__signature__ = inspect.Signature(_interface(step))  # type: ignore[attr-defined]
    built: Callable[..., Any] = dsl.container_component(body)
    return built


def components() -> dict[str, Callable[..., Any]]:
    """All components by step name."""
    return {name: component(step) for name, step in steps().items()}


def _interface(step: Step) -> list[inspect.Parameter]:
    """Inputs and artifacts without a default first, then outputs, then inputs with a default.

    KFP has one namespace for both: an output that only repeats an input is left out.
    """
    given = [_parameter(p) for p in step.parameters]
    results = [_output(name, kind) for name, kind in step.outputs if name in step.results]
    required = [p for p in given if p.default is inspect.Parameter.empty]
    return [*required, *results, *(p for p in given if p.default is not inspect.Parameter.empty)]


def _parameter(parameter: Parameter) -> inspect.Parameter:
    default = inspect.Parameter.empty if parameter.required else parameter.default
    return inspect.Parameter(
        parameter.name,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=default,
        annotation=_annotation(parameter),
    )


def _annotation(parameter: Parameter) -> Any:
    if parameter.port is None:
        return parameter.type
    artifact = ARTIFACTS[parameter.port.content]
    return dsl.Input[artifact] if parameter.port.direction == "in" else dsl.Output[artifact]


def _output(name: str, kind: type) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=dsl.OutputPath(kind)
    )
