"""ONNX Runtime's TensorRT provider: the words that it is given, in Triton's config and in its own API. Pure.

https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html; Triton takes the same `trt_*`
keys as parameters of the accelerator, refuses unknown ones, and has a few of its own
(triton-inference-server/onnxruntime_backend, src/onnxruntime.cc).
"""

from collections.abc import Mapping, Sequence

from tidegate.documents import ShapeRange

PRECISION_MODES = {"fp16": "FP16", "bf16": "BF16", "int8": "INT8", "fp8": "FP16"}
# What Triton's backend tells the provider for a mode.
FLAGS = {"FP16": "trt_fp16_enable", "BF16": "trt_bf16_enable", "INT8": "trt_int8_enable"}


def profile_shapes(profiles: Sequence[Mapping[str, ShapeRange]]) -> dict[str, str]:
    """`trt_profile_{min,opt,max}_shapes` as `X:1x64,Y:1x3`, so that no first request builds an engine.

    Several profiles of an input are repeated in it, as the provider reads them. {} without free axes.
    """
    return {
        f"trt_profile_{side}_shapes": ",".join(
            f"{name}:{'x'.join(map(str, getattr(span, side)))}"
            for profile in profiles
            for name, span in profile.items()
        )
        for side in ("min", "opt", "max")
        if any(profiles)
    }


def precision_mode(precision: str, serving: str) -> str:
    """What a server of TensorRT `serving` must be told of a graph in this precision; '' = nothing.

    Precision is in the graph; before 11 the provider still builds weakly typed networks, and computes a
    narrow type in FP32 unless it is named. From 11 on there is no such mode.
    """
    is_weak = serving.partition(".")[0] in {"8", "9", "10"}
    return PRECISION_MODES.get(precision, "") if is_weak else ""


def options(
    profiles: Sequence[Mapping[str, ShapeRange]], *, precision: str, serving: str
) -> dict[str, str]:
    """The provider's own options, for parity to ask it as that server will."""
    flag = FLAGS.get(precision_mode(precision, serving))
    return {**profile_shapes(profiles), **({flag: "True"} if flag else {})}


def triton_parameters(
    profiles: Sequence[Mapping[str, ShapeRange]],
    *,
    precision: str,
    serving: str,
    workspace_mib: int | None,
    engine_cache: str,
) -> dict[str, str]:
    """Parameters of `gpu_execution_accelerator { name: "tensorrt" }`.

    `serving`: TensorRT of the server.
    """
    told = {
        "precision_mode": precision_mode(precision, serving),
        "max_workspace_size_bytes": str(workspace_mib << 20) if workspace_mib else "",
        **profile_shapes(profiles),
    }
    if engine_cache:
        told |= {
            "trt_engine_cache_enable": "true",
            "trt_engine_cache_path": engine_cache,
            "trt_timing_cache_enable": "true",
            "trt_timing_cache_path": engine_cache,
        }
    return {key: value for key, value in told.items() if value}
