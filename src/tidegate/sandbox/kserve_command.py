"""How a server of KServe's own is started in the place of an image that holds it."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

# What the image's name ends in -> the format that its server serves.
IMAGES: Mapping[str, str] = {
    "sklearnserver": "sklearn",
    "xgbserver": "xgboost",
    "lgbserver": "lightgbm",
}
# Decided by the sandbox, whatever the container said.
_IGNORED = frozenset({"--model_dir", "--http_port", "--grpc_port", "--enable_grpc"})


def format_of(image: str) -> str:
    """The format that an image serves; '' for any other, which is a Triton here."""
    name = image.rpartition("/")[2].partition("@")[0].partition(":")[0]
    return IMAGES.get(name, "")


def arguments(*, format_: str, models: Path, port: int, extra: Iterable[str]) -> list[str]:
    """The command line; `extra` are the container's own arguments, less what we decide."""
    return [
        sys.executable,
        *("-W", "ignore", "-m", "tidegate.sandbox.kserve_server", format_),
        f"--model_dir={models}",
        f"--http_port={port}",
        "--enable_grpc=false",  # a pod has one port
        *_own_arguments(extra),
    ]


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment, and the predictor's on top."""
    return {**os.environ, **extra, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def _own_arguments(extra: Iterable[str]) -> Iterator[str]:
    words = iter(extra)
    for word in words:
        flag, equals, _ = word.partition("=")
        if flag not in _IGNORED:
            yield word
        elif not equals:
            next(words, None)
