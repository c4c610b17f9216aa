"""One embedded cluster for each story, with models in its registry: the whole product, nothing doubled."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.sandbox.cluster import Sandbox
from tidegate.sandbox.state import Mode

REGISTER = Path(__file__).with_name("register.py")
POLICY = {
    "name": "tiny",
    "triton": {"max_batch_size": 8},
    "load": {
        "rate_rps": 60,
        "arrivals": "constant",
        "pairs": 6,
        "block_requests": 60,
        "max_extensions": 4,
        "warmup_s": 0.5,
        "max_lag_ms": 10_000,  # how late a busy machine is, is not what these stories are about
        "min_delivered_ratio": 0.9,
    },
    "slo": {
        "objectives": [
            # The median: on a busy machine neighbours are alike, and count as too few for a tail.
            {"kind": "latency", "quantile": 0.5, "limit_ms": 1000, "min_samples": 100},
            {"kind": "errors", "limit": 0.05},
            {"kind": "relative_latency", "quantile": "p50", "floor_ms": 1000, "min_pairs": 6},
        ]
    },
    "traffic": {"steps": [30, 100], "bake_s": 2, "max_bake_s": 40, "min_requests": 10},
}


@dataclass(frozen=True)
class Home:
    """The sandbox's endpoints and a place for files."""

    environment: dict[str, str]
    folder: Path
    policy: Path

    def tidegate(self, *arguments: str, timeout: float = 170) -> "subprocess.CompletedProcess[str]":
        """The command line as a user types it."""
        return subprocess.run(
            [sys.executable, "-m", "tidegate", *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def release(self, uri: str, policy: Path | None = None) -> "subprocess.CompletedProcess[str]":
        """Release one model URI."""
        return self.tidegate("release", str(policy or self.policy), "--model-uri", uri)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with running(tmp_path_factory.mktemp("e2e"), "Knative") as one:
        yield one


@contextmanager
def running(folder: Path, mode: Mode, **more: Any) -> Iterator[Home]:
    """A sandbox of this mode, with the models in its registry and the policy beside it."""
    with empty(folder, mode, **more) as home:
        home.policy.write_text(yaml.safe_dump(POLICY | {"model": {"uri": "models:/tiny/1"}}))
        subprocess.run(
            [sys.executable, str(REGISTER)], env=home.environment, check=True, timeout=110
        )
        yield home


@contextmanager
def empty(folder: Path, mode: Mode, **more: Any) -> Iterator[Home]:
    """A sandbox of this mode with nothing in its registry, and the path of a policy to be written."""
    with Sandbox(folder / "sandbox", mode=mode, **more) as sandbox:
        yield Home(os.environ | sandbox.environment(), folder, folder / "policy.yaml")


@pytest.fixture
def variant(home: Home) -> Callable[..., Path]:
    """A policy file that differs from the usual one."""

    def write(**changes: object) -> Path:
        path = home.folder / f"policy-{len(list(home.folder.iterdir()))}.yaml"
        path.write_text(yaml.safe_dump(POLICY | {"model": {"uri": "models:/tiny/1"}} | changes))
        return path

    return write
