"""From an MLflow flavor to one of Triton's backends: which ways there are, and why the others are none."""

from tidegate.core.routes.choice import FLAVORS, choose, flavor_of
from tidegate.core.routes.table import ROUTES, Route

__all__ = ["FLAVORS", "ROUTES", "Route", "choose", "flavor_of"]
