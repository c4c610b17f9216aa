"""Which Triton serves a package, and why another one does not.

Sources: pytorch_backend at 2026-05-13, README.md ("AOT Inductor Support") and src/pt2/; the releases by their
versions are server's build.py.
"""

import re

from tidegate.policy import Policy

PLATFORM = "torch_aoti"
PACKAGE = "model.pt2"
SINCE = (2, 67)  # 26.03, a beta
NAMES_SINCE = (2, 69)  # 26.05: by the package's own call specification
_VERSION = re.compile(r"(?P<public>[^+]*)(\+(?P<local>.*))?")


def too_old(triton: tuple[int, int]) -> str:
    """Why this Triton has no backend for packages; '' where it has."""
    if triton >= SINCE:
        return ""
    return (
        f"{PLATFORM} is served by Triton {_shown(SINCE)} (26.03) and newer, triton.version is "
        f"{_shown(triton)}; serve with a newer one, or write optimize.target: native (TorchScript)"
    )


def not_served(policy: Policy) -> str:
    """What a policy with target aoti asks for that its server cannot do; '' where there is nothing."""
    major, _, minor = policy.triton.version.partition(".")
    if old := too_old((int(major), int(minor))):
        return old
    if policy.triton.sequence_batching is not None:
        return "triton.sequence_batching: Triton refuses it of a package; drop it, or write target: native"
    if not policy.triton.torch:
        return (
            "triton.torch is not set, and a package loads only in the torch that compiled it; write the "
            "serving image's version, such as 2.11.0"
        )
    return ""


def other_torch(compiled: str, serving: str) -> str:
    """Why a package that torch `compiled` made does not load in torch `serving`; '' where it does.

    The same version by PEP 440. What follows `+` is who built it, and counts where the version is a
    pre-release: NVIDIA's containers have several builds of one.
    """
    if not serving:
        return (
            f"the package is of torch {compiled}, and that of the serving image is not known; "
            "write triton.torch"
        )
    (mine, my_build), (theirs, their_build) = _parts(compiled), _parts(serving)
    final = all(part.isdecimal() for part in mine.split("."))
    if mine == theirs and (final or my_build == their_build):
        return ""
    return (
        f"the package is of torch {compiled}, the serving image has {serving}; run optimize with the torch "
        "of that image, or correct triton.torch"
    )


def _parts(version: str) -> tuple[str, str]:
    found = _VERSION.fullmatch(version)
    assert found is not None
    return found["public"], found["local"] or ""


def _shown(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
