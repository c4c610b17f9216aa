"""The model as it was registered, by flavor: its own answers to golden inputs, and the form that is served.

A flavor is one function from a `Given` to a `Converted`.
"""

import importlib
import importlib.util
from collections.abc import Callable, Mapping

from tidegate.adapters.flavors.conversion import Converted, Given
from tidegate.core.routes import SERVED, Route
from tidegate.errors import UsageError

# Flavor -> module with `convert`; imported when it is asked for, since most need an extra.
MODULES: Mapping[str, str] = {
    "onnx": "onnx_graph",
    "sklearn": "estimators",
    "xgboost": "xgboost_trees",
    "lightgbm": "lightgbm_trees",
    "pytorch": "pytorch",
    "keras": "keras_model",
    "tensorflow": "tensorflow_model",
    "transformers": "encoders",
    "python_function": "python_function",
}
KEPT = "kept"  # of any flavor that stays in its framework


def convert(given: Given) -> Converted:
    """Write the served form into the folder and ask the source for its answers. Raises by class of error."""
    require_installed(given.route, what=given.what)
    name = KEPT if given.route.target == SERVED else MODULES[given.route.flavor]
    module = importlib.import_module(f"tidegate.adapters.flavors.{name}")
    converter: Callable[[Given], Converted] = module.convert
    return converter(given)


def require_installed(route: Route, *, what: str) -> None:
    """Name the missing package and the extra that brings it, before anything is loaded. Raises UsageError."""
    goal = "be kept" if route.target == SERVED else f"become optimize.target {route.target}"
    for module in route.modules:
        if importlib.util.find_spec(module) is None:
            raise UsageError(
                f"{what}: {module} is not installed, which flavor {route.flavor} needs to {goal}; "
                f"pip install 'tidegate[{route.extra}]'"
            )
