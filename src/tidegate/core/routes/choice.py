"""Which flavor of a version is released, and by which route."""

from collections.abc import Sequence

from tidegate.core.aoti.serving import not_served
from tidegate.core.routes.kept import KEPT
from tidegate.core.routes.table import ROUTES, Route
from tidegate.errors import DocumentError
from tidegate.policy import Policy
from tidegate.policy.serving import TRITON

# In order of preference where a version has several.
FLAVORS = tuple(dict.fromkeys(route.flavor for route in ROUTES))


def flavor_of(flavors: Sequence[str]) -> str | None:
    """The flavor that is converted; None when none of them is known."""
    return next((flavor for flavor in FLAVORS if flavor in flavors), None)


def choose(flavor: str, policy: Policy, *, what: str) -> Route:
    """The route of a flavor to the policy's target, or to the server of `serving.format`.

    Raises DocumentError when there is none.
    """
    if policy.serving.format != TRITON:
        return _kept(flavor, policy.serving.format, what=what)
    target = policy.optimize.target
    route = next((r for r in ROUTES if (r.flavor, r.target) == (flavor, target)), None)
    if route is None:
        raise DocumentError(f"{what}: flavor {flavor} is not known; log it as {_known()}")
    if route.refused:
        raise DocumentError(
            f"{what}: flavor {flavor} cannot become optimize.target {target}: {route.refused}"
        )
    if route.code and not policy.model.allow_code:
        raise DocumentError(
            f"{what}: flavor {flavor} is code that runs in the server; set model.allow_code: true "
            f"if you trust it, or log it as {_known(but=flavor)}"
        )
    _require_source_precision(route, policy, what)
    if target == "aoti" and (why := not_served(policy)):
        raise DocumentError(f"{what}: optimize.target aoti: {why}")
    return route


def _kept(flavor: str, wanted: str, *, what: str) -> Route:
    """The route of a model that stays in its framework. Raises DocumentError when it is of another one."""
    route = next((r for r in KEPT if (r.flavor, r.backend) == (flavor, wanted)), None)
    if route is None:
        raise DocumentError(
            f"{what}: flavor {flavor} is not served by serving.format {wanted}; write format: triton, which "
            "serves that flavor by optimize.target (docs/routes.md)"
        )
    return route


def _require_source_precision(route: Route, policy: Policy, what: str) -> None:
    """Precision is written into a graph, for who reads all of ONNX."""
    wanted = policy.optimize.precision
    if wanted != "source" and route.target not in {"onnxruntime", "tensorrt"}:
        raise DocumentError(
            f"{what}: optimize.precision {wanted} is for target onnxruntime or tensorrt, not {route.target}; "
            "write precision: source"
        )


def _known(*, but: str = "python_function") -> str:
    *names, last = (flavor for flavor in FLAVORS if flavor != but)
    return f"{', '.join(names)} or {last}"
