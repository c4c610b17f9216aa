"""What every served form has."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy.typing as npt

from tidegate.documents import Tensor

Array = npt.NDArray[Any]


class ServedForm(Protocol):
    """A model in the form that is served: what it takes and gives, and its answers."""

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The inputs, in the order in which the backend declares them."""

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """The outputs, likewise."""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The answers to all rows. Raises RejectedError when the model fails on them."""
