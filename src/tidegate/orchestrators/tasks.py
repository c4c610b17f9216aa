"""The tasks of a Kubeflow pipeline, each with its caching, name, image, GPU, endpoints and secrets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kfp import dsl, kubernetes
from kfp.dsl import pipeline_context

from tidegate.orchestrators.components import component
from tidegate.orchestrators.surroundings import IN_CONFIG_MAP, IN_SECRET, NAME, labels
from tidegate.steps.registry import steps


@dataclass(frozen=True)
class Run:
    """What is settable when a run starts: an image for each kind of step, and the GPU."""

    images: Mapping[str, Any]
    gpu_resource: Any
    gpu_count: Any


def task(run: Run, name: str, **arguments: object) -> dsl.PipelineTask:
    """One step. Cached only where its result depends on nothing but its inputs.

    Whatever a client asks of the cache: each step with a side effect takes the run's id, so no other run
    has its key.
    """
    step = steps()[name]
    created = component(step)(**arguments)
    created.set_caching_options(step.cacheable)
    created.set_display_name(step.command)
    created.set_container_image(run.images[step.image])
    if step.gpu:
        created.set_accelerator_type(run.gpu_resource).set_accelerator_limit(run.gpu_count)
        # kfp 2.17 forgets to hand these down to a task within an exit handler or a branch.
        created.register_pipeline_channels([run.gpu_resource, run.gpu_count])
    kubernetes.use_config_map_as_env(
        created, config_map_name=NAME, config_map_key_to_env={key: key for key in IN_CONFIG_MAP}
    )
    kubernetes.use_secret_as_env(
        created, secret_name=NAME, secret_key_to_env={key: key for key in IN_SECRET}, optional=True
    )
    for key, value in labels(step).items():
        kubernetes.add_pod_label(created, label_key=key, label_value=value)
    return created


def name_branches(name: str) -> None:
    """Within an Else: the group of the branches, as the UI shows it. kfp 2.17 takes no name for it."""
    pipeline_context.Pipeline.get_default_pipeline().groups[-2].display_name = name
