"""What configure says and checks of a model that a GPU serves: plan, provider, the server's TensorRT."""

from pathlib import Path

from tidegate.core import lint
from tidegate.core.model_config import OnGpu
from tidegate.core.model_config.building import is_batchable
from tidegate.core.visible_gpus import visible_gpus
from tidegate.documents import Finding, OptimizedModel, Word
from tidegate.errors import DocumentError
from tidegate.policy import Policy


def on_gpu(model: OptimizedModel, policy: Policy) -> OnGpu | None:
    """For the config; None where a CPU serves it."""
    from tidegate.core.tensorrt import provider

    wanted = policy.optimize.tensorrt
    if model.package is not None and model.package.device == "cuda":
        return OnGpu()
    if model.engine is not None:
        return OnGpu(profiles=len(model.engine.profiles))
    if not model.accelerator:
        return None
    if model.accelerator == "cuda":
        return OnGpu(accelerator="cuda")
    told = provider.triton_parameters(
        model.profiles,
        precision=model.precision,
        serving=tensorrt(policy),
        workspace_mib=wanted.workspace_mib,
        engine_cache=wanted.engine_cache,
    )
    return OnGpu(accelerator="tensorrt", parameters=told)


def tensorrt(policy: Policy) -> str:
    """TensorRT of the serving image; '' where nobody has said it."""
    from tidegate.adapters import serving_image

    return serving_image.tensorrt(policy)


def plan(model: OptimizedModel, tree: Path) -> lint.Plan | None:
    """The plan as it lies there: its version is read again, so that no document is believed over the bytes.

    Raises DocumentError where they differ.
    """
    if model.engine is None:
        return None
    from tidegate.adapters.tensorrt import plan_cache
    from tidegate.core.tensorrt import plan_version, profiles

    version = plan_version.shown(plan_cache.head(tree / model.model_file, what=model.model_file))
    if version != model.engine.tensorrt:
        raise DocumentError(
            f"{model.model_file} is of TensorRT {version}, its document says {model.engine.tensorrt}; "
            "use the folder and the document of one run"
        )
    largest = profiles.largest_batch(
        model.engine.profiles, is_batchable(model.inputs, model.outputs)
    )
    return lint.Plan(
        version=version,
        max_batch_size=largest,
        version_compatible=model.engine.version_compatible,
    )


def notes(model: OptimizedModel, policy: Policy) -> tuple[Finding, ...]:
    """Each step down, and a pod that asks for no GPU; both are told, and served all the same."""
    told = [f"not {step.wanted}: {step.reason}" for step in model.steps_down]
    packaged = model.package is not None and model.package.device == "cuda"
    on_gpus = bool(model.engine or model.accelerator or packaged)
    if on_gpus and visible_gpus(policy.serving.resources) is None:
        told.append(
            "a GPU serves it, and serving.resources asks for none; write limits: {nvidia.com/gpu: '1'}, "
            "unless the runtime asks for one itself"
        )
    return tuple(
        Finding(name="configure", word=Word.INCONCLUSIVE, message=one, blocking=False)
        for one in told
    )
