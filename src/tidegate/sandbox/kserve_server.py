"""KServe's own servers of sklearn, xgboost, lightgbm: `python -m tidegate.sandbox.kserve_server <format>`.

The HTTP server, the protocols and the answers' form are KServe's, from its package. The few lines of each
format are not on a package index and say here what python/{sklearn,xgb,lgb}server/*/model.py of KServe 0.21
say. Like those they take `--model_dir`, `--nthread` and the arguments of kserve.ModelServer.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import kserve
from kserve.errors import InferenceError
from kserve.protocol.rest.server import RESTServer
from kserve.utils.utils import get_predict_input, get_predict_response

SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "sklearn": (".joblib", ".pkl", ".pickle"),
    "xgboost": (".bst", ".json", ".ubj"),
    "lightgbm": (".bst",),
}
Predict = Callable[[Any], Any]


def model_file(folder: Path, suffixes: tuple[str, ...]) -> Path | None:
    """The one model file of a folder; None where it has none. Raises RuntimeError for several."""
    found = [one for one in folder.iterdir() if one.is_file() and one.name.endswith(suffixes)]
    if len(found) > 1:
        raise RuntimeError(
            "More than one model file is detected, "
            f"Only one is allowed within model_dir: {sorted(map(str, found))}"
        )
    return found[0] if found else None


def _sklearn(path: Path, _: int) -> tuple[Predict, list[str] | None]:
    """sklearnserver/model.py:42-70."""
    import joblib  # type: ignore[import-untyped]

    model, scores = joblib.load(path), os.environ.get("PREDICT_PROBA", "false").lower() == "true"
    wanted = "predict_proba" if scores and hasattr(model, "predict_proba") else "predict"
    return getattr(model, wanted), None


def _xgboost(path: Path, nthread: int) -> tuple[Predict, list[str] | None]:
    """xgbserver/model.py:42-80."""
    import xgboost

    booster = xgboost.Booster(params={"nthread": nthread}, model_file=bytearray(path.read_bytes()))
    return partial(_boosted, booster, nthread), None


def _boosted(booster: Any, nthread: int, rows: Any) -> Any:
    import xgboost

    return booster.predict(xgboost.DMatrix(rows, nthread=nthread))


def _lightgbm(path: Path, nthread: int) -> tuple[Predict, list[str] | None]:
    """lgbserver/model.py:42-76."""
    import lightgbm

    booster = lightgbm.Booster(params={"nthread": nthread}, model_file=str(path))
    return booster.predict, booster.feature_name()


LOADERS: Mapping[str, Callable[[Path, int], tuple[Predict, list[str] | None]]] = {
    "sklearn": _sklearn,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
}


class Served(kserve.Model):  # type: ignore[misc]
    """The model as KServe's server registers it, and with --workers sends it to each of them."""

    def __init__(self, name: str, ask: Predict, columns: list[str] | None) -> None:
        super().__init__(name)
        self._ask, self._columns = ask, columns
        self.ready = True

    def predict(self, payload: Any, headers: Any = None) -> Any:  # noqa: ARG002 - by name
        """The answer in the form of the request. Raises InferenceError for whatever the model raises."""
        try:
            rows = get_predict_input(payload, columns=self._columns)
            return get_predict_response(payload, self._ask(rows), self.name)
        except Exception as error:
            raise InferenceError(str(error)) from error


def listen_on_loopback() -> None:
    """KServe's server listens on every address, as a container must (kserve/protocol/rest/server.py)."""
    made = RESTServer.__init__

    def here(self: Any, *given: Any, **named: Any) -> None:
        made(self, *given, **named)
        self.config.host = "127.0.0.1"

    RESTServer.__init__ = here


def main(argv: list[str]) -> None:
    """Serve until SIGTERM. A folder without a model file is served without a model, as KServe does."""
    parser = argparse.ArgumentParser(parents=[kserve.model_server.parser])
    parser.add_argument("format", choices=sorted(LOADERS))
    parser.add_argument("--model_dir", required=True)
    parser.add_argument("--nthread", type=int, default=1)
    given, _ = parser.parse_known_args(argv)
    kserve.logging.configure_logging(given.log_config_file)
    listen_on_loopback()
    path = model_file(Path(given.model_dir), SUFFIXES[given.format])
    if path is None:
        kserve.ModelServer().start([])
        return
    kserve.ModelServer().start(
        [Served(given.model_name, *LOADERS[given.format](path, given.nthread))]
    )


if __name__ == "__main__":
    main(sys.argv[1:])
