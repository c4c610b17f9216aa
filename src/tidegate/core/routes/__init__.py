"""From an MLflow flavor to one of Triton's backends, or to KServe's own server: which ways there are, and why
the others are none."""

from tidegate.core.routes.choice import FLAVORS, choose, flavor_of
from tidegate.core.routes.kept import SERVED
from tidegate.core.routes.table import ROUTES, Route

__all__ = ["FLAVORS", "ROUTES", "SERVED", "Route", "choose", "flavor_of"]
