"""A python function: served by Triton's own python backend where the policy allows code, else refused."""

import sys
from typing import Any

import numpy as np
import pytest

from tests.routes.conftest import Routed
from tests.routes.data import ASK
from tidegate.errors import DocumentError

pytestmark = [
    pytest.mark.real, pytest.mark.long, pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore"),
]  # fmt: skip
ALLOWED = {"model": {"allow_code": True, "allow_pickle": True}}
SOURCE = """
import numpy
import mlflow.pyfunc
from mlflow.models import set_model


class Norms(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return numpy.linalg.norm(numpy.asarray(model_input), axis=1)


set_model(Norms())
"""


def logged(routed: Routed) -> None:
    import mlflow.pyfunc

    source = routed.scratch / "norms.py"
    source.write_text(SOURCE)
    routed.log(
        lambda model, **given: mlflow.pyfunc.log_model(python_model=model, **given),
        str(source), {"input": ASK}, input_example=ASK[:2],
    )  # fmt: skip


def test_a_python_function_of_code_that_the_policy_allows(routed: Routed) -> None:
    logged(routed)
    expected: Any = np.linalg.norm(ASK, axis=1)
    published = routed.steps(optimize={"target": "native"}, **ALLOWED)
    files = {p.name for p in routed.release.path("repository").rglob("*")}
    assert "golden.npz" not in files
    assert published["storage_uri"]
    routed.serves(
        "python_function", "native", {"input": ASK}, {"output": expected}, "norms of rows, as code",
        policy=ALLOWED,
    )  # fmt: skip
    assert sys.modules.get("tidegate_python_function") is None


def test_code_is_refused_unless_the_policy_allows_it(routed: Routed) -> None:
    logged(routed)
    routed.release.policy["optimize"] = {"target": "native"}
    with pytest.raises(
        DocumentError, match=r"is code that runs in the server; set model.allow_code"
    ):
        routed.release.resolve()
