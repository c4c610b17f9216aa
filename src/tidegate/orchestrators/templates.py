"""Every step as an Argo template: the step's own command, its files at fixed paths; needs hera."""

import json

from hera.workflows import (
    Artifact,
    ConfigMapEnvFrom,
    Container,
    Parameter,
    RetryStrategy,
    SecretEnvFrom,
)
from hera.workflows.models import Backoff, Capabilities, SecurityContext, ValueFrom, VolumeMount

from tidegate.errors import UnavailableError
from tidegate.orchestrators.stores import Store
from tidegate.orchestrators.surroundings import NAME, image_parameter, labels
from tidegate.steps.registry import Parameter as StepParameter
from tidegate.steps.registry import Step

# Only what may succeed later is tried again; Argo sees the exit code, Kubeflow does not, so what must be
# tried again there is tried within the step.
RETRY = RetryStrategy(
    limit="3",
    retry_policy="Always",
    expression=f"asInt(lastRetry.exitCode) == {UnavailableError.exit_code}",
    backoff=Backoff(duration="30s", factor="2", max_duration="10m"),
)
SECURITY = SecurityContext(
    run_as_non_root=True,
    read_only_root_filesystem=True,
    allow_privilege_escalation=False,
    capabilities=Capabilities(drop=["ALL"]),
)


def template(step: Step, store: Store) -> Container:
    """The template of a step, its interface built from the step's signature."""
    return Container(
        name=step.command,
        labels=dict(labels(step)),
        image=f"{{{{workflow.parameters.{image_parameter(step)}}}}}",
        command=["tidegate"],
        args=_arguments(step, store),
        inputs=[
            _input(parameter, store) for parameter in step.parameters if not _is_out(parameter)
        ],
        outputs=[
            *(
                Parameter(name=name, value_from=ValueFrom(path=f"{store.results(step)}/{name}"))
                for name in step.results
            ),
            *(given for port in step.ports("out") for given in store.given(step, port)),
        ],
        env_from=[ConfigMapEnvFrom(name=NAME), SecretEnvFrom(name=NAME, optional=True)],
        volume_mounts=[*store.mounts(), VolumeMount(name="tmp", mount_path="/tmp")],  # noqa: S108
        security_context=SECURITY,
        service_account_name=f"tidegate-{step.command}",
        retry_strategy=RETRY,
        pod_spec_patch=_gpu() if step.gpu else None,
    )


def _is_out(parameter: StepParameter) -> bool:
    return parameter.port is not None and parameter.port.direction == "out"


def _arguments(step: Step, store: Store) -> list[str]:
    """With `=`, so that a value may begin with a dash."""
    told = [f"--results={store.results(step)}"]
    for parameter in step.parameters:
        value = f"{{{{inputs.parameters.{parameter.name}}}}}"
        value = store.path(step, parameter) if parameter.port else value
        told.append(f"--{parameter.name.replace('_', '-')}={value}")
    return [step.command, *told]


def _input(parameter: StepParameter, store: Store) -> Artifact | Parameter:
    if parameter.port:
        return store.taken(parameter)
    if parameter.required:
        return Parameter(name=parameter.name)
    return Parameter(name=parameter.name, default=str(parameter.default))


def _gpu() -> str:
    """A resource whose name is known only when the run starts: whole, MIG slice or shared."""
    limits = {"{{workflow.parameters.gpu_resource}}": "{{workflow.parameters.gpu_count}}"}
    return json.dumps({"containers": [{"name": "main", "resources": {"limits": limits}}]})
