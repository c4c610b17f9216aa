"""The record of the Triton image that serves: its release, its version, its TensorRT."""

from importlib.resources import files
from pathlib import Path

import yaml

from tidegate.policy import Policy
from tidegate.policy.serving import OWN_RUNTIME


def record() -> dict[str, str]:
    """deploy/triton.yaml: inside the installed package, or in the source tree."""
    packaged = files("tidegate.adapters").joinpath("triton.yaml")
    source = Path(__file__).parents[3] / "deploy" / "triton.yaml"
    text = (packaged if packaged.is_file() else source).read_text(encoding="utf-8")
    found: dict[str, str] = yaml.safe_load(text)
    return found


def tensorrt(policy: Policy) -> str:
    """TensorRT of the server that a policy names; '' where nobody has said it."""
    if policy.triton.tensorrt:
        return policy.triton.tensorrt
    own = policy.serving.runtime == OWN_RUNTIME and not policy.serving.runtime_version
    return record()["tensorrt"] if own else ""
