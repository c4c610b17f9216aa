"""trtexec: its command line for a build, and what its output means. Pure; valid for 10.x and 11.x.

Flags and words are of NVIDIA/TensorRT, samples/common/sampleOptions.cpp and sampleReporting.cpp; both majors
take `--stronglyTyped`, and neither is given a flag that one of them has dropped.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tidegate.documents import ShapeRange
from tidegate.policy import TensorRt

HARDWARE = {"same_compute_capability": "sameComputeCapability", "ampere_plus": "ampere+"}
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What one build reads and writes; `timing_cache` '' = none is kept."""

    onnx: str
    plan: str
    timing_cache: str = ""


def arguments(
    files: Files, wanted: TensorRt, profiles: Sequence[Mapping[str, ShapeRange]]
) -> tuple[str, ...]:
    """Every flag of one build, without the command itself."""
    words = [
        f"--onnx={files.onnx}",
        f"--saveEngine={files.plan}",
        "--skipInference",
        "--stronglyTyped",
        "--profilingVerbosity=detailed",
        f"--builderOptimizationLevel={wanted.optimization_level}",
    ]
    if wanted.workspace_mib is not None:
        words.append(f"--memPoolSize=workspace:{wanted.workspace_mib}")
    if wanted.hardware in HARDWARE:
        words.append(f"--hardwareCompatibilityLevel={HARDWARE[wanted.hardware]}")
    if wanted.version_compatible:
        words.append("--versionCompatible")
    if not wanted.tf32:
        words.append("--noTF32")
    if files.timing_cache:
        words.append(f"--timingCacheFile={files.timing_cache}")
    return (*words, *_shapes(profiles))


def _shapes(profiles: Sequence[Mapping[str, ShapeRange]]) -> list[str]:
    """One profile needs no number; several are given one by one, each after its own --profile."""
    words = []
    for at, profile in enumerate(profiles):
        words += [f"--profile={at}"] if len(profiles) > 1 else []
        for side in ("min", "opt", "max"):
            spelled = ",".join(f"{name}:{_by_x(getattr(r, side))}" for name, r in profile.items())
            words.append(f"--{side}Shapes={spelled}")
    return words


def _by_x(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a run said: passed or not, the seconds of the build, and why it failed."""

    passed: bool
    seconds: float | None = None
    reason: str = ""


def told(output: str, exit_code: int) -> Told:
    """A run passed when it exits 0 and says PASSED; one without the other is a failure."""
    passed = (
        exit_code == 0
        and re.search(r"^&&&& PASSED TensorRT\.trtexec", output, re.MULTILINE) is not None
    )
    took = re.search(r"Engine built in ([0-9.]+) sec", output)
    return Told(
        passed=passed,
        seconds=float(took.group(1)) if took else None,
        reason="" if passed else _reason(output, exit_code),
    )


def _reason(output: str, exit_code: int) -> str:
    node = re.search(r'While parsing node number (\d+) \[(\S+)(?: -> "([^"]*)")?\]', output)
    if node:
        why = re.search(r"ERROR: \S+ In function \w+:\s*(?:\[\d+\])?\s*(.+)", output)
        where = f"node {node[1]} ({node[2]}, output {node[3] or 'unnamed'!r})"
        return f"the parser stops at {where}: {why[1].strip() if why else 'no reason is given'}"
    errors = re.findall(r"^\[[^\]]*\] \[E\] (?:\[TRT\] )?(.+)$", output, re.MULTILINE)
    if errors:
        return "; ".join(error.strip() for error in errors[:_SHOWN])
    return f"it exits {exit_code} and names no error"
