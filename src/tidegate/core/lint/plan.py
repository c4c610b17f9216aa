"""A TensorRT plan: only its own TensorRT loads it, on a GPU, in batches that it was built for."""

from tidegate.core.lint.layout import backend_of
from tidegate.core.lint.subject import Judged, Repository, Rule
from tidegate.core.tensorrt.plan_version import refused


def _version(r: Repository) -> str:
    """No GPU is needed to see it: the version is in the plan's first bytes."""
    if r.plan is None:
        return ""
    compatible = r.plan.version_compatible
    return refused(r.plan.version, r.server.tensorrt, r.server.arguments, compatible=compatible)


def _batch(r: Repository) -> str:
    """The backend says: configuration specified max-batch N but TensorRT engine only supports max-batch M."""
    if r.plan is None or r.config.max_batch_size <= max(1, r.plan.max_batch_size):
        return ""
    return (
        f"max_batch_size {r.config.max_batch_size}, and the plan's profiles end at "
        f"{r.plan.max_batch_size}; lower triton.max_batch_size, or build for larger batches"
    )


def _gpu(r: Repository) -> str:
    kinds = {group.kind for group in r.config.instance_group}
    if backend_of(r) == "tensorrt" and "KIND_CPU" in kinds:
        return "a plan runs on a GPU, the instance_group is KIND_CPU; write KIND_GPU"
    return ""


RULES = (
    Rule(name="plan version", check=_version, judged=Judged.BACKEND),
    Rule(name="plan batch", check=_batch, judged=Judged.BACKEND),
    Rule(name="plan on a GPU", check=_gpu, judged=Judged.BACKEND),
)
