"""Where a model runs and how many copies of it."""

from dataclasses import dataclass
from typing import Literal

InstanceKind = Literal["KIND_AUTO", "KIND_GPU", "KIND_CPU", "KIND_MODEL"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimiterResource:
    """Something that instances share; only with --rate-limit=execution_count."""

    name: str = ""
    global_: bool = False
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRateLimiter:
    """What an instance holds while it executes, and its turn among the others (2 = half as often as 1)."""

    resources: tuple[RateLimiterResource, ...] = ()
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondaryDevice:
    """A further device of an instance."""

    kind: Literal["KIND_NVDLA"] = "KIND_NVDLA"
    device_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInstanceGroup:
    """count copies: per GPU of `gpus` (none named: of all), or in all on the CPU.

    profile: TensorRT's optimisation profiles by index.
    """

    name: str = ""
    kind: InstanceKind = "KIND_AUTO"
    count: int = 0
    rate_limiter: ModelRateLimiter | None = None
    gpus: tuple[int, ...] = ()
    secondary_devices: tuple[SecondaryDevice, ...] = ()
    profile: tuple[str, ...] = ()
    passive: bool = False
    host_policy: str = ""
