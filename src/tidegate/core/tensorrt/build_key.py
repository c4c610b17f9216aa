"""Under what name a plan is kept, so that it is found again only where it is the same plan. Pure."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tidegate.documents import ShapeRange
from tidegate.policy import TensorRt

# What changes where a plan is built or kept, and not what it is.
NOT_IN_THE_PLAN = (
    "plan", "profiles", "opt_batch_size", "timing_cache", "reuse", "engine_cache",
    "build_timeout_s",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One CUDA device. `name` is the driver's, e.g. `NVIDIA A100-SXM4-80GB MIG 3g.40gb`."""

    name: str
    compute_capability: str
    memory_mib: int
    driver: str = ""

    def __str__(self) -> str:
        return f"{self.name} (compute capability {self.compute_capability})"


def build_key(
    graph_digest: str,
    gpu: Gpu,
    tensorrt: str,
    wanted: TensorRt,
    profiles: Sequence[Mapping[str, ShapeRange]],
) -> str:
    """sha256 over graph, GPU, TensorRT and everything that the builder is told."""
    told = {
        "graph": graph_digest,
        "gpu": [gpu.name, gpu.compute_capability, gpu.memory_mib, gpu.driver],
        "tensorrt": tensorrt,
        "flags": wanted.model_dump(mode="json", exclude=set(NOT_IN_THE_PLAN)),
        "profiles": [{k: v.model_dump(mode="json") for k, v in p.items()} for p in profiles],
    }
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def timing_cache_name(gpu: Gpu, tensorrt: str) -> str:
    """A file name for one GPU and one TensorRT: timings of another are worth nothing."""
    of = json.dumps([gpu.name, gpu.compute_capability, gpu.memory_mib, tensorrt])
    return f"timing-{hashlib.sha256(of.encode()).hexdigest()[:16]}.cache"
