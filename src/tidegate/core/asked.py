"""What a served model is asked with: its own inputs, or those of a transformer in its pod. Pure."""

from tidegate.documents import ModelRepository, Probe, Tensor
from tidegate.policy import Policy


def inputs_of(repository: ModelRepository, policy: Policy) -> tuple[Tensor, ...]:
    """What the pod's port takes. A transformer of its own is passed by a candidate's URL."""
    transformer = policy.serving.transformer
    if transformer is None or not transformer.inputs:
        return repository.inputs
    return tuple(
        Tensor(name=one.name, dtype=_dtype(one.datatype), shape=one.shape)
        for one in transformer.inputs
    )


def _dtype(datatype: str) -> str:
    """Triton's word for what the protocol calls BYTES."""
    return "STRING" if datatype == "BYTES" else datatype


def probe_of(repository: ModelRepository, policy: Policy, *, version: str = "") -> Probe:
    """How the version (that of the repository, when none is named) is asked."""
    return Probe(
        model=repository.triton_model,
        inputs=inputs_of(repository, policy),
        version=version or repository.model_version,
        transport=policy.serving.port,
    )
