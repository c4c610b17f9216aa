"""Pictures of the same numbers are drawn once: each page of a release costs a second of matplotlib."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tidegate.report import page

PLOTS = ("latency_curve", "block_quantiles", "throughput_latency", "traffic_timeline")
_DRAWN: dict[str, str] = {}


@pytest.fixture(scope="module")
def drawn_once() -> Iterator[None]:
    """For a module that looks at many pages; a plot is a function of its numbers alone."""
    with pytest.MonkeyPatch.context() as patched:
        for name in PLOTS:
            patched.setattr(page, name, _remembered(name, getattr(page, name)))
        yield


def _remembered(name: str, draw: Callable[..., str]) -> Callable[..., str]:
    def drawn(*numbers: Any) -> str:
        key = f"{name}{numbers!r}"
        if key not in _DRAWN:
            _DRAWN[key] = draw(*numbers)
        return _DRAWN[key]

    return drawn
