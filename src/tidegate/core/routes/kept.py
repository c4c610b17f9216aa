"""Models that are served as they are, by the server that KServe has of their own framework. Values only."""

from tidegate.core.routes.table import Route

SERVED = "kserve"  # in the place of an optimize.target


def _kept(flavor: str, how: str, modules: tuple[str, ...]) -> Route:
    """`backend` is the policy's `serving.format`."""
    return Route(
        flavor=flavor, target=SERVED, how=how, backend=flavor, modules=modules, extra=flavor
    )


KEPT: tuple[Route, ...] = (
    _kept("sklearn", "saved again by joblib", ("sklearn", "joblib")),
    _kept("xgboost", "the booster in XGBoost's own file", ("xgboost",)),
    _kept("lightgbm", "the booster in LightGBM's own text", ("lightgbm",)),
)
