"""A graph as a TensorRT plan: given by hand, of an earlier build, or built; then loaded on this GPU."""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.documents import Engine, ShapeRange
from tidegate.errors import DocumentError, RejectedError
from tidegate.steps.progress import event, say

if TYPE_CHECKING:
    from tidegate.adapters.flavors.conversion import Converted, Given
    from tidegate.adapters.served_forms.tensorrt_plan import TensorRtPlan

PLAN = "model.plan"
TOLD_EVERY_S = 5.0
Profiles = Sequence[dict[str, ShapeRange]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The plan as it is served, and what is known of it."""

    form: "TensorRtPlan"
    engine: Engine


def planned(given: "Given", converted: "Converted", profiles: Profiles) -> Planned:
    """The model's plan in the folder, open on this GPU.

    Raises UsageError without TensorRT or a GPU, RejectedError or DocumentError for what the graph, the plan
    or the policy lacks.
    """
    from tidegate.adapters.served_forms import tensorrt_plan
    from tidegate.adapters.tensorrt import plan_cache

    given_by_hand = given.policy.optimize.tensorrt.plan
    if given_by_hand:
        engine = _by_hand(given, given_by_hand)
    else:
        _require_operators(given, converted)
        engine = _built(given, converted, profiles)
    trt, path = _library(), given.folder / PLAN
    compatible = given.policy.optimize.tensorrt.version_compatible
    form = tensorrt_plan.load(trt, path, what=given.what, version_compatible=compatible)
    _require_same_names(form, converted, given.what)
    engine = _inspected(engine, form)
    if not given_by_hand and not engine.reused:
        _say_unless_kept("files", plan_cache.keep(plan_cache.folder(), engine, path))
    return Planned(form=form, engine=engine)


def _say_unless_kept(what: str, trouble: str) -> None:
    if trouble:
        say("optimize", f"the {what} of this build are not kept for the next one: {trouble}")


def _library() -> Any:
    from tidegate.adapters.tensorrt import library

    return library.load()


def _require_operators(given: "Given", converted: "Converted") -> None:
    """What the graph alone can tell, before a GPU is waited for."""
    from tidegate.adapters import onnx_files
    from tidegate.core.tensorrt import operators

    path = given.folder / converted.model_file
    nodes = onnx_files.nodes(path, what=given.what)
    declared = onnx_files.declared(path, what=given.what)
    refused = operators.refused(nodes, (*declared.inputs, *declared.outputs))
    if refused:
        raise RejectedError(f"{given.what}: {refused}; write optimize.target: onnxruntime")


def _by_hand(given: "Given", where: str) -> Engine:
    """A plan that came with the version: of the server's TensorRT, or refused before anything is loaded."""
    from tidegate.adapters import serving_image, trees
    from tidegate.adapters.tensorrt import plan_cache
    from tidegate.core.tensorrt import plan_version

    source, policy = given.tree / where, given.policy
    if not source.is_file():
        raise DocumentError(
            f"{given.what}: has no {where}; log it with the model, or correct optimize.tensorrt.plan"
        )
    version = plan_version.shown(plan_cache.head(source, what=where))
    compatible = policy.optimize.tensorrt.version_compatible
    why = plan_version.refused(
        version, serving_image.tensorrt(policy), policy.serving.args, compatible=compatible
    )
    if why:
        raise RejectedError(f"{given.what}: {where}: {why}")
    with trees.disk_errors(given.folder / PLAN):
        shutil.copyfile(source, given.folder / PLAN)
    return Engine(
        builder="by hand",
        tensorrt=version,
        version_compatible=compatible,
        size_bytes=source.stat().st_size,
        **_gpu_fields(),
    )


def _gpu_fields() -> dict[str, Any]:
    from tidegate.adapters.tensorrt import device

    gpu = device.gpu()
    return {
        "gpu": gpu.name,
        "compute_capability": gpu.compute_capability,
        "gpu_memory_mib": gpu.memory_mib,
    }


def _built(given: "Given", converted: "Converted", profiles: Profiles) -> Engine:
    from tidegate.adapters import trees
    from tidegate.adapters.tensorrt import device, plan_cache
    from tidegate.core.tensorrt.build_key import build_key, timing_cache_name

    trt, gpu, wanted = _library(), device.gpu(), given.policy.optimize.tensorrt
    parts = [f for f in trees.files_of(given.folder) if f.path.startswith(converted.model_file)]
    key = build_key(trees.digest_of(tuple(parts)), gpu, str(trt.__version__), wanted, profiles)
    root, target = plan_cache.folder(), given.folder / PLAN
    earlier = plan_cache.found(root, key, target) if wanted.reuse else None
    if earlier is not None:
        say("optimize", f"the plan of an earlier build is the same: {key[:12]}")
        return earlier.model_copy(update={"reused": True})
    say("optimize", f"building a plan with TensorRT {trt.__version__} on {gpu}")
    timings = timing_cache_name(gpu, str(trt.__version__))
    builder = _by_trtexec if wanted.builder == "trtexec" else _by_python
    seconds = builder(given, converted, profiles, timings)
    return Engine(
        builder=wanted.builder,
        tensorrt=_version_of(target),
        version_compatible=wanted.version_compatible,
        hardware=wanted.hardware,
        key=key,
        seconds=round(seconds, 3),
        size_bytes=target.stat().st_size,
        **_gpu_fields(),
    )


def _version_of(plan: Path) -> str:
    from tidegate.adapters.tensorrt import plan_cache
    from tidegate.core.tensorrt import plan_version

    return plan_version.shown(plan_cache.head(plan, what=PLAN))


def _by_python(given: "Given", converted: "Converted", profiles: Profiles, timings: str) -> float:
    from tidegate.adapters import trees
    from tidegate.adapters.tensorrt import building, plan_cache

    root = plan_cache.folder()
    order = building.Order(
        onnx=given.folder / converted.model_file,
        profiles=profiles,
        wanted=given.policy.optimize.tensorrt,
        timings=plan_cache.timings(root, timings),
        what=given.what,
    )
    built = building.build(_library(), order, _telling())
    with trees.disk_errors(given.folder / PLAN):
        (given.folder / PLAN).write_bytes(built.plan)
    if order.wanted.timing_cache:
        _say_unless_kept("timings", plan_cache.keep_timings(root, timings, built.timings))
    return built.seconds


def _by_trtexec(given: "Given", converted: "Converted", profiles: Profiles, timings: str) -> float:
    from tidegate.adapters.tensorrt import plan_cache
    from tidegate.adapters.tensorrt import trtexec as command
    from tidegate.core.tensorrt import trtexec

    wanted, plan = given.policy.optimize.tensorrt, given.folder / PLAN
    root = plan_cache.folder() if wanted.timing_cache else None
    files = trtexec.Files(
        onnx=str(given.folder / converted.model_file),
        plan=str(plan),
        timing_cache=str(plan_cache.timing_file(root, timings) or ""),
    )
    told = command.build(trtexec.arguments(files, wanted, profiles), wanted, plan, what=given.what)
    return told.seconds or 0.0


def _telling() -> Callable[[str, float], None]:
    """A line every few seconds, and every step to a local runner's file."""
    last = 0.0

    def tell(phases: str, share: float) -> None:
        nonlocal last
        if time.monotonic() - last < TOLD_EVERY_S:
            return
        last = time.monotonic()
        say("optimize", f"TensorRT: {share:.0%}, {phases}")
        event("optimize", f"TensorRT: {phases}", share=round(share, 4))

    return tell


def _require_same_names(form: "TensorRtPlan", converted: "Converted", what: str) -> None:
    """A plan by hand may be of another graph."""
    pairs = (
        ("inputs", form.inputs, set(converted.inputs)),
        ("outputs", form.outputs, set(converted.expected)),
    )
    for kind, tensors, wanted in pairs:
        found = {tensor.name for tensor in tensors}
        if found != wanted:
            raise RejectedError(
                f"{what}: the plan has {kind} {', '.join(sorted(found))}, the model "
                f"{', '.join(sorted(wanted))}; build it from this model's graph"
            )


def _inspected(engine: Engine, form: "TensorRtPlan") -> Engine:
    """What the loaded plan itself tells."""
    from tidegate.core.tensorrt.inspection import inspected

    found = inspected(form.layers)
    told = {} if found is None else {
        "layers": found.layers,
        "kinds": found.kinds,
        "precisions": found.precisions,
        "formats": found.formats,
    }  # fmt: skip
    known = {"profiles": form.profiles, "memory_bytes": form.memory_bytes}
    return engine.model_copy(update=told | known)
