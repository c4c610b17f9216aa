"""Instances: their number, and the devices they are for."""

from tidegate.core.lint.layout import backend_of, is_ensemble
from tidegate.core.lint.subject import Judged, Repository, Rule


def _said(r: Repository) -> str:
    """Without a group the ONNX Runtime backend starts two on a CPU."""
    if is_ensemble(r) or r.config.instance_group:
        return ""
    return "no instance_group; say how many instances"


def _count(r: Repository) -> str:
    counts = [group.count for group in r.config.instance_group]
    return f"instance count {min(counts)}; use 1 or more" if min(counts, default=1) < 1 else ""


def _gpu(r: Repository) -> str:
    if r.server.gpus == 0 and any(g.kind == "KIND_GPU" for g in r.config.instance_group):
        return "instance_group of KIND_GPU, and the server has no GPU; use KIND_CPU"
    return ""


def _gpu_id(r: Repository) -> str:
    for group in r.config.instance_group:
        known = r.server.gpus is not None and group.kind != "KIND_CPU"
        strays = [gpu for gpu in group.gpus if known and not 0 <= gpu < (r.server.gpus or 0)]
        if strays and not (r.server.gpus == 0 and group.kind == "KIND_GPU"):
            return f"instance_group names GPU {strays[0]}, the server has {r.server.gpus}"
    return ""


def _cpu_with_gpus(r: Repository) -> str:
    if any(g.kind == "KIND_CPU" and g.gpus for g in r.config.instance_group):
        return "an instance_group of KIND_CPU names gpus; drop them or use KIND_GPU"
    return ""


def _profile(r: Repository) -> str:
    if backend_of(r) != "tensorrt" and any(g.profile for g in r.config.instance_group):
        return f"profile is TensorRT's, the backend is {backend_of(r) or 'not said'}; drop it"
    return ""


RULES = (
    Rule(name="instances said", check=_said, judged=Judged.SILENT),
    Rule(name="instance count", check=_count, judged=Judged.SILENT),
    Rule(name="GPU instances", check=_gpu, judged=Judged.ANSWER),
    Rule(name="GPU id", check=_gpu_id, judged=Judged.ANSWER),
    Rule(name="CPU instances", check=_cpu_with_gpus, judged=Judged.ANSWER),
    Rule(name="profile", check=_profile, judged=Judged.ANSWER),
)
