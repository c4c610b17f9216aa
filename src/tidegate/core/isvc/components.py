"""What stands before or beside the predictor: transformer and explainer. Pure.

A collocated transformer is a container of the predictor's pod (`transformer-container`, CONST:499-500): the
one with the port, so that all traffic comes through it, and one version with the model. A component of its
own has a revision and a percent of its own, and calls the predictor by its main host (kserve#1669).
"""

from collections.abc import Mapping
from typing import Any

from tidegate.core.isvc.typed import (
    Container,
    HttpGet,
    Json,
    Port,
    Probe,
    Typed,
    environment,
)
from tidegate.policy import Policy
from tidegate.policy.serving import Explainer as WantedExplainer
from tidegate.policy.serving import Transformer as WantedTransformer

TRANSFORMER_CONTAINER = "transformer-container"
SERVING_CONTAINER = "kserve-container"
COMPANIONS = ("transformer", "explainer")


class Component(Typed):
    """A component of its own, out of one container."""

    min_replicas: int
    max_replicas: int
    containers: tuple[Container, ...]


class Art(Typed):
    """KServe's own explainer."""

    type: str
    config: dict[str, str] | None = None
    resources: dict[str, dict[str, str]] | None = None


class Explainer(Typed):
    """`spec.explainer`."""

    min_replicas: int
    max_replicas: int
    art: Art | None = None
    containers: tuple[Container, ...] | None = None


def collocated(wanted: WantedTransformer | None) -> tuple[Container, ...] | None:
    """The transformer in the predictor's pod; None when there is none, or it is a component of its own."""
    if wanted is None or not wanted.collocated:
        return None
    return (_container(wanted, TRANSFORMER_CONTAINER),)


def _container(wanted: WantedTransformer, name: str) -> Container:
    return Container(
        name=name,
        image=wanted.image,
        command=wanted.command or None,
        args=wanted.args or None,
        env=environment(wanted.env),
        ports=(Port(container_port=wanted.port),),
        resources=wanted.resources or None,
        readiness_probe=Probe(http_get=HttpGet(path=wanted.ready_path, port=wanted.port)),
    )


def transformer(policy: Policy) -> Component | None:
    """`spec.transformer`; None when there is none of its own."""
    wanted = policy.serving.transformer
    if wanted is None or wanted.collocated:
        return None
    return Component(
        min_replicas=wanted.min_replicas,
        max_replicas=wanted.max_replicas,
        containers=(_container(wanted, SERVING_CONTAINER),),
    )


def explainer(policy: Policy) -> Explainer | None:
    """`spec.explainer`."""
    wanted = policy.serving.explainer
    if wanted is None:
        return None
    return Explainer(
        min_replicas=wanted.min_replicas,
        max_replicas=wanted.max_replicas,
        art=_art(wanted),
        containers=(_explaining(wanted),) if wanted.image else None,
    )


def _art(wanted: WantedExplainer) -> Art | None:
    if not wanted.art:
        return None
    return Art(type=wanted.art, config=wanted.config or None, resources=wanted.resources or None)


def _explaining(wanted: WantedExplainer) -> Container:
    return Container(
        name=SERVING_CONTAINER,
        image=wanted.image,
        command=wanted.command or None,
        args=wanted.args or None,
        env=environment(wanted.env),
        resources=wanted.resources or None,
    )


def companions(policy: Policy) -> dict[str, Json]:
    """The components of its own that the policy asks for, by their field in the spec."""
    made = {"transformer": transformer(policy), "explainer": explainer(policy)}
    return {kind: one.as_dict() for kind, one in made.items() if one is not None}


def changed(held: Mapping[str, Any], policy: Policy) -> str:
    """The first component that a release would have to change; '' when all are as the policy says.

    What KServe's webhook filled in is not the policy's to say, so what it does not name may be anything.
    """
    wanted = companions(policy)
    for kind in COMPANIONS:
        if kind in held and kind not in wanted:
            return f"spec.{kind} is there, and the policy has no serving.{kind}"
        if kind in wanted and kind not in held:
            return f"serving.{kind} is not there yet"
        if path := _differs(wanted.get(kind), held.get(kind), f"spec.{kind}"):
            return f"{path} is not as serving.{kind} says"
    return ""


def _differs(wanted: Any, held: Any, path: str) -> str:
    if isinstance(wanted, Mapping) and isinstance(held, Mapping):
        found = (_differs(value, held.get(key), f"{path}.{key}") for key, value in wanted.items())
        return next((one for one in found if one), "")
    if isinstance(wanted, list | tuple) and isinstance(held, list | tuple):
        if len(wanted) != len(held):
            return path
        pairs = enumerate(zip(wanted, held, strict=True))
        found = (_differs(a, b, f"{path}[{at}]") for at, (a, b) in pairs)
        return next((one for one in found if one), "")
    return "" if wanted == held else path
