"""A plan from an ONNX graph by TensorRT's own API, one code path for 10.x and 11.x.

The network is strongly typed: precision is what the graph says. Not by Polygraphy's builder, which tells a
parser's errors in its log alone, and takes a timing cache of another GPU without a word.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidegate.adapters.tensorrt import library
from tidegate.adapters.tensorrt.monitor import Tell, monitor
from tidegate.documents import ShapeRange
from tidegate.errors import RejectedError
from tidegate.policy import TensorRt

HARDWARE = {"same_compute_capability": "SAME_COMPUTE_CAPABILITY", "ampere_plus": "AMPERE_PLUS"}
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is built: the graph, for which shapes, how, and the timings of builds before; b'' = none."""

    onnx: Path
    profiles: Sequence[Mapping[str, ShapeRange]]
    wanted: TensorRt
    timings: bytes
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A plan, the timings to keep, and the seconds that it took."""

    plan: bytes
    timings: bytes
    seconds: float


def build(trt: Any, order: Order, tell: Tell) -> Built:
    """Build a plan. Raises UsageError without a GPU, RejectedError for what the graph or the build lacks."""
    log, began = library.logger(trt), time.monotonic()
    builder = library.made(lambda: trt.Builder(log), log, "builder")
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    _parse(trt.OnnxParser(network, log), order)
    watching = monitor(trt, tell, began + order.wanted.build_timeout_s)
    config = _configured(trt, builder, log, order)
    config.progress_monitor = watching
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        late = f"it took longer than optimize.tensorrt.build_timeout_s {order.wanted.build_timeout_s:g}"
        why = late if watching.is_late else library.said(log, "it says no reason")
        raise RejectedError(f"TensorRT builds no plan of {order.what}: {why}")
    cache = config.get_timing_cache()
    return Built(
        plan=bytes(plan),
        timings=bytes(cache.serialize()) if cache is not None else b"",
        seconds=time.monotonic() - began,
    )


def _parse(parser: Any, order: Order) -> None:
    """By path, so that weights beside the graph are found."""
    if parser.parse_from_file(str(order.onnx)):
        return
    errors = [_spelled(parser.get_error(at)) for at in range(parser.num_errors)]
    more = f", and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
    raise RejectedError(
        f"TensorRT cannot read {order.what}: {'; '.join(errors[:_SHOWN]) or 'it says no reason'}{more}"
    )


def _spelled(error: Any) -> str:
    """The node by number, operator and name, and what is wrong with it."""
    name = f" {error.node_name()!r}" if error.node_name() else ""
    return f"node {error.node()} ({error.node_operator() or 'no operator'}{name}): {error.desc()}"


def _configured(trt: Any, builder: Any, log: Any, order: Order) -> Any:
    config, wanted = builder.create_builder_config(), order.wanted
    config.builder_optimization_level = wanted.optimization_level
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if wanted.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, wanted.workspace_mib << 20)
    if not wanted.tf32:
        config.clear_flag(trt.BuilderFlag.TF32)
    if wanted.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if wanted.hardware in HARDWARE:
        config.hardware_compatibility_level = _level(trt, HARDWARE[wanted.hardware])
    if wanted.timing_cache:
        _attach(config, order.timings)
    for profile in order.profiles:
        _add_profile(builder, config, log, profile, order.what)
    return config


def _level(trt: Any, name: str) -> Any:
    """SAME_COMPUTE_CAPABILITY is of 10.9 and newer."""
    level = getattr(trt.HardwareCompatibilityLevel, name, None)
    if level is None:
        raise RejectedError(
            f"TensorRT {trt.__version__} has no hardware compatibility {name}; "
            "write optimize.tensorrt.hardware: exact or ampere_plus"
        )
    return level


def _attach(config: Any, timings: bytes) -> None:
    """Timings of another GPU or TensorRT are refused by the library, and an empty cache is taken then."""
    known = config.create_timing_cache(timings)
    if known is None or not config.set_timing_cache(known, False):
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _add_profile(
    builder: Any, config: Any, log: Any, profile: Mapping[str, ShapeRange], what: str
) -> None:
    made = builder.create_optimization_profile()
    for name, span in profile.items():
        made.set_shape(name, span.min, span.opt, span.max)
    if config.add_optimization_profile(made) < 0:
        raise RejectedError(
            f"TensorRT takes no profile of {what}: {library.said(log, 'it says no reason')}; "
            "correct optimize.tensorrt.profiles"
        )
