"""A step is written once: its signature is the CLI command, the KFP component and the Argo template.

A step function takes scalars (str, int, float, bool) and Paths marked with a port below, and returns a
flat frozen dataclass of scalars. Document inputs may hold a Refusal (see `tidegate.documents`): unless
the step is registered with `takes_refusal=True`, the body does not run and the refusal is handed on.
"""

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints


@dataclass(frozen=True, slots=True)
class Port:
    """An artifact of a step: its direction and what it is.

    document: one JSON file; policy: the validated policy as JSON; tree: a folder; page: HTML;
    markdown: Markdown; metrics: JSON of name -> number.
    """

    direction: Literal["in", "out"]
    content: Literal["document", "policy", "tree", "page", "markdown", "metrics"]


InDocument = Annotated[Path, Port("in", "document")]
OutDocument = Annotated[Path, Port("out", "document")]
InPolicy = Annotated[Path, Port("in", "policy")]
OutPolicy = Annotated[Path, Port("out", "policy")]
InTree = Annotated[Path, Port("in", "tree")]
OutTree = Annotated[Path, Port("out", "tree")]
OutPage = Annotated[Path, Port("out", "page")]
OutMarkdown = Annotated[Path, Port("out", "markdown")]
OutMetrics = Annotated[Path, Port("out", "metrics")]

Image = Literal["steps", "optimize", "loadtest", "trainer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One input of a step."""

    name: str
    type: type
    port: Port | None
    default: Any
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A registered step."""

    name: str
    function: Callable[..., Any]
    image: Image
    gpu: bool
    cacheable: bool
    takes_refusal: bool
    touches: str
    parameters: tuple[Parameter, ...]
    outputs: tuple[tuple[str, type], ...]

    @property
    def command(self) -> str:
        """The kebab-case name in the CLI, in KFP and in Argo."""
        return self.name.replace("_", "-")

    @property
    def summary(self) -> str:
        """First line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    def ports(self, direction: str) -> tuple[Parameter, ...]:
        """The artifact parameters of one direction."""
        return tuple(p for p in self.parameters if p.port and p.port.direction == direction)

    @property
    def results(self) -> tuple[str, ...]:
        """The outputs, without those that only repeat an input: KFP has one namespace for both."""
        given = {parameter.name for parameter in self.parameters}
        return tuple(name for name, _ in self.outputs if name not in given)

    @property
    def scalars(self) -> tuple[Parameter, ...]:
        """The parameters that are no artifacts."""
        return tuple(p for p in self.parameters if p.port is None)


REGISTRY: dict[str, Step] = {}


def step(
    *,
    image: Image = "steps",
    gpu: bool = False,
    cacheable: bool = False,
    takes_refusal: bool = False,
    touches: str = "nothing outside its own files",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as a step; cacheable only where a result depends on nothing but its inputs.

    `gpu`: it runs on one where the run asks for one. `touches`: its side effects, for the README of the step.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        REGISTRY[function.__name__] = Step(
            name=function.__name__,
            function=function,
            image=image,
            gpu=gpu,
            cacheable=cacheable,
            takes_refusal=takes_refusal,
            touches=touches,
            parameters=_parameters(function),
            outputs=_outputs(function),
        )
        return function

    return register


def _parameters(function: Callable[..., Any]) -> tuple[Parameter, ...]:
    hints = get_type_hints(function, include_extras=True)
    return tuple(
        _parameter(p, hints[p.name]) for p in inspect.signature(function).parameters.values()
    )


def _parameter(parameter: inspect.Parameter, hint: Any) -> Parameter:
    port = get_args(hint)[1] if get_origin(hint) is Annotated else None
    required = parameter.default is inspect.Parameter.empty
    return Parameter(
        name=parameter.name,
        type=Path if port else hint,
        port=port,
        default=None if required else parameter.default,
        required=required,
    )


def _outputs(function: Callable[..., Any]) -> tuple[tuple[str, type], ...]:
    result = get_type_hints(function)["return"]
    return tuple(
        (field.name, get_type_hints(result)[field.name]) for field in dataclasses.fields(result)
    )


ORDER = (
    "train", "trigger",
    "resolve", "fetch", "optimize", "configure", "publish", "deploy", "load_test", "gate", "await_approval",
    "promote", "roll_back", "report", "conclude", "guard", "sweep",
)  # fmt: skip


def steps() -> dict[str, Step]:
    """Every step by name, in the order of a release."""
    package = importlib.import_module("tidegate.steps")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"tidegate.steps.{module.name}")
    known = {name: REGISTRY[name] for name in ORDER if name in REGISTRY}
    return known | {name: entry for name, entry in REGISTRY.items() if name not in known}
